"""Reads a protocol file: every error at once, each with its line, what was probably meant, and the mend."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from trialstrat.errors import ProtocolError
from trialstrat.protocol.base import Declared
from trialstrat.protocol.language.criterion import CriteriaSet
from trialstrat.protocol.model import Protocol
from trialstrat.protocol.published_model import PublishedModel
from trialstrat.protocol.tree import MAXIMUM_BYTES, Tree, parse

Model = TypeVar("Model", bound=Declared)

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list, [like, this]",
    "dict_type": "a mapping of key: value lines",
    "model_type": "a mapping of key: value lines",
    "model_attributes_type": "a mapping of key: value lines",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedProtocol:
    """A protocol with where it came from: file, hash of its bytes and the line of every dotted path in it."""

    protocol: Protocol
    path: Path
    sha256: str
    lines: Mapping[str, int]

    @property
    def folder(self) -> Path:
        """The folder of the file: the default root of relative data paths."""
        return self.path.parent

    def line(self, path: str) -> int | None:
        """Line of a dotted path, or of the nearest enclosing entry that was written; None when nothing was."""
        parts = path.split(".")
        for end in range(len(parts), 0, -1):
            found = self.lines.get(".".join(parts[:end]))
            if found is not None:
                return found
        return None


def load_protocol(path: str | Path) -> LoadedProtocol:
    """Read, check and freeze a protocol file.

    Parameters
    ----------
    path : str or Path
        A YAML 1.2 file.

    Returns
    -------
    LoadedProtocol
        The protocol, its path, the sha256 of its bytes (followed by those of published models in files of their own)
        and the lines of its entries.

    Raises
    ------
    ProtocolError
        With one line ``file:line: path: what, did you mean X, mend`` per fault.
    """
    path = Path(path)
    data = _read_bytes(path)
    tree = parse(_decode(data, path.name), path.name)
    if not isinstance(tree.value, dict):
        raise ProtocolError(f"{path.name}:1: a protocol is a mapping of key: value lines. Nothing written.")
    digest = hashlib.sha256(data)
    for payload in _with_published(tree, path):
        digest.update(payload)
    protocol = _validate(Protocol, tree, path.name)
    return LoadedProtocol(protocol=protocol, path=path, sha256=digest.hexdigest(), lines=_dotted(tree))


def _with_published(tree: Tree, path: Path) -> list[bytes]:
    """Put the models of files that ``published_models:`` names in place of their names; the bytes of these files."""
    declared = tree.value.get("published_models")
    if not isinstance(declared, list | tuple):
        return []
    models, read = [], []
    for entry in declared:
        if isinstance(entry, str):
            payload = _read_bytes(path.parent / entry)
            own = parse(_decode(payload, entry), entry)
            _validate(PublishedModel, own, entry)
            read.append(payload)
            entry = own.value
        models.append(entry)
    tree.value = {**tree.value, "published_models": type(declared)(models)}
    return read


def load_criteria(path: Path) -> tuple[CriteriaSet, dict[str, int]]:
    """Criteria written as a file of their own, and the line of every dotted path in it.

    Raises
    ------
    ProtocolError
        With one line ``file:line: path: what, mend`` per fault.
    """
    tree = parse(_decode(_read_bytes(path), path.name), path.name)
    if not isinstance(tree.value, dict):
        raise ProtocolError(f"{path.name}:1: a criteria file is a mapping of key: value lines. Nothing written.")
    return _validate(CriteriaSet, tree, path.name), _dotted(tree)


def _dotted(tree: Tree) -> dict[str, int]:
    return {".".join(str(part) for part in at): line for at, line in tree.lines.items() if at}


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            what = "is not a plain file" if path.exists() else "does not exist"
            raise ProtocolError(f"{path.name[:200]}: the protocol file {what}. Check the path; nothing written.")
        with path.open("rb") as stream:
            data = stream.read(MAXIMUM_BYTES + 1)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise ProtocolError(f"{path.name[:200]}: cannot be read: {reason}. Nothing written.") from None
    if len(data) > MAXIMUM_BYTES:
        raise ProtocolError(f"{path.name}: larger than {MAXIMUM_BYTES} bytes: not a protocol. Nothing written.")
    return data


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise ProtocolError(f"{name}:{line}: not UTF-8 at byte {fault.start}. Save the file as UTF-8.") from None


def _validate(model: type[Model], tree: Tree, name: str) -> Model:
    """Validate strictly; what must be text and was typed as a number or true/false counts as the text typed."""
    try:
        return model.model_validate(tree.value, strict=True)
    except ValidationError as first:
        data = _with_text(tree, first)
    try:
        return model.model_validate(data, strict=True)
    except ValidationError as fault:
        raise ProtocolError(*_messages(fault, tree, name, model)) from None


def _with_text(tree: Tree, fault: ValidationError) -> Any:
    """A copy of the tree in which scalars that must be text are the text that was typed (``column: 010``)."""
    data = tree.value
    for error in fault.errors(include_url=False, include_context=False):
        path = _written(error["loc"], tree)
        if error["type"] == "string_type" and path in tree.typed and error["input"] is not None:
            data = _replaced(data, path, tree.typed[path])
    return data


def _replaced(data: Any, path: Sequence[str | int], value: str) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(data, dict):
        return {key: _replaced(entry, rest, value) if key == head else entry for key, entry in data.items()}
    return tuple(_replaced(entry, rest, value) if at == head else entry for at, entry in enumerate(data))


def _written(loc: Sequence[str | int], tree: Tree) -> tuple[str | int, ...]:
    """The part of an error's location that stands in the file (unions and function names add parts of their own)."""
    path: tuple[str | int, ...] = ()
    for part in loc:
        if (*path, part) in tree.lines:
            path = (*path, part)
    return path


def _messages(fault: ValidationError, tree: Tree, name: str, model: type[Declared]) -> list[str]:
    """One line per fault, in file order; a union that fails in several ways is one fault."""
    found: dict[tuple[int, str], str] = {}
    errors = fault.errors(include_url=False)
    for error in errors:
        path = _written(error["loc"], tree)
        if error["type"] == "too_short" and any(_inside(other["loc"], error["loc"]) for other in errors):
            continue  # the list only looks empty because its entries have faults of their own
        line = tree.lines.get(path, 1)
        shown = ".".join(str(part) for part in (error["loc"] if error["type"] == "missing" else path)) or "protocol"
        found.setdefault((line, shown), f"{name}:{line}: {shown}: {_explain(error, path, model)}")
    return [found[key] for key in sorted(found)]


def _inside(inner: Sequence[str | int], outer: Sequence[str | int]) -> bool:
    return len(inner) > len(outer) and tuple(inner[: len(outer)]) == tuple(outer)


def _explain(error: Any, path: tuple[str | int, ...], model: type[Declared]) -> str:
    """What is wrong and the mend, in words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1], model)
        near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(sorted(known))}."
        return f"unknown key, {hint} Rename or remove it."
    if kind == "missing":
        return f"required key {error['loc'][-1]!r} is missing. Add it."
    if kind == "literal_error":
        near = difflib.get_close_matches(str(error["input"]), str(context["expected"]).replace("'", "").split(), n=1)
        hint = f", did you mean {near[0].strip(',')}?" if near else "."
        return f"{_short(error['input'])} is not one of {context['expected']}{hint}"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}, found {_short(error['input'])}."
    if kind == "value_error":
        return f"{context['error']}."
    if kind == "string_pattern_mismatch":
        return f"{_short(error['input'])} does not have the form {context['pattern']}."
    message = str(error["msg"])
    return f"{message[:1].lower()}{message[1:]}, found {_short(error['input'])}."


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, dict) else "a mapping"
    return text if len(text) <= 60 else text[:57] + "..."


def _known_keys(path: Sequence[str | int], model: type[Declared]) -> list[str]:
    """The keys that the schema knows at a path."""
    schema = model.model_json_schema()
    node = schema
    for part in path:
        node = _resolved(node, schema)
        step = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
        if step is None:
            return []
        node = step
    return list(_resolved(node, schema).get("properties", {}))


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and the first object or array of a union."""
    while True:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        elif "anyOf" in node or "oneOf" in node:
            among = node.get("anyOf", node.get("oneOf", ()))
            node = next((entry for entry in among if entry.keys() & {"$ref", "items", "oneOf"}), {})
        else:
            return node
