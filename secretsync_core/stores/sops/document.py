"""A sops file: taken apart, opened, and made anew with other values for some of it. Pure, but for random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.stores.sops import dotenv_text, json_text, yaml_text
from secretsync_core.stores.sops.metadata import Scope, check_checksum, data_key_of, with_checksum
from secretsync_core.stores.sops.values import Broken, is_comment, is_sealed, items_of, leaves, seal, unseal
from secretsync_core.stores.sops.yaml_text import SECTION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from secretsync_core.secret import JsonValue

YAML, JSON, DOTENV = "yaml", "json", "dotenv"
ENDINGS = {".yaml": YAML, ".yml": YAML, ".json": JSON, ".env": DOTENV}
"""The formats, by how a file's name ends."""


_LINES: dict[str, Any] = {JSON: json_text, DOTENV: dotenv_text}


class InPlainText(Exception):
    """A value would not be encrypted, by the file's own rules. ``name`` is that of the field."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Sealed:
    """A file as it stands there: ``data`` with encrypted values, and the section that sops keeps in it."""

    def __init__(self, text: str, form: str, root: yaml_text.Node | None = None) -> None:
        """``root`` is the text taken apart, where that is known. Raises Broken for what is no sops file."""
        self.text, self.form = text, form
        self._root = (root or yaml_text.parse(text)) if form == YAML else None
        found = self._root.plain() if self._root is not None else _LINES[form].parse(text)
        section = found.pop(SECTION, None)
        if not isinstance(section, dict):
            raise Broken("it is not encrypted: it has no section sops")
        self.data: dict[str, Any] = found
        self.section: dict[str, Any] = section
        self.scope = Scope.of(section)

    def opened(self, identities: Sequence[Any]) -> Opened:
        """The file with its values. Raises NoKey, and Broken where a value or the checksum does not fit."""
        key = data_key_of(self.section, identities)
        plain = _unsealed(self.data, (), key, self.scope)
        check_checksum(self.section, plain, key, self.scope)
        return Opened(self, plain, key)

    def changed(self, data: Mapping[str, Any], section: Mapping[str, Any]) -> Sealed:
        """The file with other values. Raises Broken where its form cannot be kept."""
        new = {**data, SECTION: dict(section)}
        if self._root is None:
            return Sealed(_LINES[self.form].changed(self.text, new), self.form)
        text, root = yaml_text.changed(self.text, self._root, new)
        return Sealed(text, self.form, root)


class Opened:
    """A file whose values are known."""

    def __init__(self, sealed: Sealed, plain: dict[str, Any], key: bytes) -> None:
        self._sealed = sealed
        self.plain = plain
        self._key = key

    def with_values(self, wanted: dict[str, Any], now: datetime, *, anew: tuple[str, ...] = ()) -> Sealed:
        """The file with these values. What does not change stays as it is.

        ``anew`` leads to an object that changes: one value of it at least is encrypted anew, so that it is never again
        what it was before. Raises InPlainText for a value that would not be encrypted, and OverflowError for a number.
        """
        file = self._sealed
        data = _resealed(file.data, self.plain, wanted, (), self._key, file.scope)
        if anew:
            data = _anew(file.data, data, wanted, anew, self._key)
        plain = _in_order_of(data, wanted)  # the checksum is of the values in the order of the file
        return file.changed(data, with_checksum(file.section, plain, self._key, file.scope, now))


def new_file(form: str, section: dict[str, Any], key: bytes, wanted: dict[str, Any], now: datetime) -> Sealed:
    """A new file."""
    scope = Scope.of(section)
    new = {**_sealed(wanted, (), key, scope), SECTION: with_checksum(section, wanted, key, scope, now)}
    return Sealed(yaml_text.render(new) if form == YAML else _LINES[form].changed("", new), form)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, types and all: 1, 1.0 and True are three."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def _unsealed(value: Any, path: tuple[str, ...], key: bytes, scope: Scope) -> Any:
    if isinstance(value, dict):
        return {name: _unsealed(each, (*path, name), key, scope) for name, each in value.items()}
    if isinstance(value, list):
        return [_unsealed(each, path, key, scope) for each in items_of(value)]
    if value is None or value == "" or not scope.encrypts(path):
        return value
    if not is_sealed(value):
        raise Broken("a value in it is in plain text, where it should be encrypted")
    return unseal(value, path, key)


def _sealed(value: JsonValue, path: tuple[str, ...], key: bytes, scope: Scope) -> Any:
    if isinstance(value, dict):
        return {name: _sealed(each, (*path, name), key, scope) for name, each in value.items()}
    if isinstance(value, list):
        return [_sealed(each, path, key, scope) for each in value]
    if value is None or value == "":
        return value
    if not scope.encrypts(path):
        raise InPlainText(path[-1])
    return seal(value, path, key)


def _in_order_of(sealed: Any, plain: Any) -> Any:
    """The same values, with the names of objects in the order in which they stand in the file."""
    if isinstance(sealed, dict):
        return {name: _in_order_of(each, plain[name]) for name, each in sealed.items()}
    if isinstance(sealed, list):
        return [_in_order_of(*each) for each in zip(items_of(sealed), plain, strict=True)]
    return plain


def _resealed(sealed: Any, plain: Any, wanted: Any, path: tuple[str, ...], key: bytes, scope: Scope) -> Any:
    if same(plain, wanted):
        return sealed
    if isinstance(plain, dict) and isinstance(wanted, dict):
        made = {
            name: _resealed(sealed[name], plain[name], wanted[name], (*path, name), key, scope)
            for name in plain
            if name in wanted
        }
        return made | {n: _sealed(each, (*path, n), key, scope) for n, each in wanted.items() if n not in plain}
    if isinstance(plain, list) and isinstance(wanted, list) and len(plain) == len(wanted):
        values = zip(plain, wanted, strict=True)  # comments stay where they are
        return [each if is_comment(each) else _resealed(each, *next(values), path, key, scope) for each in sealed]
    return _sealed(wanted, path, key, scope)


def _anew(before: Any, sealed: dict[str, Any], plain: dict[str, Any], names: tuple[str, ...], key: bytes) -> Any:
    """The same data, of which a value below ``names`` is encrypted anew unless one of them is already."""
    old, new, value = before, sealed, plain
    for name in names:
        old, new, value = (old.get(name) if isinstance(old, dict) else None), new[name], value[name]
    known = {each for _, each in leaves(old)}
    if any(is_sealed(each) and each not in known for _, each in leaves(new)):
        return sealed

    def again(part: Any, plain_part: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
        """The part with its first encrypted value anew, and whether there was any."""
        if is_sealed(part) and not is_sealed(plain_part):
            return seal(plain_part, path, key), True
        if isinstance(part, dict):
            for name, each in part.items():
                inner, done = again(each, plain_part[name], (*path, name))
                if done:
                    return {**part, name: inner}, True
        elif isinstance(part, list):
            for at, each in zip((at for at, each in enumerate(part) if not is_comment(each)), plain_part, strict=True):
                inner, done = again(part[at], each, path)
                if done:
                    return [*part[:at], inner, *part[at + 1 :]], True
        return part, False

    made = again(new, value, names)[0]
    for depth in range(len(names), 0, -1):
        holder: Any = sealed
        for name in names[: depth - 1]:
            holder = holder[name]
        made = {**holder, names[depth - 1]: made}
    return made
