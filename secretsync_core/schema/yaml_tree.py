"""Reads YAML into plain data, with the line of every field, and without anything that YAML can surprise with.

The parser's events are read one by one instead of letting PyYAML build objects: so a deep document is stopped before
it is deep, an anchor is expanded only as far as the budget goes, a field that stands twice is seen, and every text of
an error is ours. Values of the document are never quoted in one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from secretsync_core.errors import Problem
from secretsync_core.schema.known_fields import is_known
from secretsync_core.schema.positions import Path, Positions
from secretsync_core.schema.scalars import TooManyDigits, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64
"""How deep fields may be nested."""

MAX_NODES = 20_000
"""How many fields, elements and values one document may have, with every alias written out."""

MAX_CHARACTERS = 1 << 20
"""How many characters the aliases of one file may stand for: as many as the file itself may have."""

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TAGS = frozenset({None, "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_ODD_BREAK = re.compile("[\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class RawDocument(NamedTuple):
    """One document as it stands in its file. ``whole`` is false where ``data`` is only what could be made of it."""

    file: str
    line: int
    text: str
    data: dict[str, Any]
    positions: Positions
    whole: bool


class _Node:
    """A scalar (``value``), a list (``items``) or a mapping (``pairs``: name, its line, node); aliases share it."""

    __slots__ = ("characters", "depth", "items", "line", "pairs", "size", "value")

    def __init__(self, line: int) -> None:
        self.line = line
        # How many nodes it is, how deep, and how many characters of text, with every alias in it written out.
        self.size = self.depth = 1
        self.characters = 0
        self.value: Any = None
        self.items: list[_Node] | None = None
        self.pairs: list[tuple[str, int, _Node]] | None = None


class _Aliases:
    """What the aliases of one file stand for, counted before any of it is built."""

    __slots__ = ("characters", "nodes")

    def __init__(self) -> None:
        self.nodes = 0
        self.characters = 0

    def add(self, node: _Node, line: int) -> None:
        """Count one alias. Raises _Stop where the file's come to stand for too much."""
        self.nodes += node.size
        self.characters += node.characters
        if self.nodes > MAX_NODES:
            what = f"{MAX_NODES} fields and values"
        elif self.characters > MAX_CHARACTERS:
            what = f"{MAX_CHARACTERS} characters"
        else:
            return
        raise _Stop(line, f"the file's aliases (*...) stand for more than {what}", "Write them out in several files.")


class _Stop(Exception):
    """The rest of these documents cannot be made sense of. Holds the problem."""

    def __init__(self, line: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, message, hint


def _too_deep(line: int) -> _Stop:
    return _Stop(line, f"fields are nested more than {MAX_DEPTH} deep", "")


def read_documents(file: str, text: str) -> tuple[list[RawDocument], list[Problem]]:
    """Read every document of a file's text. One that is broken does not take the others down."""
    documents: list[RawDocument] = []
    problems: list[Problem] = []
    aliases = _Aliases()
    for offset, chunk in _chunks(text.replace("\r\n", "\n").replace("\r", "\n")):
        reader = _Reader(file, offset, chunk, aliases)
        documents += reader.read()
        problems += reader.problems
    return documents, problems


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Split at the lines that start a document, with the number of lines before each part.

    Such a line can stand nowhere else, not even in a block of text, so that each part can be parsed by itself.
    """
    start, lines = 0, text.split("\n")
    for number, line in enumerate([*lines, "---"]):
        if line == "---" or line.startswith(("--- ", "---\t")) or number == len(lines):
            part = lines[start:number]
            if any(not _is_void(line) for line in part):
                yield start, "\n".join(part)
            start = number


def _is_void(line: str) -> bool:
    bare = line.strip()
    return not bare or bare.startswith("#") or line.startswith("%YAML") or bare in ("---", "...")


class _Reader:
    """Reads the documents of one chunk."""

    def __init__(self, file: str, offset: int, text: str, aliases: _Aliases) -> None:
        self._file = file
        self._offset = offset
        self._text = text
        self._anchors: dict[str, _Node | None] = {}
        self._nodes = 0
        self._aliases = aliases
        self._breaks = [found.start() for found in re.finditer("\n", text)] if _ODD_BREAK.search(text) else None
        self.problems: list[Problem] = []

    def read(self) -> list[RawDocument]:
        documents: list[RawDocument] = []
        loader = _Loader(self._text)
        try:
            while (event := loader.get_event()) is not None:
                if not isinstance(event, yaml.DocumentStartEvent):
                    continue
                self._anchors.clear()
                self._nodes = 0
                before = len(self.problems)
                root = self._node(loader, loader.get_event(), 1)
                document = self._document(root)
                if document is not None:
                    documents.append(document._replace(whole=len(self.problems) == before))
        except _Stop as stop:
            self._problem(stop.line, stop.message, stop.hint)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            # What is missing at the end is missing in the last line that says anything, not behind it.
            last = self._text.rstrip(" \n").count("\n") + self._offset + 1
            self._unreadable(min(self._line(mark), last) if mark else self._offset + 1, error.problem or "")
        except yaml.YAMLError:
            self._unreadable(self._offset + 1, "")
        finally:
            loader.dispose()
        return documents

    # From events to nodes

    def _line(self, mark: Any) -> int:
        # To YAML some characters end a line that end none in an editor.
        line = mark.line if self._breaks is None else bisect_left(self._breaks, mark.index)
        return int(line) + self._offset + 1

    def _node(self, loader: Any, event: Any, depth: int) -> _Node:
        line = self._line(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event.anchor, line, depth)
        self._count(line)
        if depth > MAX_DEPTH:
            raise _too_deep(line)
        if event.tag not in _TAGS:
            self._problem(line, "a tag (!...) is not supported", "Leave it out; put text that starts with ! in quotes.")
        node, anchor = _Node(line), event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        inner: list[_Node] = []
        if isinstance(event, yaml.ScalarEvent):
            node.value = self._scalar(event, line)
            node.characters = len(event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            node.items = inner
            while not isinstance(event := loader.get_event(), yaml.SequenceEndEvent):
                inner.append(self._node(loader, event, depth + 1))
        else:
            node.pairs = self._pairs(loader, depth)
            inner = [value for _, _, value in node.pairs]
            node.characters = sum(len(name) for name, _, _ in node.pairs)
            if node.pairs:
                node.line = node.pairs[0][1]
        node.size += sum(each.size for each in inner)
        node.depth += max((each.depth for each in inner), default=0)
        node.characters += sum(each.characters for each in inner)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _aliased(self, anchor: str | None, line: int, depth: int) -> _Node:
        node = self._anchors.get(anchor or "")
        if node is not None:
            if depth + node.depth - 1 > MAX_DEPTH:
                raise _too_deep(line)
            self._aliases.add(node, line)
            return node
        if anchor in self._anchors:
            raise _Stop(line, "an alias (*...) refers to itself", "Write it out.")
        raise _Stop(
            line,
            "an alias (*...) refers to an anchor that is not defined before it",
            "Put text that starts with * in quotes.",
        )

    def _pairs(self, loader: Any, depth: int) -> list[tuple[str, int, _Node]]:
        pairs: list[tuple[str, int, _Node]] = []
        seen: dict[str, int] = {}
        while not isinstance(event := loader.get_event(), yaml.MappingEndEvent):
            line = self._line(event.start_mark)
            name = self._name(event, self._node(loader, event, depth + 1), line)
            value = self._node(loader, loader.get_event(), depth + 1)
            if name is None:
                continue
            if name in seen:
                what = f"duplicate field {name}" if is_known(name) else "a field is set twice"
                self._problem(line, what, f"It is already set in line {seen[name]}.")
                continue
            seen[name] = line
            pairs.append((name, line, value))
        return pairs

    def _name(self, event: Any, node: _Node, line: int) -> str | None:
        if event_is_plain(event) and event.value == "<<":
            self._problem(line, "merging mappings (<<) is not supported", "Write the fields out.")
        elif isinstance(node.value, str):
            return node.value
        elif isinstance(event, yaml.ScalarEvent):
            self._problem(line, "the name of a field is not text", "Put it in quotes.")
        else:
            self._problem(
                line, "the name of a field is a list or mapping", "Put a value that starts with {{ in quotes."
            )
        return None

    def _scalar(self, event: Any, line: int) -> Any:
        if _SURROGATE.search(event.value):
            self._problem(line, "a text contains a lone surrogate", "")
            return ""
        if not event_is_plain(event):
            return event.value
        try:
            return resolve(event.value)
        except TooManyDigits:
            self._problem(line, "a number has too many digits", "If it is meant as text, put it in quotes.")
            return 0

    def _count(self, line: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Stop(
                line,
                f"the document has more than {MAX_NODES} fields and values, with its aliases expanded",
                "Split it into several documents, or write aliases out.",
            )

    # From nodes to data

    def _document(self, root: _Node) -> RawDocument | None:
        if root.pairs is None:
            if root.value is None and root.items is None:
                return None
            self._problem(
                root.line, "the document is not a mapping", "It starts with apiVersion: secretsync.io/v1alpha1."
            )
            return None
        lines: dict[Path, int] = {(): root.line}
        self._nodes = 0
        data = self._plain(root, (), lines)
        return RawDocument(self._file, root.line, self._own_text(), data, Positions(lines), True)

    def _plain(self, node: _Node, path: Path, lines: dict[Path, int]) -> Any:
        self._count(node.line)
        if len(path) >= MAX_DEPTH:
            raise _too_deep(node.line)
        if node.pairs is not None:
            mapping: dict[str, Any] = {}
            for name, line, value in node.pairs:
                lines[*path, name] = line
                mapping[name] = self._plain(value, (*path, name), lines)
            return mapping
        if node.items is not None:
            for index, item in enumerate(node.items):
                lines[*path, index] = item.line
            return [self._plain(item, (*path, index), lines) for index, item in enumerate(node.items)]
        return node.value

    def _own_text(self) -> str:
        return self._text.removeprefix("---").strip("\n") + "\n"

    # Problems

    def _problem(self, line: int, message: str, hint: str) -> None:
        self.problems.append(Problem(self._file, line, message, hint))

    def _unreadable(self, line: int, said: str) -> None:
        number = line - self._offset - 1
        lines = self._text.split("\n")
        own = lines[number] if number < len(lines) else ""
        hint = ""
        if own[: len(own) - len(own.lstrip())].count("\t"):
            hint = "Indent with spaces; YAML does not allow tabs."
        elif "mapping values" in said:
            hint = "Put a value that holds a colon and a space in quotes, or check the indentation."
        elif own.lstrip().startswith("%") or ": %" in own or ": @" in own or ": `" in own:
            hint = "Put a value that starts with %, @ or ` in quotes."
        reason = _reworded(said)
        self._problem(line, f"not readable as YAML{': ' + reason if reason else ''}", hint)


def event_is_plain(event: Any) -> bool:
    """Whether an event is a scalar without quotes and without a tag, so that its text decides what it means."""
    return isinstance(event, yaml.ScalarEvent) and event.tag is None and bool(event.implicit[0])


def _reworded(said: str) -> str:
    """What the parser said, less anything that it may have quoted from the file beyond punctuation."""
    plain = re.sub(r"'(?![^\w\s']{1,2}'|<[a-z ]+>')[^']*'|\"[^\"]*\"", "something", said)
    left = re.sub(r"'[^\w\s']{1,2}'|'<[a-z ]+>'|<[a-z ]+>", "", plain)
    return plain if re.fullmatch(r"[A-Za-z ,()-]*", left) else ""
