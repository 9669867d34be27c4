"""Registry of the methods a reference case may name, each bound to the public function that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trialstrat.pipeline.reference.columns import Columns

Answer = dict[str, Any]
MethodFunction = Callable[[Columns, Mapping[str, Any]], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method with the arguments it knows; a case that names any other argument fails."""

    name: str
    required: frozenset[str]
    optional: frozenset[str]
    run: MethodFunction

    def fault(self, args: Mapping[str, Any]) -> str:
        """What is wrong with the arguments' names; empty when nothing is."""
        unknown = set(args) - self.required - self.optional
        missing = self.required - set(args)
        if unknown:
            return f"unknown argument {', '.join(sorted(unknown))}"
        if missing:
            return f"missing argument {', '.join(sorted(missing))}"
        return ""


_METHODS: dict[str, Method] = {}


def reference_method(
    name: str, *, required: str = "", optional: str = ""
) -> Callable[[MethodFunction], MethodFunction]:
    """Register a function as the answer to a method of the reference cases.

    Parameters
    ----------
    name : str
        Method as the cases name it.
    required, optional : str
        Argument names, separated by spaces.
    """

    def register(function: MethodFunction) -> MethodFunction:
        if name in _METHODS:
            raise ValueError(f"the method {name} is registered twice")
        _METHODS[name] = Method(
            name=name, required=frozenset(required.split()), optional=frozenset(optional.split()), run=function
        )
        return function

    return register


def find_method(name: str) -> Method | None:
    """The registered method of this name, or None."""
    return _METHODS.get(name)


def status_of(*results: Any) -> Answer:
    """``{"status": ...}`` of the first result that is not ok; empty (false) when all are."""
    for result in results:
        if result.status != "ok":
            return {"status": result.status}
    return {}
