"""In what two values of one secret differ, told by the names of their fields alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from secretsync_core.model.change import Difference
from secretsync_core.run.fingerprint import canonical
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.secret import FieldValue


def difference(theirs: SecretValue, wanted: SecretValue) -> Difference | None:
    """What writing ``wanted`` in place of ``theirs`` would do to fields; None where one of the two has none.

    Both are in the shape of one store. A blob has fields where it is one JSON object, without a name twice: only then
    is a name in it a field's, and not a piece of a value.
    """
    old, new = theirs.reveal(), wanted.reveal()
    if not isinstance(old, bytes) and not isinstance(new, bytes):
        found = _of_fields(_named(old), _named(new))
        return found if any(found) else None
    if not isinstance(old, bytes) or not isinstance(new, bytes):
        return None
    written_old, written_new = _object(old), _object(new)
    if written_old is None or written_new is None:
        return None
    found = _of_fields(written_old, written_new)
    return found if found.added or found.changed or found.dropped else Difference(formatting_only=True)


def _of_fields(old: Mapping[str, object], new: Mapping[str, object]) -> Difference:
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted(name for name in new.keys() & old.keys() if new[name] != old[name])),
        dropped=tuple(sorted(old.keys() - new.keys())),
    )


def _named(fields: Mapping[str, FieldValue]) -> dict[str, bytes]:
    """Each field as one byte string, the same for all forms of the same value."""
    return {name: canonical(SecretValue({name: value})) for name, value in fields.items()}


class _Number(dict[str, str]):
    """A number as it is written: 1 and 1.0 are not the same text in another order."""

    def __init__(self, text: str) -> None:
        super().__init__({"\0": text})


class _NoObject(Exception):
    """A name stands twice: no one set of fields says what is there."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _NoObject
    return fields


def _object(blob: bytes) -> dict[str, str] | None:
    """The fields of a blob that is one JSON object, each as one text; None for any other blob."""
    try:
        found = json.loads(
            blob.decode(), object_pairs_hook=_once, parse_int=_Number, parse_float=_Number, parse_constant=_Number
        )
        if isinstance(found, dict) and not isinstance(found, _Number):
            return {name: json.dumps(value, sort_keys=True) for name, value in found.items()}
    except (ValueError, RecursionError, _NoObject):
        return None
    return None
