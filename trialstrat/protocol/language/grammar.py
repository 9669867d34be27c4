"""One-line text to an expression, by recursive descent.

::

    criterion  = expression { ";" expression }
    expression = both { "or" both }
    both       = single { "and" single }
    single     = "not" single | "(" records | expression ")" | "linked" "(" step { ";" step } ")" | test
    records    = take TABLE [ "where" single { "," single } ] [ "from" "day" N ] [ "to" "day" N ] [ "has" single ]
                 [ ">=" N ] [ "<=" N ] [ "absent" "none" ]
    take       = "any" | "every" | "count" | "nearest" | "latest" | "earliest"
    step       = "keep" expression | "pick" ( "least" | "greatest" ) [ "absolute" ] COLUMN [ "minus" COLUMN ]
    test       = [ N ( "<" | "<=" ) ] subject rest [ UNIT ]
    subject    = COLUMN | "tmb" | "msi" | ( "mutation" | "copy_number" | "expression" ) "of" GENE
    rest       = ( "<" | "<=" | ">" | ">=" ) N | "is" VALUE | "is" ( "known" | "unknown" )
                 | [ "not" ] "in" "(" VALUES ")"
                 | ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) [ N "*" ] COLUMN [ ( "+" | "-" ) N ]
                 | [ "class" "(" VALUES ")" ] [ "change" VALUE ]

Names that are no plain words stand in backquotes, text and units in double quotes, both with JSON's escapes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.base import Value
from trialstrat.protocol.language.model import (
    MAXIMUM_DEPTH,
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
from trialstrat.protocol.language.text import KEYWORDS

#: Longest text of one criterion.
MAXIMUM_LENGTH = 20_000

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    |(?P<text>"(?:[^"\\]|\\.)*")|(?P<quoted>`(?:[^`\\]|\\.)*`)|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    |(?P<sign><=|>=|==|!=|[<>(),;*+-]))""",
    re.VERBOSE,
)
_TAKES = ("any", "every", "count", "nearest", "latest", "earliest")
_LOW = {">=": "at_least", ">": "above"}
_HIGH = {"<=": "at_most", "<": "below"}
_MIRROR = {"<=": ">=", "<": ">"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text: its kind, what it says and the character where it starts (from 1)."""

    kind: str
    says: str
    at: int


def parse(text: str) -> tuple[Any, ...]:
    """The expressions of a criterion's text; all of them hold.

    Raises
    ------
    InvalidInputError
        With the character where the text stops making sense, and what was expected there.
    """
    if len(text) > MAXIMUM_LENGTH:
        raise InvalidInputError(f"character {MAXIMUM_LENGTH}: the criterion is too long; split it")
    parser = _Parser(_tokens(text))
    nodes = [parser.expression(1)]
    while parser.takes(";"):
        nodes.append(parser.expression(1))
    parser.expect_end()
    return tuple(nodes)


def _tokens(text: str) -> list[Token]:
    out, at = [], 0
    end = len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise InvalidInputError(f"character {start + 1}: nothing that starts with {text[start]!r} is known here")
        kind = str(found.lastgroup)
        out.append(Token(kind, found.group(kind), found.start(kind) + 1))
        at = found.end()
    out.append(Token("end", "", end + 1))
    return out


class _Parser:
    """Position in the tokens; each method reads one rule of the grammar."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def fault(self, expected: str, token: Token | None = None) -> InvalidInputError:
        token = token or self.next
        seen = f"{token.says!r}" if token.says else "the end"
        return InvalidInputError(f"character {token.at}: expected {expected}, found {seen}")

    def sees(self, *words: str) -> bool:
        return self.next.kind in ("word", "sign") and self.next.says in words

    def takes(self, *words: str) -> str:
        if not self.sees(*words):
            return ""
        self.place += 1
        return self.tokens[self.place - 1].says

    def expect(self, *words: str) -> str:
        found = self.takes(*words)
        if not found:
            raise self.fault(" or ".join(repr(word) for word in words))
        return found

    def expect_end(self) -> None:
        if self.next.kind != "end":
            raise self.fault("'and', 'or', ';' or the end")

    def number(self) -> float:
        if self.next.kind != "number":
            raise self.fault("a number")
        self.place += 1
        return float(self.tokens[self.place - 1].says)

    def name(self) -> str:
        token = self.next
        if token.kind == "quoted":
            self.place += 1
            return self._unescaped(token)
        if token.kind != "word" or token.says in KEYWORDS:
            raise self.fault("a name (put unusual ones in backquotes)")
        self.place += 1
        return token.says

    def text(self) -> str:
        if self.next.kind != "text":
            raise self.fault("text in double quotes")
        self.place += 1
        return self._unescaped(self.tokens[self.place - 1])

    def _unescaped(self, token: Token) -> str:
        try:
            return str(json.loads(f'"{token.says[1:-1]}"'))
        except ValueError:
            raise self.fault("text with JSON's escapes", token) from None

    def value(self) -> Value:
        word = self.takes("true", "false")
        if word:
            return word == "true"
        if self.next.kind == "number":
            number = self.number()
            return int(number) if number.is_integer() and abs(number) < 1e15 else number
        return self.text()

    def values(self) -> tuple[Value, ...]:
        self.expect("(")
        out = [self.value()]
        while self.takes(","):
            out.append(self.value())
        self.expect(")")
        return tuple(out)

    def made(self, model: Any, at: Token, **fields: Any) -> Any:
        """A node, with the fault of an impossible one at its place in the text."""
        try:
            return model(**fields)
        except ValidationError as error:
            raise InvalidInputError(f"character {at.at}: {error.errors()[0]['msg']}") from None

    # -- rules -----------------------------------------------------------------------------------------------------

    def expression(self, depth: int) -> Any:
        if depth > MAXIMUM_DEPTH:
            raise InvalidInputError(f"character {self.next.at}: nested more than {MAXIMUM_DEPTH} deep; split it")
        nodes = [self.both(depth)]
        while self.takes("or"):
            nodes.append(self.both(depth))
        return nodes[0] if len(nodes) == 1 else AnyOf(any=tuple(nodes))

    def both(self, depth: int) -> Any:
        nodes = [self.single(depth)]
        while self.takes("and"):
            nodes.append(self.single(depth))
        return nodes[0] if len(nodes) == 1 else AllOf(all=tuple(nodes))

    def single(self, depth: int) -> Any:
        if depth > MAXIMUM_DEPTH:
            raise InvalidInputError(f"character {self.next.at}: nested more than {MAXIMUM_DEPTH} deep; split it")
        if self.takes("not"):
            return Negation(negated=self.single(depth + 1))
        if self.takes("linked"):
            return self.linked(depth + 1)
        if self.takes("("):
            node = self.records(depth + 1) if self.sees(*_TAKES) else self.expression(depth + 1)
            self.expect(")")
            return node
        return self.test()

    def records(self, depth: int) -> Records:
        at = self.next
        fields: dict[str, Any] = {"take": self.expect(*_TAKES), "records": self.name()}
        if self.takes("where"):
            where = [self.single(depth)]
            while self.takes(","):
                where.append(self.single(depth))
            fields["where"] = tuple(where)
        window = {}
        for word, end in (("from", "first"), ("to", "last")):
            if self.takes(word):
                self.expect("day")
                window[end] = self.number()
        if window:
            fields["window"] = window
        if self.takes("has"):
            fields["has"] = self.single(depth)
        for sign, bound in ((">=", "at_least"), ("<=", "at_most")):
            if self.takes(sign):
                fields[bound] = self.number()
        if self.takes("absent"):
            fields["absent"] = self.expect("none")
        return self.made(Records, at, **fields)

    def linked(self, depth: int) -> Linked:
        at = self.next
        self.expect("(")
        steps = [self.step(depth)]
        while self.takes(";"):
            steps.append(self.step(depth))
        self.expect(")")
        return self.made(Linked, at, linked=tuple(steps))

    def step(self, depth: int) -> Keep | Pick:
        if self.expect("keep", "pick") == "keep":
            return Keep(keep=self.expression(depth))
        at = self.next
        which, absolute = self.expect("least", "greatest"), bool(self.takes("absolute"))
        left = self.name()
        right = self.name() if self.takes("minus") else None
        return self.made(Pick, at, pick=which, absolute=absolute, left=left, right=right)

    def test(self) -> Any:
        at = self.next
        bounds: dict[str, float] = {}
        if at.kind == "number":
            low = self.number()
            bounds[_LOW[_MIRROR[self.expect("<=", "<")]]] = low
        event = self.takes("mutation", "copy_number", "expression", "tmb", "msi")
        if event:
            return self.alteration(at, event, bounds)
        column = self.name()
        if bounds:
            high = _HIGH[self.expect("<=", "<")]
            bounds[high] = self.number()
            return self.made(Condition, at, column=column, **bounds, unit=self.unit())
        return self.rest(at, column)

    def rest(self, at: Token, column: str) -> Any:
        if self.takes("is"):
            word = self.takes("known", "unknown")
            fields = {"present": word == "known"} if word else {"equals": self.value()}
            return self.made(Condition, at, column=column, **fields, unit=self.unit())
        if self.sees("in", "not"):
            key = "none_of" if self.takes("not") else "one_of"
            self.expect("in")
            return self.made(Condition, at, column=column, **{key: self.values()}, unit=self.unit())
        sign = self.expect("<=", "<", ">=", ">", "==", "!=")
        if self.next.kind != "number":
            return self.comparison(at, column, sign, 1.0)
        number = self.number()
        if self.takes("*"):
            return self.comparison(at, column, sign, number)
        if sign not in _LOW and sign not in _HIGH:
            raise InvalidInputError(f"character {at.at}: write 'is' for equal to a value, 'not in' for unequal")
        bound = {**_LOW, **_HIGH}[sign]
        return self.made(Condition, at, column=column, **{bound: number}, unit=self.unit())

    def comparison(self, at: Token, left: str, sign: str, times: float) -> Comparison:
        right, plus = self.name(), 0.0
        shift = self.takes("+", "-")
        if shift:
            plus = self.number() * (1 if shift == "+" else -1)
        return self.made(Comparison, at, left=left, operator=sign, right=right, times=times, plus=plus)

    def alteration(self, at: Token, event: str, bounds: dict[str, float]) -> Any:
        fields: dict[str, Any] = {"event": event, **bounds}
        if event not in ("tmb", "msi"):
            self.expect("of")
            fields["gene"] = self.name()
        if event == "mutation":
            fields["classes"] = self.values() if self.takes("class") else ()
            fields["protein_change"] = self.text() if self.takes("change") else ""
        elif event == "msi":
            self.expect("in")
            fields["one_of"] = self.values()
        elif bounds:
            high = _HIGH[self.expect("<=", "<")]
            fields[high] = self.number()
        else:
            sign = self.expect("<=", "<", ">=", ">")
            fields[{**_LOW, **_HIGH}[sign]] = self.number()
        return self.made(Alteration, at, **fields, unit=self.unit())

    def unit(self) -> str:
        return self.text() if self.next.kind == "text" else ""
