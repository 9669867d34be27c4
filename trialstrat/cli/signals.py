"""Ctrl-C and the end of a job: unwind at once, and again at the next step if that went unheard.

Python drops an exception that is raised inside a destructor or a callback from compiled code, so that a signal which
happens to arrive there would be lost and the run would go on as if nobody had asked it to stop.
"""

from __future__ import annotations

import signal

from trialstrat.errors import EXIT_SIGTERM

_asked: list[int] = []


def install() -> None:
    """Catch both signals from here on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _on_signal)


def raise_if_asked() -> None:
    """Unwind if a signal has come, so that temporary folders are removed: as Ctrl-C, or to leave with 143."""
    if signal.SIGTERM in _asked:
        raise SystemExit(EXIT_SIGTERM)
    if signal.SIGINT in _asked:
        raise KeyboardInterrupt


def _on_signal(number: int, _frame: object) -> None:
    _asked.append(number)
    raise_if_asked()
