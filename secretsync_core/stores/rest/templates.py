"""Placeholders, ``{{ name }}``, and what may stand where they do: in a path, a query, a header or a body.

There is no language around them. What is filled in is escaped by the rule of its place, and what that rule does not
take is refused; so a key, a var or an answer changes neither the host, nor the path, nor the form of a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from secretsync_core.known import nearest
from secretsync_core.stores.rest.names import is_segment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from secretsync_core.secret import JsonValue

    Scalar: TypeAlias = str | int | bool
    Values: TypeAlias = Mapping[str, Scalar]

NAME = r"[A-Za-z][A-Za-z0-9_]{0,63}"
_PLACEHOLDER = re.compile(rf"\{{\{{ *({NAME}) *\}}\}}")
_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@-]*")  # of a path; what needs escaping is for a placeholder
_HEADER = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?")

KEY, ID, VALUE, VERSION, CURSOR, PAGE, MARK = "key", "id", "value", "version", "cursor", "page", "mark"
OURS = frozenset({KEY, ID, VALUE, VERSION, CURSOR, PAGE, MARK})
"""The names that no var may have."""


class UnfitError(Exception):
    """What was to be filled in cannot stand there; ``name`` is the placeholder's. Nothing of it is shown."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name
        self.why = why


# -- what documents are held to


def text_fault(text: str) -> str:
    """Why a text is no template; empty where it is one."""
    bare = _PLACEHOLDER.sub("", text)
    return "a placeholder is {{ name }}, and braces stand nowhere else" if "{{" in bare or "}}" in bare else ""


def path_fault(template: str) -> str:
    """Why a text is no template of a path; empty where it is one."""
    if not template.startswith("/") or len(template) > 1000:
        return "a path begins with '/'"
    if fault := text_fault(template):
        return fault
    *segments, last = template[1:].split("/")
    for segment in (*segments, *([last] if last else [])):
        bare = _PLACEHOLDER.sub("", segment)
        if not segment or segment in (".", "..") or not _LITERAL.fullmatch(bare):
            return "a path has no empty part, no '.' or '..', no query, and nothing that needs escaping"
    return ""


def names_in(template: str) -> list[str]:
    """The placeholders of a text."""
    return _PLACEHOLDER.findall(template)


def names_in_body(body: JsonValue) -> Iterator[tuple[str, bool]]:
    """The placeholders of a body, each with whether it stands in the name of a field."""
    if isinstance(body, str):
        yield from ((name, False) for name in names_in(body))
    elif isinstance(body, list):
        for each in body:
            yield from names_in_body(each)
    elif isinstance(body, dict):
        for field, each in body.items():
            yield from ((name, True) for name in names_in(field))
            yield from names_in_body(each)


def unknown_fault(where: str, given: Collection[str], known: Collection[str], elsewhere: Collection[str]) -> str:
    """Why placeholders cannot stand ``where``; empty where all are ``known``.

    Of those that can, only ours are named: the names of vars are a document's, and may be anything.
    """
    wrong = [name for name in given if name not in known]
    if not wrong:
        return ""
    ours = sorted(OURS & set(known))
    there = f"placeholders there are: {', '.join([*ours, 'those of vars'])}"
    if misplaced := [name for name in wrong if name in elsewhere]:
        return f"{where} cannot have {{{{ {misplaced[0]} }}}}; {there}"
    close = next(filter(None, (nearest(name, ours) for name in wrong)), "")
    return f"{where} has an unknown placeholder; {f'did you mean {close}? ' if close else ''}{there}"


# -- filling in


def text_of(value: Scalar) -> str:
    """A scalar as JSON writes it, and a text as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def path_of(template: str, values: Values) -> str:
    """A path, escaped. Raises UnfitError for what would not stay within its segment."""
    return "/".join(_segment(segment, values) for segment in template.split("/"))


def _segment(template: str, values: Values) -> str:
    names = names_in(template)
    if not names:
        return template
    whole = _filled(template, values)
    slash = next((name for name in names if name != KEY and "/" in text_of(values[name])), None)
    if slash or not all(map(is_segment, whole.split("/"))):
        raise UnfitError(slash or names[0], "it cannot stand in a path")
    return quote(whole, safe="")


def query_of(query: Mapping[str, str], values: Values) -> str:
    """A query, escaped, with the question mark; a parameter whose cursor or page there is not yet is left out."""
    told = [
        f"{quote(name, safe='')}={quote(_filled(template, values), safe='')}"
        for name, template in query.items()
        if not any(each in (CURSOR, PAGE) and each not in values for each in names_in(template))
    ]
    return f"?{'&'.join(told)}" if told else ""


def header_of(template: str, values: Values) -> str:
    """The value of a header. Raises UnfitError for what cannot stand there."""
    text = _filled(template, values)
    if not is_header(text):
        raise UnfitError(next(iter(names_in(template)), ""), "it cannot stand in a header")
    return text


def is_header(text: str) -> bool:
    """Whether a text can be the value of a header: printable ASCII, no space at its ends."""
    return _HEADER.fullmatch(text) is not None


def body_of(body: JsonValue, values: Values) -> JsonValue:
    """A body with everything filled in. A placeholder that is all of a text keeps the type of its value."""
    if isinstance(body, str):
        whole = _PLACEHOLDER.fullmatch(body)
        return values[whole[1]] if whole else _filled(body, values)
    if isinstance(body, list):
        return [body_of(each, values) for each in body]
    if isinstance(body, dict):
        made = {_filled(field, values): body_of(each, values) for field, each in body.items()}
        if len(made) < len(body):  # one field would take the place of another
            raise UnfitError(
                next(name for field in body for name in names_in(field)), "it is the name of a field there"
            )
        return made
    return body


def _filled(template: str, values: Values) -> str:
    return _PLACEHOLDER.sub(lambda match: text_of(values[match[1]]), template)
