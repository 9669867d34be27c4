"""Specification to a drawing that is complete without any script, the same bytes every time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree as ET

import vl_convert

SVG = "http://www.w3.org/2000/svg"
_DROPPED = {"class", "role", "pointer-events", "version", "stroke-miterlimit"}
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
#: Layers that only answer the pointer start with this name; the static drawing does without them.
POINTER_LAYER = "pointer"


def static(spec: Any) -> Any:
    """The specification without its parameters, pointer layers and conditions: what a sheet of paper can show."""
    if isinstance(spec, Mapping):
        kept = {key: value for key, value in spec.items() if key not in ("params", "condition", "tooltip")}
        return {key: value if key == "data" else static(value) for key, value in kept.items() if not _follows(value)}
    if isinstance(spec, list):
        return [
            static(entry)
            for entry in spec
            if not (isinstance(entry, Mapping) and str(entry.get("name", "")).startswith(POINTER_LAYER))
        ]
    return spec


def _follows(value: Any) -> bool:
    """Whether a property follows the zoom, which a static drawing does not have."""
    return isinstance(value, Mapping) and "zoom." in str(value.get("expr", ""))


def draw(spec: Mapping[str, Any], key: str, title: str, description: str) -> str:
    """A chart as inline SVG: real text, no inline style, ids that begin with ``key``, a name for screen readers."""
    raw = vl_convert.vegalite_to_svg(static(spec), allowed_base_urls=[])
    return label(ET.fromstring(raw), key, title, description)


def label(root: ET.Element, key: str, title: str, description: str) -> str:
    """Clean a drawing, give it a name and a description, and write it down."""
    _rename_clips(root, key)
    _clean(root)
    names = [ET.Element(f"{{{SVG}}}title", id=f"{key}-title"), ET.Element(f"{{{SVG}}}desc", id=f"{key}-desc")]
    names[0].text, names[1].text = title, description
    for at, name in enumerate(names):
        root.insert(at, name)
    root.set("role", "img")
    root.set("aria-labelledby", f"{key}-title {key}-desc")
    root.set("focusable", "false")
    ET.register_namespace("", SVG)
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _rename_clips(root: ET.Element, key: str) -> None:
    """Clip paths are numbered by a counter of the whole process: equal ones become one, named after the figure."""
    names: dict[str, str] = {}
    shapes: dict[str, str] = {}
    for parent in list(root.iter(f"{{{SVG}}}defs")):
        for clip in list(parent):
            if not clip.tag.endswith("clipPath"):
                continue
            shape = "".join(ET.tostring(child, encoding="unicode") for child in clip)
            new = shapes.get(shape)
            if new is None:
                new = shapes[shape] = f"{key}-clip{len(shapes) + 1}"
                names[clip.attrib["id"]] = new
                clip.set("id", new)
            else:
                names[clip.attrib["id"]] = new
                parent.remove(clip)
    for element in root.iter():
        reference = element.get("clip-path", "")
        if reference.startswith("url(#"):
            element.set("clip-path", f"url(#{names[reference[5:-1]]})")


def _clean(element: ET.Element) -> None:
    """Drop what only scripts and screen readers of single marks need, round coordinates, drop empty nodes."""
    for name, value in list(element.attrib.items()):
        if name in _DROPPED or name.startswith("aria-") or name == "style" or (name == "opacity" and value == "1"):
            del element.attrib[name]
        elif name not in ("id", "clip-path", "font-family"):
            element.set(name, _NUMBER.sub(_rounded, value))
    for child in list(element):
        _clean(child)
        tag = child.tag.rsplit("}", 1)[-1]
        blank = tag == "path" and (not child.get("d") or not (child.get("stroke") or child.get("fill")))
        if blank or (tag in ("g", "defs") and len(child) == 0):
            element.remove(child)


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@lru_cache(maxsize=1)
def runtime() -> str:
    """The chart library as one script for the page (the same version that made the static drawings)."""
    return vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;")
