"""Progress on standard error, when that is a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trialstrat.cli.signals import raise_if_asked

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Terminal:
    """One bar per stage, drawn by rich; silent when ``quiet`` is asked for or standard error is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._shown = not quiet and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bars = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def stage(self, name: str, total: int | None = None) -> None:
        """Finish the bar of the last stage and begin another."""
        raise_if_asked()
        if self._bars is None:
            return
        if self._task is not None:
            done = self._bars.tasks[-1].total or 1
            self._bars.update(self._task, total=done, completed=done)
        self._task = self._bars.add_task(name, total=total)

    def advance(self, steps: int = 1) -> None:
        """Move the current bar."""
        raise_if_asked()
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, steps)
