"""What stands beside a secret's value: tags, labels, annotations, custom metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """What a piece of metadata is called where it stands."""

    CUSTOM = "custom metadata"
    TAG = "tag"
    LABEL = "label"
    ANNOTATION = "annotation"
    DESCRIPTION = "description"
    REPLICA = "replica region"
    TOPIC = "topic"
    CONTENT_TYPE = "content type"
    ENABLED = "enabled"
    NOT_BEFORE = "not before"
    EXPIRES = "expires"
    DELETION_TIME = "time of deletion"
    HIDDEN = "hidden"
    MASKED = "masked"
    PROTECTED = "protected"
    RAW = "raw"
    VARIABLE_TYPE = "variable type"


SETTINGS: Mapping[str, Kind] = {
    "contentType": Kind.CONTENT_TYPE,
    "enabled": Kind.ENABLED,
    "expires": Kind.EXPIRES,
    "notBefore": Kind.NOT_BEFORE,
}
"""The settings that go from store to store, by what documents call them: so is the tag, the label or the custom
metadata called that a store keeps which has no such setting."""


class Slot(NamedTuple):
    """One piece of a secret's metadata, by its kind and name. The only description of a secret has no name."""

    kind: Kind
    name: str = ""

    @property
    def words(self) -> str:
        """What people call it: ``label team``, ``description``."""
        return f"{self.kind} {self.name}" if self.name else self.kind.value


Described: TypeAlias = "Mapping[Slot, str]"
"""Pieces of a secret's metadata with their texts."""


@dataclass(frozen=True, slots=True)
class MetadataRule:
    """What a store takes as one kind of metadata; ``None`` where it sets no bound.

    Attributes:
        most: how many one secret may have, our own mark among them.
        longest_name, longest_text: in bytes of UTF-8, or ``in_characters``.
        name_pattern, text_pattern: RE2 expressions that a whole name, or a whole text, must match.
        name_rule, text_rule: the same in words, for the error.
        reserved: how names begin, in any case, that nobody may set.
        times: whether texts are times in UTC, in whole seconds: ``2027-01-01T00:00:00Z``.
        all_bytes: what all names and texts of a secret may have together.
    """

    most: int | None = None
    longest_name: int | None = None
    longest_text: int | None = None
    name_pattern: str | None = None
    name_rule: str = ""
    text_pattern: str | None = None
    text_rule: str = ""
    reserved: tuple[str, ...] = ()
    in_characters: bool = False
    times: bool = False
    all_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MetadataFacts:
    """What one opened store can hold beside its secrets, and what its document asks for.

    Attributes:
        rules: the kinds that take any name, with their bounds. What is copied becomes the first of them; an annotation
            becomes an annotation where there are any. Empty: nothing can be copied there, and secrets have settings
            of the store's own at the most.
        asked: what the SecretStore document wants on every secret that a job creates there.
        at_creation: whether a secret that is created has ``asked`` at once.
        only_created: what nobody can change on a secret that is there, by its kind; in words, what to do about it.
        settings: the kinds of :data:`SETTINGS` that its secrets have as such, with what may stand there. They are shown
            as ``notes``, and set as metadata is.
    """

    rules: Mapping[Kind, MetadataRule] = field(default_factory=dict)
    asked: Mapping[Slot, str] = field(default_factory=dict)
    at_creation: bool = True
    only_created: Mapping[Kind, str] = field(default_factory=dict)
    settings: Mapping[Kind, MetadataRule] = field(default_factory=dict)
