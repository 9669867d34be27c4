"""One line of a TrialPathfinder rule, by recursive descent; nothing of it is evaluated as a program."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.model import MAXIMUM_DEPTH, AllOf, AnyOf, Comparison, Keep, Pick
from trialstrat.protocol.model import Condition, Value

_TOKEN = re.compile(
    r"""\s*(?:(?P<column>[A-Za-z_]\w*\s*\[\s*'[^']*'\s*\])|(?P<text>'[^']*')|(?P<days>@[A-Za-z]+\s*\(\s*\d+\s*\))
    |(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(?P<word>[A-Za-z]+)|(?P<sign><=|>=|==|!=|[<>()*+-]))""",
    re.VERBOSE,
)
_DAYS = {"@DAYS": 1, "@MONTHS": 30, "@YEARS": 365}
_COMPARE = frozenset(("<", "<=", ">", ">=", "==", "!="))
_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_BOUND = {"<": "below", "<=": "at_most", ">": "above", ">=": "at_least"}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    says: str
    at: int


@dataclass(slots=True)
class _Side:
    """One side of a comparison: columns times factors, plus a number; or a text or truth value alone."""

    columns: dict[str, float] = field(default_factory=dict)
    plus: float = 0.0
    value: Value | None = None


def parse_line(line: str) -> Keep | Pick:
    """The step that a line is.

    Raises
    ------
    InvalidInputError
        With the character where the line stops making sense.
    """
    # the published rules carry typographic quotes from a word processor
    reader = _Reader(_tokens(line.replace("\u2018", "'").replace("\u2019", "'")))
    step = reader.pick() if reader.sees("MIN", "MAX") else Keep(keep=reader.either(1))
    reader.end()
    return step


def _tokens(line: str) -> list[_Token]:
    out, at, end = [], 0, len(line.rstrip())
    while at < end:
        found = _TOKEN.match(line, at)
        if found is None:
            rest = line[at:].lstrip()
            raise InvalidInputError(f"character {len(line) - len(rest) + 1}: nothing known starts with {rest[0]!r}")
        kind = str(found.lastgroup)
        out.append(_Token(kind, found.group(kind), found.start(kind) + 1))
        at = found.end()
    return [*out, _Token("end", "", end + 1)]


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.place = 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def fault(self, expected: str) -> InvalidInputError:
        seen = repr(self.next.says) if self.next.says else "the end"
        return InvalidInputError(f"character {self.next.at}: expected {expected}, found {seen}")

    def sees(self, *words: str) -> bool:
        return self.next.kind in ("word", "sign") and self.next.says in words

    def takes(self, *words: str) -> str:
        if not self.sees(*words):
            return ""
        self.place += 1
        return self.tokens[self.place - 1].says

    def expect(self, word: str) -> None:
        if not self.takes(word):
            raise self.fault(repr(word))

    def end(self) -> None:
        if self.next.kind != "end":
            raise self.fault("AND, OR or the end of the line")

    def pick(self) -> Pick:
        which = "least" if self.takes("MIN", "MAX") == "MIN" else "greatest"
        self.expect("(")
        absolute = bool(self.takes("ABS"))
        if absolute:
            self.expect("(")
        side = self.side(1)
        for _ in range(1 + absolute):
            self.expect(")")
        factors = list(side.columns.values())
        if side.value is not None or side.plus or factors not in ([1.0], [1.0, -1.0]):
            raise self.fault("one column, or one minus another, inside MIN or MAX")
        left, right = (*side.columns, None)[:2]
        return Pick(pick=which, left=str(left), right=right, absolute=absolute)

    def either(self, depth: int) -> Any:
        nodes = [self.both(depth)]
        while self.takes("OR"):
            nodes.append(self.both(depth))
        return nodes[0] if len(nodes) == 1 else AnyOf(any=tuple(nodes))

    def both(self, depth: int) -> Any:
        nodes = [self.single(depth)]
        while self.takes("AND"):
            nodes.append(self.single(depth))
        return nodes[0] if len(nodes) == 1 else AllOf(all=tuple(nodes))

    def single(self, depth: int) -> Any:
        if depth > MAXIMUM_DEPTH:
            raise InvalidInputError(f"character {self.next.at}: nested more than {MAXIMUM_DEPTH} deep")
        if self.sees("(") and self.holds_comparison():
            self.expect("(")
            node = self.either(depth + 1)
            self.expect(")")
            return node
        return self.comparison(depth)

    def holds_comparison(self) -> bool:
        """Whether the bracket that opens here holds a comparison, or only arithmetic."""
        level = 0
        for token in self.tokens[self.place :]:
            level += (token.says == "(" and token.kind == "sign") - (token.says == ")" and token.kind == "sign")
            if level == 0:
                return False
            if token.kind == "sign" and token.says in _COMPARE:
                return True
        return False

    def comparison(self, depth: int) -> Any:
        at = self.next.at
        left = self.side(depth)
        if self.next.says not in _COMPARE:
            raise self.fault("a comparison (<, <=, >, >=, ==, !=)")
        sign = self.takes(*_COMPARE)
        right = self.side(depth)
        if left.value is not None:
            left, right, sign = right, left, _MIRROR[sign]
        try:
            node = _valued(left, right, sign) if right.value is not None else _numeric(left, right, sign)
        except ValidationError as error:  # a number beyond the largest
            raise InvalidInputError(f"character {at}: {error.errors()[0]['msg']}") from None
        if node is None:
            raise InvalidInputError(
                f"character {at}: a comparison needs one column or two, and text only with == or !="
            )
        return node

    def side(self, depth: int) -> _Side:
        if depth > MAXIMUM_DEPTH:
            raise InvalidInputError(f"character {self.next.at}: nested more than {MAXIMUM_DEPTH} deep")
        out = self.term(depth)
        while self.sees("+", "-"):
            factor = 1.0 if self.takes("+", "-") == "+" else -1.0
            _add(out, self.term(depth), factor)
        return out

    def term(self, depth: int) -> _Side:
        if self.takes("("):
            out = self.side(depth + 1)
            self.expect(")")
            return out
        word = self.takes("True", "False")
        if word:
            return _Side(value=word == "True")
        token = self.next
        negative = bool(self.takes("-"))
        token = self.next
        self.place += token.kind != "end"
        if token.kind == "number":
            number = float(token.says) * (-1 if negative else 1)
            if not self.takes("*"):
                return _Side(plus=number)
            out = _Side()
            _add(out, self.term(depth + 1), number)
            return out
        if token.kind == "days" and token.says.partition("(")[0].strip() in _DAYS:
            unit, _, count = token.says.rstrip(") ").partition("(")
            return _Side(plus=_DAYS[unit.strip()] * float(count))
        if token.kind == "text" and not negative:
            return _Side(value=token.says[1:-1])
        if token.kind == "column" and not negative:
            table, _, name = token.says.partition("[")
            return _Side(columns={f"{table.strip().lower()}.{name.strip()[1:].rpartition(chr(39))[0]}": 1.0})
        self.place -= token.kind != "end"
        raise self.fault("Table['column'], a number, text in quotes or @DAYS(n)")


def _add(into: _Side, other: _Side, factor: float) -> None:
    if into.value is not None or other.value is not None:
        raise InvalidInputError("text and truth values cannot be added or multiplied")
    for name, times in other.columns.items():
        into.columns[name] = into.columns.get(name, 0.0) + factor * times
    into.plus += factor * other.plus


def _valued(left: _Side, right: _Side, sign: str) -> Condition | None:
    """A column against text or a truth value."""
    if list(left.columns.values()) != [1.0] or left.plus or right.value is None or sign not in ("==", "!="):
        return None
    (name,) = left.columns
    if sign == "==":
        return Condition(column=name, equals=right.value)
    return Condition(column=name, none_of=(right.value,))


def _numeric(left: _Side, right: _Side, sign: str) -> Condition | Comparison | None:
    """Columns brought to the left, the number to the right."""
    _add(left, right, -1.0)
    columns = {name: times for name, times in left.columns.items() if times}
    if not 1 <= len(columns) <= 2:
        return None
    (name, times), *others = columns.items()
    sign = sign if times > 0 else _MIRROR[sign]
    number = -left.plus / times
    if others:
        return Comparison(left=name, operator=sign, right=others[0][0], times=-others[0][1] / times, plus=number)  # type: ignore[arg-type]
    value: Value = int(number) if number.is_integer() else number
    if sign == "==":
        return Condition(column=name, equals=value)
    if sign == "!=":
        return Condition(column=name, none_of=(value,))
    bound: dict[str, Any] = {_BOUND[sign]: number}
    return Condition(column=name, **bound)
