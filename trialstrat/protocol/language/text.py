"""An expression as one line of text; :func:`trialstrat.protocol.language.grammar.parse` reads it back."""

from __future__ import annotations

import json
import re
from typing import Any

from trialstrat.protocol.base import Value
from trialstrat.protocol.language.model import (
    AllOf,
    Alteration,
    AnyOf,
    Comparison,
    Condition,
    Keep,
    Linked,
    Negation,
    Pick,
    Records,
)

_WORDS = """
and or not is in known unknown true false any every count nearest latest earliest where from to day has none absent
linked keep pick least greatest absolute minus mutation copy_number expression tmb msi of class change
"""
KEYWORDS = frozenset(_WORDS.split())
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def write(node: Any) -> str:
    """The text of an expression."""
    return _write(node, 0)


def write_all(nodes: tuple[Any, ...]) -> str:
    """The text of the expressions of a criterion, which all hold, separated by semicolons."""
    return "; ".join(write(node) for node in nodes)


def _write(node: Any, around: int) -> str:
    """``around``: how tightly the place binds; 0 top, 1 inside or, 2 inside and, 3 inside not."""
    if isinstance(node, AnyOf):
        return _wrapped(" or ".join(_write(part, 1) for part in node.any), around >= 1)
    if isinstance(node, AllOf):
        return _wrapped(" and ".join(_write(part, 2) for part in node.all), around >= 2)
    if isinstance(node, Negation):
        return f"not {_write(node.negated, 3)}"
    if isinstance(node, Condition):
        return condition_text(node)
    if isinstance(node, Comparison):
        return _comparison(node)
    if isinstance(node, Records):
        return f"({_records(node)})"
    if isinstance(node, Linked):
        return f"linked ({'; '.join(_step(step) for step in node.linked)})"
    if isinstance(node, Alteration):
        return _alteration(node)
    raise TypeError(f"no expression: {type(node).__name__}")


def _wrapped(text: str, wrap: bool) -> str:
    return f"({text})" if wrap else text


def name_text(name: str) -> str:
    """A column or table; in backquotes when it is no plain word."""
    if _BARE.fullmatch(name) and name not in KEYWORDS:
        return name
    return f"`{_escaped(name)}`"


def _escaped(text: str) -> str:
    body = json.dumps(text)[1:-1]
    return body.replace("|", "\\u007c").replace("`", "\\u0060").replace(";", "\\u003b")


def number_text(value: float) -> str:
    """A number without a needless point."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def value_text(value: Value) -> str:
    """A value as it is typed: text in double quotes, numbers and true / false bare."""
    if isinstance(value, bool):
        return str(value).lower()
    return number_text(value) if isinstance(value, int | float) else f'"{_escaped(value)}"'


def range_text(subject: str, node: Any) -> str:
    """Both ends around the subject, or the only end after it."""
    low = next(((x, s) for x, s in ((node.at_least, "<="), (getattr(node, "above", None), "<")) if x is not None), None)
    high = next(((x, s) for x, s in ((node.at_most, "<="), (getattr(node, "below", None), "<")) if x is not None), None)
    if low and high:
        return f"{number_text(low[0])} {low[1]} {subject} {high[1]} {number_text(high[0])}"
    if low:
        return f"{subject} {low[1].replace('<', '>')} {number_text(low[0])}"
    return f"{subject} {high[1]} {number_text(high[0])}" if high else subject


def condition_text(node: Condition) -> str:
    """The text of a condition on one column."""
    subject = name_text(node.column)
    if node.present is not None:
        body = f"{subject} is {'known' if node.present else 'unknown'}"
    elif node.equals is not None:
        body = f"{subject} is {value_text(node.equals)}"
    elif node.one_of or node.none_of:
        word = "in" if node.one_of else "not in"
        body = f"{subject} {word} ({', '.join(value_text(value) for value in node.one_of or node.none_of)})"
    else:
        body = range_text(subject, node)
    return body + _unit(node.unit)


def _unit(unit: str) -> str:
    return f" {value_text(unit)}" if unit else ""


def _comparison(node: Comparison) -> str:
    right = name_text(node.right) if node.times == 1 else f"{number_text(node.times)} * {name_text(node.right)}"
    shift = "" if node.plus == 0 else f" {'+' if node.plus > 0 else '-'} {number_text(abs(node.plus))}"
    return f"{name_text(node.left)} {node.operator} {right}{shift}"


def _records(node: Records) -> str:
    out = [node.take, name_text(node.records)]
    if node.where:
        out.append("where " + ", ".join(_write(part, 3) for part in node.where))
    if node.window is not None:
        ends = (("from", node.window.first), ("to", node.window.last))
        out += [f"{word} day {number_text(end)}" for word, end in ends if end is not None]
    if node.has is not None:
        out.append(f"has {_write(node.has, 3)}")
    if node.take == "count":
        out += [f"{s} {n}" for s, n in ((">=", node.at_least), ("<=", node.at_most)) if n is not None]
    if node.absent == "none":
        out.append("absent none")
    return " ".join(out)


def _step(step: Keep | Pick) -> str:
    if isinstance(step, Keep):
        return f"keep {write(step.keep)}"
    right = "" if step.right is None else f" minus {name_text(step.right)}"
    return f"pick {step.pick}{' absolute' if step.absolute else ''} {name_text(step.left)}{right}"


def _alteration(node: Alteration) -> str:
    if node.event == "mutation":
        out = f"mutation of {name_text(node.gene)}"
        if node.classes:
            out += f" class ({', '.join(value_text(entry) for entry in node.classes)})"
        return out + (f" change {value_text(node.protein_change)}" if node.protein_change else "") + _unit(node.unit)
    if node.event == "msi":
        return f"msi in ({', '.join(value_text(entry) for entry in node.one_of)})" + _unit(node.unit)
    subject = node.event if node.event == "tmb" else f"{node.event} of {name_text(node.gene)}"
    return range_text(subject, node) + _unit(node.unit)
