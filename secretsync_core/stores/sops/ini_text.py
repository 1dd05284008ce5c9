"""An INI file as sops has them: sections of texts, what stands before the first of them in a section ``DEFAULT``. Pure.

Read as the library reads them that sops has, but for values and names over several lines and in odd quotes, which are
refused. sops' own section has its values as lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.model.field_names import listed
from secretsync_core.stores.sops.flat import flattened, unflattened
from secretsync_core.stores.sops.values import Broken
from secretsync_core.stores.sops.yaml_text import SECTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOP = "DEFAULT"
"""What sops calls the section of what stands before all others."""

_COMMENT = ("#", ";")
_EDIT = "change it by: sops edit"
_QUOTES = ("'", '"')
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_. /-]*[A-Za-z0-9_./-])?")  # every reader takes these as they are
_PART = re.compile(r"(\s*+)((?:[^=:\s]++|\s++(?![=:]))*+)(\s*+[=:][^\S\n]*+)(.*+)", re.DOTALL)
"""What comes before a name, the name, what separates it from its value, and that: each takes what it can, once."""


class _Line(NamedTuple):
    """A line: of a section with ``name`` alone, or of a value with its ``key``; else a comment, or blank."""

    text: str
    section: str
    key: str | None = None
    value: str = ""
    head: bool = False


def _lines(text: str) -> Iterator[_Line]:
    """The lines of a file. Raises Broken."""
    section = TOP
    for number, line in enumerate(text.split("\n"), start=1):
        plain = line.strip()
        if not plain or plain.startswith(_COMMENT):
            yield _Line(line, section)
        elif plain.startswith("["):
            name, bracket, rest = plain[1:].rpartition("]")
            if not bracket or not name.strip() or (rest.strip() and not rest.strip().startswith(_COMMENT)):
                raise Broken(f"it is no INI file: the section in line {number} has no name, or more than that", _EDIT)
            section = name
            yield _Line(line, section, head=True)
        else:
            made = _PART.fullmatch(line)
            if made is None or not made[2] or made[2] == "-" or made[2].startswith(('"', "`")):
                raise Broken(f"it is no INI file that is read here: line {number} is not NAME = VALUE", _EDIT)
            yield _Line(line, section, made[2], _value(made[4].strip(), number))


def _value(text: str, number: int) -> str:
    """What a value says. Raises Broken."""
    for quote in ('"""', "`"):
        if text.startswith(quote):
            inner, closing, _ = text[len(quote) :].rpartition(quote)
            if not closing:
                raise Broken(f"a value in it has several lines (line {number})", _EDIT)
            return inner
    if text.endswith("\\"):
        raise Broken(f"a value in it has several lines (line {number})", _EDIT)
    at = min((found for mark in _COMMENT if (found := text.find(mark)) >= 0), default=len(text))
    text = text[:at].strip()
    for quote in _QUOTES:
        if len(text) > 1 and text[0] == quote and text.find(quote, 1) == len(text) - 1:
            return text[1:-1]
    return text


def parse(text: str) -> dict[str, Any]:
    """The sections of a file, and sops' own as an object. Raises Broken."""
    found: dict[str, Any] = {}
    for line in _lines(text):
        if line.head and (line.section in found or line.section == TOP):
            raise Broken("a section stands twice in it", "bring it together by an editor, then: sops edit")
        if line.head or line.key is not None:
            section = found.setdefault(line.section, {})
        if line.key is not None:
            if line.key in section:
                raise Broken("a name stands twice in a section", "take one of them out: sops edit")
            section[line.key] = line.value
    if SECTION in found:
        own = {name: value.replace("\\n", "\n") for name, value in found[SECTION].items()}
        found[SECTION] = unflattened(own)
    return found


def changed(text: str, new: dict[str, Any]) -> str:
    """The same file with other values; lines that need not change stay as they are. Raises Broken."""
    own = {name: value.replace("\n", "\\n") for name, value in flattened(new[SECTION]).items()}
    wanted: dict[str, dict[str, str]] = {TOP: {}, **new, SECTION: own}
    parts = _parts(text)
    added = [name for name in wanted if name not in parts and name != SECTION]
    made: list[str] = []
    for at, (name, lines) in enumerate(parts.items()):
        if name == SECTION and at == len(parts) - 1:
            made += _new_sections(made, added, wanted)
            added = []
        made += _section(lines, wanted[name]) if name in wanted else []
        if name == TOP and made and made[-1] and len(parts) > 1:
            made.append("")
    made += _new_sections(made, added, wanted)
    if SECTION not in parts:
        made += _new_sections(made, [SECTION], wanted)
    whole = "\n".join(made)
    if parse(whole) != new:
        raise Broken("its form is one that SecretSync cannot change in place", "save it once by: sops edit")
    return whole


def _parts(text: str) -> dict[str, list[_Line]]:
    """The lines of each section; comments right above its head are a part of it, as sops has it."""
    parts: dict[str, list[_Line]] = {TOP: []}
    for line in _lines(text) if text else ():
        into = parts.setdefault(line.section, [])
        if line.head:
            above = parts[_before(parts)]
            while above and above[-1].key is None and not above[-1].head and above[-1].text.strip():
                into.insert(0, above.pop())
        into.append(line)
    return parts


def _before(parts: dict[str, list[_Line]]) -> str:
    """The name of the section before the last one."""
    return list(parts)[-2]


def _section(lines: list[_Line], wanted: dict[str, str]) -> list[str]:
    """The lines of a section with other values: new ones come behind the last of those that are there."""
    rest, made, end, width = wanted.copy(), [], 0, 0
    for line in lines:
        text = line.text
        if line.key is not None:
            found = _PART.fullmatch(text)
            assert found is not None  # noqa: S101  it was taken apart by this
            width = len((found[1] + found[2] + found[3]).rstrip().rstrip("=:").removesuffix(" "))
            if line.key not in rest:
                continue
            value = rest.pop(line.key)
            if value != line.value:
                text = f"{text[: found.start(4)]}{_quoted(value)}"
        made.append(text)
        if line.key is not None or line.head:
            end = len(made)
    made[end:end] = [f"{name.ljust(width)} = {_quoted(value)}" for name, value in rest.items()]
    return made


def _new_sections(before: list[str], names: list[str], wanted: dict[str, dict[str, str]]) -> Iterator[str]:
    if names and before and before[-1]:
        yield ""
    for name in names:
        width = max(map(len, wanted[name]), default=0)
        yield f"[{name}]"
        yield from (f"{key.ljust(width)} = {_quoted(value)}" for key, value in wanted[name].items())
        yield ""


def _quoted(value: str) -> str:
    if "`" in value:
        return f'"""{value}"""'
    if any(mark in value for mark in _COMMENT):
        return f"`{value}`"
    return value if value == value.strip() else f'"{value}"'


# -- Fields


def fields_of(sections: dict[str, Any]) -> dict[str, Any]:
    """A file's sections as fields: what stands above all of them is at the top. Raises Broken."""
    rest = {name: section for name, section in sections.items() if name != TOP}
    top = sections.get(TOP, {})
    if top.keys() & rest.keys():
        raise Broken("a value above the first section has the name of a section", "rename one of them: sops edit")
    return {**top, **rest}


def sections_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that fields make; see :func:`fault_of`."""
    top = {name: field for name, field in fields.items() if not isinstance(field, dict)}
    return {**({TOP: top} if top else {}), **{name: field for name, field in fields.items() if name not in top}}


def with_top_first(sections: dict[str, Any]) -> dict[str, Any]:
    """The same sections in the order in which they can stand in a file."""
    return {name: sections[name] for name in sorted(sections, key=lambda name: name != TOP)}


def fault_of(fields: Mapping[str, Any]) -> str:
    """Why fields cannot be in an INI file; empty where they can."""
    for name, field in fields.items():
        texts = field if isinstance(field, dict) else {name: field}
        if not all(isinstance(each, str) for each in texts.values()):
            return f"what is no text, nor an object of texts: {listed([name])}"
        if unfit := [each for each in (name, *texts) if not _NAME.fullmatch(each)]:
            return f"a name of letters, digits, _, ., /, - and blanks is needed there, and is not: {listed(unfit[:1])}"
        if isinstance(field, dict) and name.upper() == TOP:
            return f"{TOP} is what sops calls the values above the first section"
        if lost := [each for each, value in texts.items() if not _is_kept(value)]:
            return f"sops would write something in an INI file that it reads as another text: {listed(lost[:1])}"
    return ""


def fault_of_section(name: str, fields: Mapping[str, Any]) -> str:
    """Why fields cannot be a section of their own; empty where they can."""
    if unfit := [each for each, field in fields.items() if not isinstance(field, str)]:
        return f"what is no text: {listed(unfit[:1])}"
    return fault_of({name: dict(fields)})


def _is_kept(value: str) -> bool:
    """Whether a text is the same to sops when it has decrypted the file and reads what it wrote."""
    if "\r" in value:
        return False
    if "\n" in value:
        return '"""' not in value and not value.endswith('"')
    try:
        return _value(_quoted(value), 0) == value
    except Broken:
        return False
