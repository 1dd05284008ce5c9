"""A sops file: taken apart, opened, and made anew with other values for some of it. Pure, but for random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.endurance import DEPTH, is_too_deep
from secretsync_core.stores.sops import dotenv_text, ini_text, json_text, yaml_text
from secretsync_core.stores.sops.comments import sealed_anew
from secretsync_core.stores.sops.lists import pairs_of
from secretsync_core.stores.sops.metadata import Scope, check_checksum, data_key_of, with_checksum
from secretsync_core.stores.sops.values import (
    RESTORE,
    Broken,
    is_comment,
    is_sealed,
    leaves,
    open_text,
    path_text,
    seal,
    seal_text,
    unseal,
)
from secretsync_core.stores.sops.yaml_text import SECTION

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from datetime import datetime

    from secretsync_core.secret import JsonValue
    from secretsync_core.stores.sops.metadata import KmsEntry, NewKey

YAML, JSON, DOTENV, INI = "yaml", "json", "dotenv", "ini"
ENDINGS = {".yaml": YAML, ".yml": YAML, ".json": JSON, ".env": DOTENV, ".ini": INI}
"""The formats, by how a file's name ends."""

_LINES: dict[str, Any] = {JSON: json_text, DOTENV: dotenv_text, INI: ini_text}
_ONE_END = "save it with one kind of line ends, LF or CRLF, by an editor"


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
        self._lines, self._crlf = _with_one_line_end(text, form)
        self._root = (root or yaml_text.parse(self._lines)) if form == YAML else None
        found = self._root.plain() if self._root is not None else _LINES[form].parse(self._lines)
        if is_too_deep(found):  # YAML's own bound is a lower one
            raise Broken("it is nested too deeply", f"at most {DEPTH} levels are read")
        section = found.pop(SECTION, None)
        if not isinstance(section, dict):
            raise Broken(
                "it is not encrypted: it has no section sops",
                "encrypt it by: sops encrypt --in-place; or keep such files elsewhere, or under another ending",
            )
        self.data: dict[str, Any] = found
        self.section: dict[str, Any] = section
        self.scope = Scope.of(section)

    def opened(
        self,
        identities: Sequence[Any],
        by_kms: Mapping[KmsEntry, bytes] | None = None,
        kms_keys: Container[str] = (),
    ) -> Opened:
        """The file with its values. Raises NoKey, and Broken where a value or the checksum does not fit."""
        return self.opened_by(data_key_of(self.section, identities, by_kms, kms_keys))

    def opened_by(self, key: bytes) -> Opened:
        """The same by its data key. Raises Broken."""
        plain = Cipher(key, self.scope).unsealed(self.data, ())
        check_checksum(self.section, plain, key, self.scope)
        return Opened(self, plain, key)

    def changed(self, data: Mapping[str, Any], section: Mapping[str, Any]) -> Sealed:
        """The file with other values. Raises Broken where its form cannot be kept."""
        new = {**data, SECTION: dict(section)}
        if self._root is None:
            return self._made(_LINES[self.form].changed(self._lines, new), None)
        return self._made(*yaml_text.changed(self._lines, self._root, new))

    def with_comments(self, before: bytes, after: bytes) -> Sealed:
        """The file with those comments for a new key that were encrypted with the former one. Raises Broken."""
        text = sealed_anew(self._lines, _branches(self.data), before, after)
        made = self if text == self._lines else self._made(text, None)
        if made.data != self.data or made.section != self.section:
            raise Broken("a value in plain text holds an encrypted comment", "take it out by: sops edit")
        return made

    def _made(self, lines: str, root: yaml_text.Node | None) -> Sealed:
        return Sealed(lines.replace("\n", "\r\n") if self._crlf else lines, self.form, root)


class Opened:
    """A file whose values are known."""

    def __init__(self, sealed: Sealed, plain: dict[str, Any], key: bytes) -> None:
        self._sealed = sealed
        self.plain = plain
        self._key = key

    def with_values(
        self, wanted: dict[str, Any], now: datetime, *, anew: tuple[str, ...] = (), new_key: NewKey | None = None
    ) -> Sealed:
        """The file with these values. What does not change stays as it is, unless there is a new key for all of it.

        ``anew`` leads to an object that changes: one value of it at least is encrypted anew, so that it is never again
        what it was before. Raises InPlainText for a value that would not be encrypted, and OverflowError for a number.
        """
        file = self._sealed
        if new_key is None:
            cipher, section, before = Cipher(self._key, file.scope), file.section, file.data
        else:
            cipher, section = Cipher(new_key.key, file.scope), new_key.section
            before = cipher.sealed_anew(file.data, (), self._key)
        data = cipher.resealed(before, self.plain, wanted, ())
        if anew and new_key is None:
            data = cipher.anew(before, data, wanted, anew)
        if file.form == INI:
            data = ini_text.with_top_first(data)
        plain = cipher.in_order_of(data, wanted, ())  # the checksum is of the values in the order of the file
        made = file.changed(data, with_checksum(section, plain, cipher.key, file.scope, now))
        return made if new_key is None else made.with_comments(self._key, new_key.key)


def new_file(form: str, new_key: NewKey, wanted: dict[str, Any], now: datetime) -> Sealed:
    """A new file."""
    scope = Scope.of(new_key.section)
    sealed = Cipher(new_key.key, scope).sealed(wanted, ())
    new = {**sealed, SECTION: with_checksum(new_key.section, wanted, new_key.key, scope, now)}
    return Sealed(yaml_text.render(new) if form == YAML else _LINES[form].changed("", new), form)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, types and all: 1, 1.0 and True are three."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def _with_one_line_end(text: str, form: str) -> tuple[str, bool]:
    """The text with LF at the ends of its lines, and whether they were CRLF. Raises Broken for what sops misreads."""
    if text.startswith("\ufeff"):
        raise Broken("it begins with a byte order mark (BOM)", "save it as UTF-8 without BOM, by an editor")
    ends = text.count("\r\n")
    if not ends:
        return text, False
    if form == DOTENV:
        raise Broken(
            "its lines end with CRLF, and sops takes the CR for a part of each value",
            "convert it: dos2unix; in a clone of Git: git config core.autocrlf false",
        )
    if ends != text.count("\n"):
        raise Broken("some of its lines end with CRLF, and some with LF", _ONE_END)
    return text.replace("\r\n", "\n"), True


def _branches(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all that comments can stand in."""
    if isinstance(value, dict):
        yield path
        for name, each in value.items():
            yield from _branches(each, (*path, name))
    elif isinstance(value, list):
        yield path
        for each in value:
            yield from _branches(each, path)


class Cipher:
    """Encrypts the values of one file: its data key, and which of them are encrypted."""

    def __init__(self, key: bytes, scope: Scope) -> None:
        self.key = key
        self._scope = scope

    def unsealed(self, value: Any, path: tuple[str, ...]) -> Any:
        """What encrypted data says, without comments. Raises Broken."""
        if isinstance(value, dict):
            return {name: self.unsealed(each, (*path, name)) for name, each in value.items()}
        if isinstance(value, list):
            for each in value:
                if self._is_comment(each, path):
                    open_text(each, self.key, path_text(path))
            return [self.unsealed(each, path) for each in value if not self._is_comment(each, path)]
        if value is None or value == "" or not self._scope.encrypts(path):
            return value
        if not is_sealed(value):
            raise Broken("a value in it is in plain text, where it should be encrypted", RESTORE)
        return unseal(value, path, self.key)

    def sealed(self, value: JsonValue, path: tuple[str, ...]) -> Any:
        """Encrypted data that says this. Raises InPlainText and OverflowError."""
        if isinstance(value, dict):
            return {name: self.sealed(each, (*path, name)) for name, each in value.items()}
        if isinstance(value, list):
            return [self.sealed(each, path) for each in value]
        if value is None or value == "":
            return value
        if not self._scope.encrypts(path):
            raise InPlainText(path[-1])
        return seal(value, path, self.key)

    def sealed_anew(self, value: Any, path: tuple[str, ...], before: bytes) -> Any:
        """The same data, with comments, encrypted by this key and no more by the former one."""
        if isinstance(value, dict):
            return {name: self.sealed_anew(each, (*path, name), before) for name, each in value.items()}
        if isinstance(value, list):
            return [self.sealed_anew(each, path, before) for each in value]
        if not is_sealed(value) or not self._scope.encrypts(path):
            return value
        authenticated = path_text(path)
        return seal_text(*open_text(value, before, authenticated), self.key, authenticated)

    def in_order_of(self, sealed: Any, plain: Any, path: tuple[str, ...]) -> Any:
        """The same values, with the names of objects in the order in which they stand in the file."""
        if isinstance(sealed, dict):
            return {name: self.in_order_of(each, plain[name], (*path, name)) for name, each in sealed.items()}
        if isinstance(sealed, list):
            values = (each for each in sealed if not self._is_comment(each, path))
            return [self.in_order_of(*each, path) for each in zip(values, plain, strict=True)]
        return plain

    def resealed(self, sealed: Any, plain: Any, wanted: Any, path: tuple[str, ...]) -> Any:
        """Encrypted data that says ``wanted``, of which stays as it is what says the same."""
        if same(plain, wanted):
            return sealed
        if isinstance(plain, dict) and isinstance(wanted, dict):
            made = {
                name: self.resealed(sealed[name], plain[name], wanted[name], (*path, name))
                for name in plain
                if name in wanted
            }
            return made | {n: self.sealed(each, (*path, n)) for n, each in wanted.items() if n not in plain}
        if isinstance(plain, list) and isinstance(wanted, list):
            return self._resealed_items(sealed, plain, wanted, path)
        return self.sealed(wanted, path)

    def _resealed_items(self, sealed: list[Any], plain: list[Any], wanted: list[Any], path: tuple[str, ...]) -> Any:
        """A list in which comments stay before the items that they stand before."""
        made: list[Any] = []
        rest = iter(sealed)
        for old, new in pairs_of(plain, wanted):
            if old is None and new is not None:
                made.append(self.sealed(wanted[new], path))
                continue
            for each in rest:
                if self._is_comment(each, path):
                    made.append(each)
                    continue
                if new is not None and old is not None:
                    made.append(self.resealed(each, plain[old], wanted[new], path))
                break
        return [*made, *rest]

    def anew(self, before: Any, sealed: dict[str, Any], plain: dict[str, Any], names: tuple[str, ...]) -> Any:
        """The same data, of which a value below ``names`` is encrypted anew unless one of them is already."""
        old, new, value = before, sealed, plain
        for name in names:
            old, new, value = (old.get(name) if isinstance(old, dict) else None), new[name], value[name]
        known = {each for _, each in leaves(old)}
        if any(is_sealed(each) and each not in known for _, each in leaves(new)):
            return sealed
        made = self._again(new, value, names)[0]
        for depth in range(len(names), 0, -1):
            holder: Any = sealed
            for name in names[: depth - 1]:
                holder = holder[name]
            made = {**holder, names[depth - 1]: made}
        return made

    def _again(self, part: Any, plain: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
        """The part with its first encrypted value anew, and whether there was any."""
        if isinstance(part, dict):
            for name, each in part.items():
                inner, done = self._again(each, plain[name], (*path, name))
                if done:
                    return {**part, name: inner}, True
        elif isinstance(part, list):
            places = (at for at, each in enumerate(part) if not self._is_comment(each, path))
            for at, each in zip(places, plain, strict=True):
                inner, done = self._again(part[at], each, path)
                if done:
                    return [*part[:at], inner, *part[at + 1 :]], True
        elif is_sealed(part) and self._scope.encrypts(path):
            return seal(plain, path, self.key), True
        return part, False

    def _is_comment(self, value: object, path: tuple[str, ...]) -> bool:
        return is_comment(value) and self._scope.encrypts(path)
