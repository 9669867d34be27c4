"""A peer's tool as a running program that answers questions, one line of JSON each way."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def _place(name: str) -> Path:
    chosen = os.environ.get("TRIALSTRAT_ORACLES")
    folder = Path(chosen) if chosen else HERE.parents[1] / ".oracles"
    return folder / name


class Peer:
    """One program of this folder under the interpreter of its environment."""

    def __init__(self, name: str) -> None:
        python = _place(name) / "bin" / "python"
        self._program = subprocess.Popen(
            [str(python), str(HERE / f"ask_{name}.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._said: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._program.stderr is not None
        self._said.extend(self._program.stderr)

    def ask(self, **question: Any) -> Any:
        """The answer; what the peer raises is raised here with its text."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps(question) + "\n")
        self._program.stdin.flush()
        line = self._program.stdout.readline()
        if not line:
            self._program.wait(timeout=10)
            raise RuntimeError("the peer's tool ended:\n" + "".join(self._said[-20:]))
        answer = json.loads(line)
        if "raised" in answer:
            raise AssertionError(f"the peer refused: {answer['raised']}")
        return answer["found"]

    def close(self) -> None:
        """End the program."""
        assert self._program.stdin is not None
        self._program.stdin.close()
        self._program.wait(timeout=30)
        self._listener.join(timeout=5)
        for stream in (self._program.stdout, self._program.stderr):
            if stream is not None:
                stream.close()


def started(name: str) -> Peer:
    """The peer, or a skipped test where its environment was not made."""
    if not (_place(name) / "made").exists():
        pytest.skip(f"no environment of the peer's tool; bash tests/oracles/make.sh makes .oracles/{name}")
    return Peer(name)
