"""What a store can do and hold, as plain facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from secretsync_core.model.metadata import MetadataFacts
from secretsync_core.model.versions import VersionOrder, is_same_object

if TYPE_CHECKING:
    from secretsync_core.model.place import Place


class Permissions(StrEnum):
    """What a SecretStore document allows us to do in its store."""

    READ = "Read"
    WRITE = "Write"
    READ_WRITE = "ReadWrite"

    @property
    def may_read(self) -> bool:
        """Whether values may be read, and all else be looked at."""
        return self is not Permissions.WRITE

    @property
    def may_write(self) -> bool:
        """Whether secrets may be written and deleted."""
        return self is not Permissions.READ


class Ability(StrEnum):
    """One thing a store can do. Derived from what its class implements, never declared by hand."""

    READ = "read"
    LOOK = "look"
    LIST = "list"
    WRITE = "write"
    COMPARE_AND_SET = "compare-and-set"
    CREATE = "create-if-absent"
    DELETE = "delete"
    MARK = "mark"
    UNDELETE = "undelete"
    DESCRIBE = "describe"
    SET_METADATA = "set-metadata"


class Feature(StrEnum):
    """What some stores have and others have not, and a job may ask for."""

    VALUES = "values"
    METADATA = "metadata"
    TYPES = "types"


class Shape(StrEnum):
    """What one secret is in a store."""

    FIELDS = "fields"  # named fields, each a JSON value
    BINARY_FIELDS = "binary-fields"  # named fields, each a run of bytes
    BLOB = "blob"  # one run of bytes


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """The bounds a store sets; ``None`` where it sets none.

    Attributes:
        max_bytes: the size of one secret, in bytes of its stored form.
        max_fields: the number of fields in one secret.
        field_pattern: an RE2 expression that a whole field name must match.
        field_rule: the same in words, for the error.
        text_only: a blob must be text in UTF-8, and each field of JSON a text.
        excluded: an RE2 expression that must not be found in such a text.
        excluded_rule: the same in words, for the error.
        empty: whether it holds a blob of no bytes, or a secret of no fields.
        max_key_bytes: the length of a key, in UTF-8 bytes.
        key_pattern: an RE2 expression that a whole key must match.
        key_rule: the same in words, for the error.
        slash_hint: what to do about a name that begins with a slash, which no key does.
        misnomers: an RE2 expression for whole texts that name a secret there in another way, and are no keys.
        misnomers_rule: what to write in their place, for the error; ``$1`` is the first group of ``misnomers``.
        reserved: an RE2 expression for whole keys that may be read there and never written.
        reserved_rule: the same in words, for the error.
        folders_are_keys: whether a secret may have the name of a folder (``a`` beside ``a/b``).
        exact_numbers: whether a number comes back as it was sent (``False``: it becomes a float64).
        pins: the RE2 expression that a ``version:`` pin must match; ``None`` where the store keeps no old versions.
        custom_metadata: whether secrets carry custom metadata, tags or labels that a query can select by.
        types: whether a query can select by the kind of a secret: ``list`` takes ``kind``.
    """

    max_bytes: int | None = None
    max_fields: int | None = None
    field_pattern: str | None = None
    field_rule: str = ""
    text_only: bool = False
    excluded: str | None = None
    excluded_rule: str = ""
    empty: bool = True
    max_key_bytes: int | None = None
    key_pattern: str | None = None
    key_rule: str = ""
    slash_hint: str = "leave out the slash in front"
    misnomers: str | None = None
    misnomers_rule: str = ""
    reserved: str | None = None
    reserved_rule: str = ""
    folders_are_keys: bool = True
    exact_numbers: bool = True
    pins: str | None = None
    custom_metadata: bool = False
    types: bool = False


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What one opened store is.

    Attributes:
        name: the SecretStore's ``metadata.name``.
        provider: the provider's name in the document, such as ``vault``.
        shape: what one secret is there.
        versioned: whether entries carry versions that change with every write (and so tell a change without a read).
        limits: the bounds it sets.
        idle_writes: whether writing the very value that is there is no write, and leaves the version as it is.
        lasting_marks: whether a mark stays on a key when its secret is deleted, and so proves nothing of the next one.
        place: where its secrets are; None where it does not say, and it is then known by its name alone.
        version_order: what its version tokens tell of which one is older.
        lags: whether a look may for a while show the version that was there before our own write.
        metadata: what it can hold beside its secrets, and what its document wants there.
        versions_of_all: whether a version changes also with what stands beside the value, whoever changes that. The
            value then tells whether a secret was changed, where ``version_order`` tells that it was not made anew.
        kinds: whether a secret is written with the kind of its value, and read with that kind again (see
            :class:`~secretsync_core.secret.SecretValue`).
        one_kind: the kind of all that is created there, where its document says one.
    """

    name: str
    provider: str
    shape: Shape
    versioned: bool
    limits: StoreLimits = field(default_factory=StoreLimits)
    idle_writes: bool = False
    place: Place | None = None
    lasting_marks: bool = False
    version_order: VersionOrder = VersionOrder.NONE
    lags: bool = False
    metadata: MetadataFacts = field(default_factory=MetadataFacts)
    kinds: bool = False
    one_kind: str = ""
    versions_of_all: bool = False

    def leaves_it_to_the_value(self, version: str | None, known: str | None) -> bool:
        """Whether a secret that stands at another version than the known one may be as it was left all the same.

        Its value tells then. It does not where somebody may have made the secret anew: then it is theirs, whatever its
        value is.
        """
        names_it = self.version_order is VersionOrder.NUMBER_OF_ONE
        return self.versions_of_all and names_it and is_same_object(version, known, self.version_order)
