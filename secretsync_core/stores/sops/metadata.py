"""What a sops file says of itself: who can read it, which of its values are encrypted, and its checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyrage

from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.stores.sops.values import Broken, mac_of, open_text, seal_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = "3.9.0"
"""The version of sops whose form new files have."""

DEFAULT_SUFFIX = "_unencrypted"

_RULES = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex")
_BY_COMMENTS = ("unencrypted_comment_regex", "encrypted_comment_regex")


class NoKey(Exception):
    """None of our identities opens the file."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which values of a file are encrypted. Each attribute is empty where the file does not have it."""

    unencrypted_suffix: str = ""
    encrypted_suffix: str = ""
    unencrypted_regex: str = ""
    encrypted_regex: str = ""
    mac_only_encrypted: bool = False

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Scope:
        """What a file's section, or a creation rule, says. Raises Broken for what is not known here."""
        if any(section.get(name) for name in _BY_COMMENTS):
            raise Broken("its comments say what is encrypted (…_comment_regex), which SecretSync does not support")
        found = {name: section.get(name) or "" for name in _RULES}
        if not all(isinstance(each, str) for each in found.values()):
            raise Broken("its rules of what is encrypted are no texts")
        for name in ("unencrypted_regex", "encrypted_regex"):
            try:
                compile_regexp(found[name])
            except ExpressionError:
                raise Broken(f"its {name} is no expression") from None
        return cls(**found, mac_only_encrypted=section.get("mac_only_encrypted") is True)

    def encrypts(self, path: tuple[str, ...]) -> bool:
        """Whether the value at a path is encrypted, by sops' own rules in their order."""
        encrypted = True
        if self.unencrypted_suffix and any(part.endswith(self.unencrypted_suffix) for part in path):
            encrypted = False
        if self.encrypted_suffix:
            encrypted = any(part.endswith(self.encrypted_suffix) for part in path)
        if self.unencrypted_regex and any(compile_regexp(self.unencrypted_regex).found(part) for part in path):
            encrypted = False
        if self.encrypted_regex:
            encrypted = any(compile_regexp(self.encrypted_regex).found(part) for part in path)
        return encrypted

    def section(self) -> dict[str, Any]:
        """As a file says it."""
        found: dict[str, Any] = {name: getattr(self, name) for name in _RULES if getattr(self, name)}
        return found | ({"mac_only_encrypted": True} if self.mac_only_encrypted else {})


def scope_of_rule(rule: Mapping[str, Any]) -> Scope:
    """What a creation rule says, with sops' default where it says nothing."""
    if any(rule.get(name) for name in _RULES):
        return Scope.of(rule)
    return Scope.of({**rule, "unencrypted_suffix": DEFAULT_SUFFIX})


def recipients_of(section: Mapping[str, Any]) -> list[str]:
    """The age recipients of a file."""
    listed = section.get("age")
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [recipient for each in entries if isinstance(recipient := each.get("recipient"), str)]


def others_than_age(section: Mapping[str, Any]) -> list[str]:
    """Which other kinds of keys a file is encrypted for as well."""
    return [name for name in ("kms", "gcp_kms", "azure_kv", "hc_vault", "hckms", "pgp") if section.get(name)]


def data_key_of(section: Mapping[str, Any], identities: Sequence[Any]) -> bytes:
    """The key of a file's values. Raises NoKey, and Broken for a file that is not made for age keys."""
    if section.get("key_groups") or section.get("shamir_threshold"):
        raise Broken("its key is split among several groups (key_groups), which SecretSync does not support")
    if not recipients_of(section):
        kinds = ", ".join(others_than_age(section)) or "nobody"
        raise Broken(f"it is encrypted for {kinds}, and for no age key")
    for entry in section["age"]:
        sealed = entry.get("enc") if isinstance(entry, dict) else None
        if not isinstance(sealed, str) or not identities:
            continue
        try:
            key = pyrage.decrypt(sealed.encode(), list(identities))
        except pyrage.DecryptError:
            continue
        if len(key) == 32:
            return bytes(key)
    raise NoKey


def new_section(recipients: Sequence[str], scope: Scope) -> tuple[dict[str, Any], bytes]:
    """The section of a new file, without a checksum, and the key of its values. Raises Broken for a bad recipient."""
    key, entries = os.urandom(32), []
    for text in recipients:
        try:
            found = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
            sealed = pyrage.encrypt(key, [found.from_str(text)], armored=True)
        except (pyrage.RecipientError, pyrage.EncryptError, ValueError):
            raise Broken("one of its age recipients is not one that SecretSync knows (age1…, ssh-…)") from None
        entries.append({"recipient": text, "enc": sealed.decode()})
    return {"age": entries, **scope.section(), "version": VERSION}, key


def with_checksum(
    section: Mapping[str, Any], plain: dict[str, Any], key: bytes, scope: Scope, now: datetime
) -> dict[str, Any]:
    """The section with the checksum of a file's new values."""
    modified = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    checksum = mac_of(plain, scope.encrypts, only_encrypted=scope.mac_only_encrypted)
    sealed = seal_text(checksum.encode(), "str", key, modified)
    rest = {name: each for name, each in section.items() if name not in ("lastmodified", "mac")}
    first = {"age": rest.pop("age")} if "age" in rest and "mac" not in section else {}
    if "mac" in section:  # each stays in its place
        return {**section, "lastmodified": modified, "mac": sealed}
    return {**first, "lastmodified": modified, "mac": sealed, **rest}


def check_checksum(section: Mapping[str, Any], plain: dict[str, Any], key: bytes, scope: Scope) -> None:
    """Raise Broken where a file's values are not those that its checksum was made of."""
    sealed, modified = section.get("mac"), section.get("lastmodified")
    if not isinstance(sealed, str) or not isinstance(modified, str):
        raise Broken("it has no checksum (mac)")
    try:
        found = open_text(sealed, key, modified)[0]
    except Broken:
        found = b""
    if found.decode(errors="replace") != mac_of(plain, scope.encrypts, only_encrypted=scope.mac_only_encrypted):
        raise Broken("its checksum (mac) is not that of its values: it was changed by something else than sops")


def identities_of(text: str) -> list[Any]:
    """The identities in the text of an age key file, or an SSH key. Raises NoKey for a text that is neither."""
    if "PRIVATE KEY-----" in text:
        try:
            return [pyrage.ssh.Identity.from_buffer(text.encode() + b"\n")]
        except (pyrage.IdentityError, ValueError):
            raise NoKey from None
    found = []
    for line in text.splitlines():
        given = line.strip()
        if given and not given.startswith("#"):
            try:
                found.append(pyrage.x25519.Identity.from_str(given))
            except (pyrage.IdentityError, ValueError):
                raise NoKey from None
    if not found:
        raise NoKey
    return found
