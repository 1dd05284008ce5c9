"""Takes from an answer what the document says where to find: keys, ids, versions, values.

What does not fit is malformed.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from secretsync_core.model.inventory import is_token
from secretsync_core.stores.answers import kind_of, malformed
from secretsync_core.stores.rest.jsonpath import NothingThereError, parse
from secretsync_core.stores.rest.names import is_segment

if TYPE_CHECKING:
    from secretsync_core.stores.rest.answers import Call
    from secretsync_core.stores.rest.transport import Answer

_LONGEST = 4096


def found_at(path: str, document: object, call: Call) -> object:
    """What a path finds; None where its last name is not there, or null."""
    try:
        return parse(path).one(document)
    except NothingThereError as error:
        what = error.what
    raise malformed(call, what)


def all_at(path: str, document: object, call: Call) -> list[tuple[str, object]]:
    """All that a path finds, each with its name in the object around it."""
    try:
        return list(parse(path).find(document))
    except NothingThereError as error:
        what = error.what
    raise malformed(call, what)


def text_at(path: str, document: object, call: Call) -> str:
    """A text that is not empty."""
    found = found_at(path, document, call)
    if isinstance(found, str) and found:
        return found
    raise malformed(call, f"{path} is {_kind(found)}, not a text")


def scalar_at(path: str, document: object, call: Call) -> str:
    """A text or a whole number as a text; empty where there is none."""
    found = found_at(path, document, call)
    if found is None or found == "":
        return ""
    if (isinstance(found, str) or type(found) is int) and len(str(found)) <= _LONGEST:
        return str(found)
    raise malformed(call, f"{path} is {_kind(found)}, not a text or a whole number")


def number_at(path: str, document: object, call: Call) -> int:
    """A whole number."""
    found = found_at(path, document, call)
    if type(found) is int:
        return found
    raise malformed(call, f"{path} is {_kind(found)}, not a whole number")


def id_at(path: str, document: object, call: Call) -> str:
    """What something is called there, as it can stand in a path."""
    found = scalar_at(path, document, call)
    if is_segment(found):
        return found
    raise malformed(call, f"{path} is no id that can stand in an address")


def version_at(path: str, document: object, call: Call) -> str:
    """A version token."""
    found = scalar_at(path, document, call)
    if is_token(found):
        return found
    raise malformed(call, f"{path} is {_kind(found)}, not a version: some printable ASCII")


def version_of_header(name: str, answer: Answer) -> str:
    """A version token that a header has."""
    found = answer.headers.get(name, "")
    if is_token(found) and found.strip() == found:
        return found
    raise malformed(answer.call, f"it has no header {name} that is a version")


def token_of(version: str | None, one: str, call: Call) -> str | None:
    """A version token: ``<version>@<id>`` where an id is shown, by which one that was made anew is another secret."""
    if version is None or not one:
        return version
    token = f"{version.replace('%', '%25').replace('@', '%40')}@{one}"
    if is_token(token):
        return token
    raise malformed(call, "its version and its id are no printable ASCII, or too long to be kept")


def version_of(token: str) -> str:
    """What the service calls the version of a token that has an id."""
    return token.partition("@")[0].replace("%40", "@").replace("%25", "%")


def id_of(token: str) -> str:
    """The id in a token."""
    return token.partition("@")[2]


def value_at(path: str, document: object, call: Call, *, base64_of_it: bool) -> bytes:
    """A value."""
    found = found_at(path, document, call)
    if not isinstance(found, str):
        raise malformed(call, f"{path} is {_kind(found)}, not a text")
    if not base64_of_it:
        return found.encode()
    try:
        return base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise malformed(call, f"{path} is no base64")


def _kind(found: object) -> str:
    return "missing" if found is None else kind_of(found)
