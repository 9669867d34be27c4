"""The loop of a peer's program: a question a line, an answer a line; everything else the peer prints goes to stderr."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any


def answer(functions: dict[str, Callable[..., Any]]) -> None:
    """Call the function that ``do`` names with the other entries of each question."""
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        question = json.loads(line)
        try:
            found = {"found": functions[question.pop("do")](**question)}
        except Exception:
            found = {"raised": traceback.format_exc(limit=-4)}
        out.write(json.dumps(found) + "\n")
        out.flush()
