"""When two values are the same, how the ledger names a value without holding it, and the mark of what a job created."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, TypeAlias

from secretsync_core.audit.schema import MAX_FIELDS
from secretsync_core.errors import InvalidSecret
from secretsync_core.run.convert import blob_to_fields, is_text
from secretsync_core.schema.encoding import Encoding
from secretsync_core.secret import BINARY, SecretValue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from secretsync_core.secret import FieldValue, JsonValue

FingerprintKey: TypeAlias = "bytes | tuple[bytes, ...]"
"""The key that values are named by; or that key, and after it those that were used before."""


def canonical(value: SecretValue) -> bytes:
    """One byte string for all forms of the same value.

    Fields in any order are the same; so are the numbers 1 and 1.0, since stores that keep JSON numbers as float64
    give one for the other; true and 1 are not. Neither is a text the same as bytes that could be that text, in a store
    that tells them apart. The type of a Kubernetes Secret is no part of its value: nobody can change it.
    """
    payload = value.reveal()
    if isinstance(payload, bytes):
        # Bytes that could be text, and are not: what is no text needs no such sign, and never had one.
        return (b"B" if value.kind == BINARY and is_text(payload) else b"b") + payload
    if any(isinstance(field, bytes) for field in payload.values()):
        return (
            b"x"
            + json.dumps(
                {name: field.hex() if isinstance(field, bytes) else [_plain(field)] for name, field in payload.items()},
                sort_keys=True,
            ).encode()
        )
    return (
        b"f"
        + json.dumps(
            {name: _plain(field) for name, field in payload.items()},
            sort_keys=True,
            ensure_ascii=True,
            separators=(",", ":"),
        ).encode()
    )


def _plain(value: FieldValue) -> JsonValue:
    assert not isinstance(value, bytes)  # noqa: S101  only whole fields are, and these are dealt with above
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def same(one: SecretValue, other: SecretValue) -> bool:
    """Whether two values are the same, compared in constant time."""
    return hmac.compare_digest(canonical(one), canonical(other))


class Fingerprinter:
    """Names values by HMAC-SHA256, so that the ledger can tell them apart and nobody can guess them from it.

    The destination and its key go into the HMAC: two keys that hold the same password do not look the same.

    ``key`` may be followed by former ones: they make no names any more, and names that they made are still known. The
    same goes for what a destination was called before: ``names`` has that, by what it is called now.
    """

    def __init__(self, key: FingerprintKey, names: Mapping[str, Collection[str]] | None = None) -> None:
        self._key, *former = keys_of(key)
        self._keys = (self._key, *former)
        self._names = names or {}

    @property
    def has_former_keys(self) -> bool:
        """Whether some of what the ledger holds may be named by a former key."""
        return len(self._keys) > 1

    def value(self, dest: str, key: str, value: SecretValue, ours: str = "") -> str:
        """Hex HMAC-SHA256 of a value at its place.

        ``ours`` (with Merge) restricts it to the fields that are ours, named as :meth:`field_names` gives them.
        """
        if ours and (fields := _fields(value)) is not None:
            held = self.named_by(dest, key, ours, fields)
            value = SecretValue({name: fields[name] for name in held})
        return _named(self._key, dest, key, value)

    def is_value(self, fingerprint: str, dest: str, key: str, value: SecretValue, ours: str = "") -> bool:
        """Whether ``fingerprint`` is what :meth:`value` gives, or gave with a former key."""
        if ours and (fields := _fields(value)) is not None:
            held = self.named_by(dest, key, ours, fields)
            value = SecretValue({name: fields[name] for name in held})
        return any(_named(one, name, key, value) == fingerprint for one, name in self._known(dest))

    def field_names(self, dest: str, key: str, names: Collection[str]) -> str:
        """The names of fields as the ledger holds them: hex HMACs of 16 digits each, sorted and run together.

        Raises InvalidSecret where they are more than the ledger has room for.
        """
        if len(names) > MAX_FIELDS:
            raise InvalidSecret(
                f"{key} in {dest} cannot be merged: it would get {len(names):,} fields, and the ledger has room for "
                f"{MAX_FIELDS:,}",
                store=dest,
                key=key,
                hint="split the secret, or choose another writePolicy for it",
            )
        return "".join(sorted(_field_named(self._key, dest, key, name) for name in names))

    def holds(self, dest: str, key: str, value: SecretValue, ours: str) -> bool:
        """Whether any of the fields that are ``ours`` is in a value."""
        fields = _fields(value)
        return fields is not None and bool(self.named_by(dest, key, ours, fields))

    def named_by(self, dest: str, key: str, ours: str, names: Iterable[str]) -> set[str]:
        """Those of ``names`` that ``ours`` (see :meth:`field_names`) holds."""
        held = _split(ours)
        known = self._known(dest)
        return {name for name in names if any(_field_named(one, place, key, name) in held for one, place in known)}

    def _known(self, dest: str) -> list[tuple[bytes, str]]:
        """Every key, with every name of a destination, that may have named a value there; the present ones first."""
        return [(key, name) for name in (dest, *self._names.get(dest, ())) for key in self._keys]


def keys_of(key: FingerprintKey) -> tuple[bytes, ...]:
    """The key that names are made by, and the former ones after it."""
    return (key,) if isinstance(key, bytes) else tuple(key)


def _named(by: bytes, dest: str, key: str, value: SecretValue) -> str:
    return hmac.new(by, _frame(dest, key) + canonical(value), hashlib.sha256).hexdigest()


def _field_named(by: bytes, dest: str, key: str, name: str) -> str:
    return hmac.new(by, _frame(dest, key) + b"n" + name.encode(), hashlib.sha256).hexdigest()[:16]


def _fields(value: SecretValue) -> dict[str, FieldValue] | None:
    """The fields of a value, of a blob those that it stands for; None where it stands for none."""
    payload = value.reveal()
    if isinstance(payload, dict):
        return payload
    with contextlib.suppress(InvalidSecret):
        return dict(blob_to_fields(payload, Encoding.UTF_8))
    return None


def _split(ours: str) -> frozenset[str]:
    return frozenset(ours[at : at + 16] for at in range(0, len(ours), 16))


def _frame(*parts: str) -> bytes:
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


# -- Marks ------------------------------------------------------------------------------------------------------------
#
# The ledger alone cannot know of another installation that writes to the same destination. Where stores can carry a
# mark (a tag, a label, custom metadata), a delete asks for both: the ledger must say that this job created the secret,
# and no mark on it may say that somebody else did.

_LONGEST_JOB = 40


def owner_mark(job: str, key: bytes) -> str:
    """The mark of a job in this installation, which the ledger's ``key`` tells from every other one.

    The job's name (its first 40 characters) for people, and 16 hex digits that no other job or installation has. It
    fits a Kubernetes label and the tags of AWS, and says nothing of the key.
    """
    digest = hmac.new(key, b"owner\0" + job.encode(), hashlib.sha256).hexdigest()[:16]
    return f"{job[:_LONGEST_JOB].rstrip('-')}.{digest}"


def owner_marks(job: str, key: FingerprintKey) -> tuple[str, ...]:
    """The mark of a job, and those that it had when the ledger had other keys."""
    return tuple(owner_mark(job, one) for one in keys_of(key))
