"""What answers say of one secret, field by field, and which version token it has.

A token is when the current version was created, to the second: ``2026-11-29T23:42:35Z``. Of all that Key Vault tells of
a version it is the one thing that a listing shows as well, and that tags do not change; the version's id stands in no
listing of secrets.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from secretsync_core.model.inventory import Entry
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.stores.azure_key_vault.names import key_of
from secretsync_core.stores.azure_key_vault.tags import MARK
from secretsync_core.stores.http import date_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from secretsync_core.model.metadata import Described
    from secretsync_core.stores.answers import Part

_LATEST = 253402300799  # the last second that a date has
is_version_id = re.compile(r"[0-9a-fA-F]{32}").fullmatch


class About(NamedTuple):
    """One secret, or one version of it, without its value. Times are in seconds of Unix.

    Attributes:
        id: the version's id; empty where the answer is about a secret as such.
        managed: whether it belongs to a certificate, and only that may change it.
        recovery: what becomes of it when it is deleted, in Azure's words; empty where the answer does not say.
    """

    key: str
    id: str
    created: int
    updated: int
    enabled: bool
    not_before: int | None
    expires: int | None
    content_type: str
    tags: Mapping[str, str]
    managed: bool
    recovery: str = ""

    @property
    def token(self) -> str:
        """The version token."""
        return moment(self.created)

    def is_same(self, other: About) -> bool:
        """Whether the other one is this very version, as far as both tell: what is deleted may have no id."""
        return self.id == other.id if self.id and other.id else self.token == other.token

    @property
    def mark(self) -> str:
        """Our mark, or somebody's; empty where it has none."""
        return self.tags.get(MARK, "")

    def entry(self, *, metadata: bool = False, deleted: bool = False) -> Entry:
        """What a listing says of it. The mark is ours, and no metadata to anybody else."""
        if not metadata:
            return Entry(self.key, self.token, deleted)
        kept = {name: text for name, text in self.tags.items() if name != MARK}
        return Entry(self.key, self.token, deleted, kept, self._notes())

    def _notes(self) -> Described:
        notes = {Slot(Kind.ENABLED): "true" if self.enabled else "false"}
        if self.content_type:
            notes[Slot(Kind.CONTENT_TYPE)] = self.content_type
        if self.not_before is not None:
            notes[Slot(Kind.NOT_BEFORE)] = moment(self.not_before)
        if self.expires is not None:
            notes[Slot(Kind.EXPIRES)] = moment(self.expires)
        return notes


def about(part: Part, is_here: Callable[[str], bool], *, deleted: bool = False) -> About | str:
    """Take one secret apart; the name alone of one that can be no key. Raises MalformedAnswer for what does not fit.

    ``is_here`` and ``deleted`` are those of :func:`named_in`.
    """
    name, version = named_in(part, is_here, deleted=deleted)
    attributes = part.part("attributes")
    key = key_of(name)
    if key is None:
        return name
    return About(
        key,
        version,
        _seconds(attributes, "created"),
        _seconds(attributes, "updated"),
        attributes.flag("enabled"),
        _seconds(attributes, "nbf") if attributes.has("nbf") else None,
        _seconds(attributes, "exp") if attributes.has("exp") else None,
        part.text_or_none("contentType") or "",
        part.text_map("tags"),
        part.flag("managed") if part.has("managed") else False,
        attributes.text_or_none("recoveryLevel") or "",
    )


def named_in(part: Part, is_here: Callable[[str], bool], *, deleted: bool = False) -> tuple[str, str]:
    """The name of the secret that an answer is about, and the version's id, which may be empty.

    ``is_here`` tells whether an address is one of the vault that was asked. ``deleted``: it may be in the other folder.
    """
    identifier = part.text("id")
    folders = ("secrets", "deletedsecrets") if deleted else ("secrets",)
    pieces = urlsplit(identifier).path.split("/") if is_here(identifier) else []
    if len(pieces) not in (3, 4) or pieces[0] or pieces[1] not in folders:
        raise part.wrong("id", "the address of a secret in this vault")
    version = pieces[3] if len(pieces) > 3 else ""
    if version and not is_version_id(version):
        raise part.wrong("id", "an address with a version of 32 hex digits")
    return pieces[2], version.lower()


def disabled_one_of(versions: Sequence[About]) -> About:
    """The current version, which is disabled, of those that were made in one second.

    Where several are, nothing tells which: then it has only the tags that they all have, so that no mark is taken for
    that of another version.
    """
    disabled = [each for each in versions if not each.enabled] or versions
    first, *rest = disabled
    shared = {name: text for name, text in first.tags.items() if all(each.tags.get(name) == text for each in rest)}
    return first._replace(tags=shared)


def moment(seconds: int) -> str:
    """A time in UTC, as RFC 3339 writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text: str) -> int:
    """The same, the other way round."""
    return int(datetime.fromisoformat(text).timestamp())


def may_be_followed(created: int, date: str) -> bool:
    """Whether another version may still be made within the second of this one, which would have the same token.

    By the vault's own clock, as its answer has it; its machines may differ by a second.
    """
    now = date_of(date)
    return now is not None and 0 <= created - int(now.timestamp()) <= 1


def _seconds(part: Part, name: str) -> int:
    if part.number(name) <= _LATEST:
        return part.number(name)
    raise part.wrong(name, "a time in seconds")
