"""Exception tree and exit codes; imports nothing of the package.

Three channels are kept apart. Wrong input raises a :class:`TrialstratError`: a message for a person, an exit code
for a machine, no traceback. A statistic that cannot be estimated is a *result* with a status, never an exception.
Anything else is our bug and keeps its traceback (exit code 70).
"""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_INPUT = 3
EXIT_STRICT = 4
EXIT_NOT_ESTIMABLE = 5
EXIT_DISCLOSURE = 6
EXIT_OUTPUT = 7
EXIT_INTEGRITY = 8
EXIT_BUG = 70
EXIT_SIGINT = 130
EXIT_SIGTERM = 143


class TrialstratError(Exception):
    """Something a user can mend. ``messages`` holds one line per fault; all faults of a stage are reported together."""

    exit_code: ClassVar[int] = EXIT_INPUT

    def __init__(self, *messages: str) -> None:
        self.messages = messages
        super().__init__("\n".join(messages))


class UsageError(TrialstratError):
    """The command line does not make sense."""

    exit_code = EXIT_USAGE


class ProtocolError(TrialstratError):
    """The protocol file cannot be read, or declares something impossible."""


class DataError(TrialstratError):
    """A data file cannot be read or does not hold what the protocol declares."""


class InvalidInputError(TrialstratError, ValueError):
    """A public function was given impossible arguments (negative time, unequal lengths, unknown event code...)."""


class StrictError(TrialstratError):
    """Warnings were found and the user asked for none."""

    exit_code = EXIT_STRICT


class NotEstimableError(TrialstratError):
    """The whole question asked cannot be answered from these data; says how many events or patients would suffice."""

    exit_code = EXIT_NOT_ESTIMABLE


class DisclosureError(TrialstratError):
    """Writing the result would disclose cells below the declared minimum."""

    exit_code = EXIT_DISCLOSURE


class OutputError(TrialstratError):
    """The output folder or the tuning storage cannot be used."""

    exit_code = EXIT_OUTPUT


class IntegrityError(TrialstratError):
    """A stored artefact does not match its hash, version or schema."""

    exit_code = EXIT_INTEGRITY
