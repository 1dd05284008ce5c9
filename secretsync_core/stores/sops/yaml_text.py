"""A YAML file as text in which single values are replaced, so that every other line stays as it is. Pure.

The parser's events are read one by one: each value is known with the place where it stands. What is nested too deeply,
stands twice, or uses anchors, aliases and tags is refused, as it would be read differently by others.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from secretsync_core.schema.scalars import TooManyDigits, resolve
from secretsync_core.stores.sops.values import Broken, is_sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION = "sops"
"""The name under which a file keeps what sops knows of it, at its top."""

MAX_DEPTH = 64
INDENT = 4

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_PLAIN_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_TO_ESCAPE = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


class Node:
    """One value: a leaf with ``value``, a list with ``items``, or an object with ``pairs`` (name, its node, where)."""

    __slots__ = ("end", "flow", "items", "pairs", "start", "value")

    def __init__(self, start: int, end: int, *, flow: bool) -> None:
        self.start, self.end, self.flow = start, end, flow
        self.value: Any = None
        self.items: list[Node] | None = None
        self.pairs: list[tuple[str, int, int, Node]] | None = None

    def plain(self) -> Any:
        """What it is as data."""
        if self.pairs is not None:
            return {name: node.plain() for name, _, _, node in self.pairs}
        return self.value if self.items is None else [node.plain() for node in self.items]


def parse(text: str) -> Node:
    """The object that a file is. Raises Broken."""
    line = None
    try:
        return _parse(text)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
    raise Broken("it is not YAML" + ("" if line is None else f" (line {line + 1})"))


def _parse(text: str) -> Node:
    stack: list[Node] = []
    names: list[tuple[str, int, int] | None] = []  # of each open object, the name whose value comes next
    seen: list[set[str]] = []
    root: Node | None = None
    documents = 0
    read: Any = yaml.parse
    for event in read(text, Loader=_Loader):
        marks: Any = event
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Broken("it holds several YAML documents")
            continue
        if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            node = stack.pop()
            names.pop()
            seen.pop()
            # The end of a block is where the next thing begins; its own end is that of what is last in it.
            last = node.items[-1:] if node.items is not None else [pair[3] for pair in (node.pairs or [])[-1:]]
            node.end = marks.end_mark.index if node.flow or not last else last[0].end
            continue
        if not isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent, yaml.AliasEvent)):
            continue
        line = marks.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None or event.tag is not None:
            raise Broken(f"it uses an anchor, an alias or a tag (line {line})")
        if stack and stack[-1].pairs is not None and names[-1] is None:
            if not isinstance(event, yaml.ScalarEvent):
                raise Broken(f"a name in it is no text (line {line})")
            if event.value in seen[-1]:
                raise Broken(f"a name stands twice (line {line})")
            seen[-1].add(event.value)
            names[-1] = (event.value, marks.start_mark.index, marks.end_mark.index)
            continue
        node = Node(marks.start_mark.index, marks.end_mark.index, flow=getattr(event, "flow_style", None) is True)
        if not stack:
            root = node
        elif (pairs := stack[-1].pairs) is not None:
            pairs.append((*names[-1], node))  # type: ignore[misc]
            names[-1] = None
        else:
            stack[-1].items.append(node)  # type: ignore[union-attr]
        if isinstance(event, yaml.ScalarEvent):
            node.value = _leaf(event, line)
            continue
        if isinstance(event, yaml.MappingStartEvent):
            node.pairs = []
        else:
            node.items = []
        stack.append(node)
        names.append(None)
        seen.append(set())
        if len(stack) > MAX_DEPTH:
            raise Broken(f"it is nested too deeply (line {line})")
    if root is None or root.pairs is None:
        raise Broken("it is no object")
    return root


def _leaf(event: Any, line: int) -> Any:
    if event.style or is_sealed(event.value):
        return event.value
    try:
        return resolve(event.value)
    except TooManyDigits:
        raise Broken(f"a number in it is too large (line {line})") from None


# -- Writing


def render(value: dict[str, Any], indent: int = 0) -> str:
    """An object as lines of YAML."""
    return "".join(_entry(_name(name), each, indent) for name, each in value.items())


def _entry(name: str, value: Any, indent: int) -> str:
    pad = " " * indent
    if isinstance(value, dict) and value:
        return f"{pad}{name}:\n{render(value, indent + INDENT)}"
    if isinstance(value, list) and value:
        return f"{pad}{name}:\n{_items(value, indent + INDENT)}"
    return f"{pad}{name}: {_scalar(value, indent + INDENT)}\n"


def _items(values: list[Any], indent: int) -> str:
    pad, made = " " * indent, []
    for value in values:
        if isinstance(value, dict) and value:
            made.append(f"{pad}-\n{render(value, indent + INDENT)}")
        elif isinstance(value, list) and value:
            made.append(f"{pad}-\n{_items(value, indent + INDENT)}")
        else:
            made.append(f"{pad}- {_scalar(value, indent + INDENT)}\n")
    return "".join(made)


def _scalar(value: Any, indent: int) -> str:
    if isinstance(value, str):
        if is_sealed(value):
            return value
        if value.endswith("\n") and value.isascii() and all(line.strip() == line != "" for line in value.splitlines()):
            return "|\n" + "\n".join(" " * indent + line for line in value.splitlines())
        return _name(value)
    return json.dumps(value)  # null, numbers, booleans, and what is empty


def _name(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) and name.lower() not in _PLAIN_WORDS else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def changed(text: str, root: Node, new: dict[str, Any]) -> tuple[str, Node]:
    """The same file with other values: an object ``new`` in the place of ``root``. Raises Broken where that fails."""
    edits = [(start, end, at, piece) for at, (start, end, piece) in enumerate(_object_edits(text, root, new, 0))]
    # From the end on; of two insertions at one place the inner one, which was found first, comes before the other.
    for start, end, _, piece in sorted(edits, reverse=True):
        text = text[:start] + piece + text[end:]
    try:
        made = parse(text)
    except Broken:
        made = None
    if made is None or not _is(made.plain(), new):
        raise Broken("its form is one that SecretSync cannot change in place; bring it into sops' form by: sops edit")
    return text, made


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, types and the order of names included."""
    return json.dumps(one) == json.dumps(other)


def _is(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a file is what it was to be; its section may stand anywhere."""
    made, wanted = made.copy(), wanted.copy()
    return _same(made.pop(SECTION), wanted.pop(SECTION)) and _same(made, wanted)


def _object_edits(text: str, node: Node, new: dict[str, Any], indent: int) -> Iterator[tuple[int, int, str]]:
    """What is to be replaced in an object, each as where it starts, where it ends, and what comes in its place."""
    pairs = node.pairs or []
    known = {name for name, *_ in pairs}
    if pairs and not node.flow:
        indent = pairs[0][1] - (text.rfind("\n", 0, pairs[0][1]) + 1)
    kept_end = None
    for name, start, end, inner in pairs:
        if name not in new:
            yield _line_start(text, start), _line_end(text, inner.end), ""
            continue
        if name != SECTION or indent:
            kept_end = _line_end(text, inner.end)
        if not _same(inner.plain(), new[name]):
            yield from _value_edits(text, (text[start:end], start, inner), new[name], indent)
    added = {name: each for name, each in new.items() if name not in known}
    if added:
        at = kept_end if kept_end is not None else _line_start(text, pairs[0][1]) if pairs else len(text)
        lead = "\n" if at and text[at - 1] != "\n" else ""
        yield at, at, lead + render(added, indent)


def _value_edits(text: str, entry: tuple[str, int, Node], value: Any, indent: int) -> Iterator[tuple[int, int, str]]:
    name, start, node = entry
    names = node.plain().keys() if node.pairs else set()
    if isinstance(value, dict) and (value.keys() == names if node.flow else value.keys() & names):
        yield from _object_edits(text, node, value, indent + INDENT)
        return
    if isinstance(value, list) and node.items and len(value) == len(node.items) and _all_leaves(value, node.items):
        for item, each in zip(node.items, value, strict=True):
            if not _same(item.value, each):
                yield item.start, item.end, _scalar(each, indent + INDENT)
        return
    if not isinstance(value, (dict, list)) and node.items is None and node.pairs is None and node.end > node.start:
        piece = _scalar(value, indent + INDENT)
        yield node.start, node.end, piece + ("\n" if text[node.start : node.end].endswith("\n") else "")
        return
    piece = _entry(name, value, indent)[indent:]
    yield start, node.end, piece if text[start : node.end].endswith("\n") else piece[:-1]


def _all_leaves(values: list[Any], nodes: list[Node]) -> bool:
    return not any(isinstance(each, (dict, list)) for each in values) and all(
        node.items is None and node.pairs is None for node in nodes
    )


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """Where the line ends that a value ends in, the line break included."""
    if at and text[at - 1] == "\n":  # the text of a block ends with its line
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1
