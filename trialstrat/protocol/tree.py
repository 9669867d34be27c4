"""YAML text to plain values with the line of every key: YAML 1.2 core schema, nothing executable, nothing unbounded.

The values are built here from the parser's nodes, never by a YAML constructor: tags that make objects, duplicate
keys, merge keys and alias bombs are refused, and only what looks exactly like a number becomes one, so that a
column called ``NO``, ``010`` or ``2020-01-01`` stays the text that was typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from trialstrat.errors import ProtocolError

MAXIMUM_BYTES = 1 << 20
MAXIMUM_NODES = 100_000
MAXIMUM_DEPTH = 40

Path = tuple[str | int, ...]

_CORE = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_CORE + kind for kind in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map"))
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(slots=True, eq=False)
class Tree:
    """The value of a YAML document, the line of each path in it, and each scalar as it was typed."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    typed: dict[Path, str] = field(default_factory=dict)


class _Refusal(Exception):  # noqa: N818 - caught in this file, never seen outside
    """A refusal at a line of the file."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str, name: str) -> Tree:
    """Build the tree of one YAML document.

    Parameters
    ----------
    text : str
        The document.
    name : str
        File name for messages.

    Raises
    ------
    ProtocolError
        When the text is not YAML, holds several documents, or uses a refused feature.
    """
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        if node is None:
            raise _Refusal(1, "the file is empty. Start from the output of `trialstrat init`")
        return _Builder().build(node)
    except _Refusal as fault:
        raise ProtocolError(f"{name}:{fault.line}: {fault}. Nothing written.") from None
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = mark.line + 1 if mark else 1
        what = str(fault.problem or fault.context or "not YAML")
        raise ProtocolError(f"{name}:{line}: not YAML: {what}. Check the indentation and quotes there.") from None
    except YAMLError as fault:
        what = str(fault).splitlines()[0]
        raise ProtocolError(f"{name}: not YAML: {what}. Remove control characters.") from None
    except RecursionError:
        raise ProtocolError(f"{name}: nested deeper than {MAXIMUM_DEPTH} levels. Write a plain file.") from None


class _Builder:
    """Turns nodes into values while counting them: an alias costs as much as what it repeats."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.nodes = 0

    def build(self, node: Node) -> Tree:
        self.tree.value = self._value(node, ())
        return self.tree

    def _value(self, node: Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.nodes += 1
        if self.nodes > MAXIMUM_NODES:
            raise _Refusal(line, f"more than {MAXIMUM_NODES} values once aliases are expanded. Write the values out")
        if len(path) > MAXIMUM_DEPTH:
            raise _Refusal(line, f"nested deeper than {MAXIMUM_DEPTH} levels. Write a plain file")
        if str(node.tag) not in _PLAIN_TAGS:
            raise _Refusal(line, f"tag {_shown_tag(node)} is refused: a protocol holds plain values only. Remove it")
        self.tree.lines.setdefault(path, line)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return tuple(self._value(child, (*path, at)) for at, child in enumerate(node.value))
        return self._scalar(str(node.value), node, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                raise _Refusal(line, "a key must be plain text")
            if str(key_node.tag) not in _PLAIN_TAGS:
                raise _Refusal(
                    line, f"key {_shown_tag(key_node)} is refused (no tags, no merge keys). Write the keys out"
                )
            key = str(key_node.value).strip()
            if key in out:
                raise _Refusal(line, f"key {key!r} stands twice. Keep one")
            self.tree.lines[(*path, key)] = line
            out[key] = self._value(value_node, (*path, key))
        return out

    def _scalar(self, text: str, node: Node, path: Path) -> Any:
        self.tree.typed[path] = text
        plain = isinstance(node, ScalarNode) and not node.style
        return plain_value(text) if plain and str(node.tag) != _CORE + "str" else text


def plain_value(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar: numbers, true/false and null; everything else is text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _shown_tag(node: Node) -> str:
    """The tag in the short form that people type."""
    return str(node.tag).replace(_CORE, "!!", 1)
