"""A YAML file as text in which single values are replaced, so that every other line stays as it is. Pure.

The parser's events are read one by one: each value is known with the place where it stands. What is nested too deeply,
stands twice, uses anchors, aliases, merge keys and tags, or is a number, a date or a text by the reader's version of
YAML is refused, as it would be read differently by others.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from secretsync_core.schema.scalars import TooManyDigits, resolve
from secretsync_core.stores.sops.lists import pairs_of
from secretsync_core.stores.sops.values import Broken, finite, is_sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION = "sops"
"""The name under which a file keeps what sops knows of it, at its top."""

MAX_DEPTH = 64
MAX_ALIASED = 10_000
"""How many values aliases may stand for: a short text could say a great many by them."""

INDENT = 4

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_PLAIN_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_AMBIGUOUS = re.compile(
    r"[-+]?0[0-9][0-9_]*|[-+]?0[box][0-9a-f_]*|[-+]?[0-9]+_[0-9_]*(\.[0-9_]*)?(e[-+]?[0-9_]+)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9:.zZ+ -]*)?",
    re.IGNORECASE,
)
"""What sops takes for an octal, binary or grouped number, or for a date, and most others for something else."""

_PLAIN_NUMBER = re.compile(r"0x[0-9a-f]+|0o[0-7]+", re.IGNORECASE)
_MERGE = "<<"
_WRITE_OUT = "write out what it stands for, by an editor or by sops edit"
_IN_QUOTES = "put it in quotes: sops edit"
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


def parse(text: str, *, aliases: bool = False) -> Node:
    """The object that a file is. Raises Broken.

    ``aliases``: it is a file of rules, in which there may be anchors, and which is never written.
    """
    line = None
    try:
        return _parse(text, aliases=aliases)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
    raise Broken("it is not YAML" + ("" if line is None else f" (line {line + 1})"), "correct that line, by an editor")


def _parse(text: str, *, aliases: bool) -> Node:
    known: dict[str, Node] = {}  # by their anchors
    stack: list[Node] = []
    names: list[tuple[str, int, int] | None] = []  # of each open object, the name whose value comes next
    seen: list[set[str]] = []
    root: Node | None = None
    documents = aliased = 0
    read: Any = yaml.parse
    for event in read(text, Loader=_Loader):
        marks: Any = event
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Broken("it holds several YAML documents", "put each into a file of its own")
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
        if getattr(event, "tag", None) is not None or (event.anchor is not None and not aliases):
            raise Broken(f"it uses an anchor, an alias or a tag (line {line})", _WRITE_OUT)
        if stack and stack[-1].pairs is not None and names[-1] is None:
            if not isinstance(event, yaml.ScalarEvent) or not isinstance(_leaf(event, line, exact=not aliases), str):
                raise Broken(f"a name in it is no text (line {line})", _IN_QUOTES)
            if event.value == _MERGE and not event.style:
                raise Broken(f"it uses a merge key, {_MERGE} (line {line})", _WRITE_OUT)
            if event.value in seen[-1]:
                raise Broken(f"a name stands twice (line {line})", "take one of them out: sops edit")
            seen[-1].add(event.value)
            names[-1] = (event.value, marks.start_mark.index, marks.end_mark.index)
            continue
        if isinstance(event, yaml.AliasEvent):
            node = known.get(str(event.anchor)) or root or Node(0, 0, flow=True)
            aliased += 1 + len(node.items or ())
            if aliased > MAX_ALIASED or node in stack or not _is_simple(node):
                raise Broken(f"it uses an alias for more than texts and lists of them (line {line})", _WRITE_OUT)
        else:
            node = Node(marks.start_mark.index, marks.end_mark.index, flow=getattr(event, "flow_style", None) is True)
            if event.anchor is not None:
                known[event.anchor] = node
        if not stack:
            root = node
        elif (pairs := stack[-1].pairs) is not None:
            pairs.append((*names[-1], node))  # type: ignore[misc]
            names[-1] = None
        else:
            stack[-1].items.append(node)  # type: ignore[union-attr]
        if isinstance(event, yaml.AliasEvent):
            continue
        if isinstance(event, yaml.ScalarEvent):
            node.value = _leaf(event, line, exact=not aliases)
            continue
        if isinstance(event, yaml.MappingStartEvent):
            node.pairs = []
        else:
            node.items = []
        stack.append(node)
        names.append(None)
        seen.append(set())
        if len(stack) > MAX_DEPTH:
            raise Broken(f"it is nested too deeply (line {line})", f"at most {MAX_DEPTH} levels are read")
    if root is None or root.pairs is None:
        raise Broken("it is no object", "give it names at its top")
    return root


def _is_simple(node: Node) -> bool:
    """Whether this is a leaf, or a list of them, and read to its end."""
    return node.pairs is None and all(each.items is None and each.pairs is None for each in node.items or ())


def _leaf(event: Any, line: int, *, exact: bool) -> Any:
    if event.style or is_sealed(event.value):
        return event.value
    if exact and _AMBIGUOUS.fullmatch(event.value) and not _PLAIN_NUMBER.fullmatch(event.value):
        raise Broken(f"what stands on line {line} is a number or a date to some readers of YAML only", _IN_QUOTES)
    try:
        found = resolve(event.value)
    except TooManyDigits:
        raise Broken(f"a number in it is too large (line {line})", _IN_QUOTES) from None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return found
    if not exact:  # sops takes what looks like a number there for a text: a fingerprint may begin with zeros
        return event.value if found else found
    return finite(found) if isinstance(found, float) else found


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
    for edits in (_Edits(text), _Edits(text, whole_lists=True)):
        made = edits.made(root, new)
        try:
            found = parse(made)
        except Broken:
            continue
        if _is(found.plain(), new):
            return made, found
    raise Broken(
        "its form is one that SecretSync cannot change in place",
        "bring it into sops' form: save it once by sops edit",
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, types and the order of names included."""
    return json.dumps(one) == json.dumps(other)


def _is(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a file is what it was to be; its section may stand anywhere, and what is in it in any order."""
    made, wanted = made.copy(), wanted.copy()
    sections = [json.dumps(each.pop(SECTION), sort_keys=True) for each in (made, wanted)]
    return sections[0] == sections[1] and _same(made, wanted)


class _Edits:
    """What is to be replaced in a text, each as where it starts, where it ends, and what comes in its place."""

    def __init__(self, text: str, *, whole_lists: bool = False) -> None:
        """``whole_lists``: a list that changes in more than its texts is written anew, without its comments."""
        self._text = text
        self._whole_lists = whole_lists

    def made(self, root: Node, new: dict[str, Any]) -> str:
        """The text with other values."""
        text, found = self._text, enumerate(self._object(root, new, 0))
        edits = [(start, end, at, piece) for at, (start, end, piece) in found]
        # From the end on; of two insertions at one place the inner one, which was found first, comes before the other.
        for start, end, _, piece in sorted(edits, reverse=True):
            text = text[:start] + piece + text[end:]
        return text

    def _object(self, node: Node, new: dict[str, Any], indent: int) -> Iterator[tuple[int, int, str]]:
        text, pairs = self._text, node.pairs or []
        known = {name for name, *_ in pairs}
        if pairs and not node.flow:
            indent = pairs[0][1] - _line_start(text, pairs[0][1])
        kept_end = None
        gone = self._leading(pairs, new)
        if gone:
            yield from self._moved_up(pairs[0][1], pairs[gone][1])
        for name, start, end, inner in pairs[gone:]:
            if name not in new:
                yield _line_start(text, start), _line_end(text, inner.end), ""
                continue
            if name != SECTION or indent:
                kept_end = _line_end(text, inner.end)
            if not _same(inner.plain(), new[name]):
                yield from self._value((text[start:end], start, inner), new[name], indent)
        added = {name: each for name, each in new.items() if name not in known}
        if added:
            at = kept_end if kept_end is not None else _line_start(text, pairs[0][1]) if pairs else len(text)
            lead = "\n" if at and text[at - 1] != "\n" else ""
            yield at, at, lead + render(added, indent)

    def _leading(self, pairs: list[tuple[str, int, int, Node]], new: dict[str, Any]) -> int:
        """How many names go at the beginning of an object that begins behind the dash of a list."""
        if not pairs or not self._text[_line_start(self._text, pairs[0][1]) : pairs[0][1]].strip():
            return 0
        return next((at for at, (name, *_) in enumerate(pairs) if name in new), 0)

    def _moved_up(self, start: int, kept: int) -> Iterator[tuple[int, int, str]]:
        """What stands at ``kept`` moves to the dash at ``start``; comments in between go before it."""
        at = _line_start(self._text, start)
        pad = " " * (len(self._text[at:start]) - len(self._text[at:start].lstrip()))
        between = self._text[start:kept].split("\n")[1:]
        comments = "".join(f"{pad}{line.strip()}\n" for line in between if line.strip().startswith("#"))
        if comments:
            yield at, at, comments
        yield start, kept, ""

    def _value(self, entry: tuple[str, int, Node], value: Any, indent: int) -> Iterator[tuple[int, int, str]]:
        name, start, node = entry
        inner = self._inner(node, value, indent)
        if inner is not None:
            yield from inner
            return
        text, piece = self._text, _entry(name, value, indent)[indent:]
        yield start, node.end, piece if text[start : node.end].endswith("\n") else piece[:-1]

    def _inner(self, node: Node, value: Any, indent: int) -> Iterator[tuple[int, int, str]] | None:
        """The edits within a value; None where it has to be written anew as a whole."""
        names = node.plain().keys() if node.pairs else set()
        if isinstance(value, dict) and (value.keys() == names if node.flow else value.keys() & names):
            return self._object(node, value, indent + INDENT)
        if isinstance(value, list) and value and node.items:
            if not self._whole_lists and not node.flow:
                return self._list(node, value) if self._keeps_first(node, value) else None
            if len(value) == len(node.items) and _all_leaves(value, node.items):
                return self._texts(node.items, value, indent)
            return None
        if not isinstance(value, (dict, list)) and node.items is None and node.pairs is None and node.end > node.start:
            return self._leaf(node, value, indent)
        return None

    def _leaf(self, node: Node, value: Any, indent: int) -> Iterator[tuple[int, int, str]]:
        piece = _scalar(value, indent + INDENT)
        yield node.start, node.end, piece + ("\n" if self._text[node.start : node.end].endswith("\n") else "")

    def _texts(self, items: list[Node], values: list[Any], indent: int) -> Iterator[tuple[int, int, str]]:
        for item, each in zip(items, values, strict=True):
            if not _same(item.value, each):
                yield item.start, item.end, _scalar(each, indent + INDENT)

    def _list(self, node: Node, values: list[Any]) -> Iterator[tuple[int, int, str]]:
        """The edits of a list with an item on each line: comments between them stay."""
        items = node.items or []
        dashes = [self._dash(node, items, at) for at in range(len(items))]
        indent = dashes[0] - _line_start(self._text, dashes[0])
        place = _line_start(self._text, dashes[0])
        for old, new in pairs_of([item.plain() for item in items], values):
            if old is None and new is not None:
                lead = "\n" if place and self._text[place - 1] != "\n" else ""
                yield place, place, lead + _items([values[new]], indent)
            elif old is not None:
                place = _line_end(self._text, items[old].end)
                if new is None:
                    yield _line_start(self._text, dashes[old]), place, ""
                elif not _same(items[old].plain(), values[new]):
                    yield from self._item(items[old], dashes[old], values[new], indent)

    def _keeps_first(self, node: Node, values: list[Any]) -> bool:
        """Whether a list keeps its first item, if that stands behind the dash of a list around it: ``- - x``."""
        if not self._text[_line_start(self._text, node.start) : node.start].strip():
            return True
        old, new = next(pairs_of([item.plain() for item in node.items or ()], values))
        return old is not None and new is not None

    def _item(self, item: Node, dash: int, value: Any, indent: int) -> Iterator[tuple[int, int, str]]:
        inner = self._inner(item, value, indent)
        if inner is not None:
            yield from inner
            return
        piece = _items([value], indent)[indent:]
        yield dash, item.end, piece if self._text[: item.end].endswith("\n") else piece[:-1]

    def _dash(self, node: Node, items: list[Node], at: int) -> int:
        """Where the dash of an item stands: the last one before it, for in between there are only comments."""
        if not at:
            return node.start
        low = items[at - 1].end
        between = self._text[low : items[at].start]
        for line in reversed(list(re.finditer(r"[^\n]+", between))):
            if line[0].lstrip().startswith("-"):
                return low + line.start() + len(line[0]) - len(line[0].lstrip())
        return items[at].start


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
