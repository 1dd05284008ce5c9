"""A secret's value, in the only type that may carry one.

Only stores and the engine import this module; import-linter holds the rest of the tree to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeAlias, Union

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonValue: TypeAlias = Union[bool, int, float, str, "list[JsonValue]", "dict[str, JsonValue]", None]
"""What a field may hold in most stores: whatever JSON can."""

FieldValue: TypeAlias = JsonValue | bytes
"""What a field may hold in any store: in one of binary fields, bytes."""


TEXT, BINARY = "text", "binary"
"""The kinds of a blob, in stores that tell text from bytes: a SecretString, and a SecretBinary."""

OBJECT = "json-object"
"""The kind of fields that were a JSON object whose only field is ``value``: as a blob they are that object again."""


class SecretValue:
    """Either named fields or one blob of bytes, readable by ``reveal()`` alone.

    ``kind`` is what the store that it was read from, or the way that it took, says of it besides: :data:`TEXT` or
    :data:`BINARY` of a blob, :data:`OBJECT` or the type of a Kubernetes Secret of fields. Empty: nobody knows. It is
    safe to print.

    It has no text form that shows it, cannot be pickled, copied, compared by ``==``, hashed, iterated or turned
    into JSON, so that a log line, a traceback with locals, a cache or a serializer that meets one cannot leak it.
    """

    __slots__ = ("_payload", "kind")

    def __init__(self, payload: Mapping[str, FieldValue] | bytes, kind: str = "") -> None:
        self._payload: dict[str, FieldValue] | bytes = payload if isinstance(payload, bytes) else dict(payload)
        self.kind = kind

    @property
    def is_blob(self) -> bool:
        """Whether this is one blob of bytes rather than named fields."""
        return isinstance(self._payload, bytes)

    def reveal(self) -> dict[str, FieldValue] | bytes:
        """The value itself: fields by name, or the blob's bytes. The caller must not change the fields."""
        return self._payload

    def __repr__(self) -> str:
        return "<SecretValue: hidden>"

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a SecretValue has no such form; only .reveal() shows it")

    __str__ = _refuse
    __format__ = _refuse
    __bytes__ = _refuse
    __bool__ = _refuse
    __len__ = _refuse
    __iter__ = _refuse
    __eq__ = _refuse
    __ne__ = _refuse
    __hash__ = None  # type: ignore[assignment]
    __copy__ = _refuse
    __deepcopy__ = _refuse
    __reduce__ = _refuse
    __reduce_ex__ = _refuse
    __getstate__ = _refuse


class Secret(NamedTuple):
    """What reading one secret gives: its value, and the version that was read where the store has versions."""

    value: SecretValue
    version: str | None
