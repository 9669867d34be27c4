"""A small tree of an HTML page, made with the standard library's parser, for tests that look at structure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr", "source", "wbr"}


@dataclass(eq=False)
class Node:
    """An element with its attributes, children and the text directly in it."""

    tag: str
    attributes: dict[str, str | None]
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    parts: list[str | Node] = field(default_factory=list)

    def get(self, name: str) -> str:
        return self.attributes.get(name) or ""

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, tag: str, css_class: str = "") -> list[Node]:
        return [n for n in self.walk() if n.tag == tag and (not css_class or css_class in n.get("class").split())]

    def text(self, skip: tuple[str, ...] = ()) -> str:
        """All text inside, without that of the elements to skip."""
        return "".join(
            part if isinstance(part, str) else "" if part.tag in skip else part.text(skip) for part in self.parts
        )


class Page(HTMLParser):
    """A parsed page; ``root`` is its tree, ``unclosed`` what was never closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node(tag="document", attributes={})
        self.open = [self.root]
        self.misnested: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag=tag, attributes=dict(attrs), parent=self.open[-1])
        self.open[-1].children.append(node)
        self.open[-1].parts.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].tag != tag:
            self.misnested.append(f"</{tag}> closes <{self.open[-1].tag}>")
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)

    def all(self, tag: str, css_class: str = "") -> list[Node]:
        return self.root.all(tag, css_class)

    def by_id(self, name: str) -> Node:
        return next(node for node in self.root.walk() if node.get("id") == name)

    def visible_text(self) -> str:
        return self.root.text(skip=("script", "style"))
