"""How a long command tells what it is doing; the command line draws it, everything else ignores it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the stages of a command as they begin, and steps within them. Called from the main thread only."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage begins; ``total`` steps are expected when known."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Steps of the current stage are done."""
        ...


class Silent:
    """No progress at all."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Ignore the stage."""

    def advance(self, steps: int = 1) -> None:
        """Ignore the steps."""
