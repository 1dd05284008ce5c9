"""What a sops file says of itself: who can read it, which of its values are encrypted, and its checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pyrage

from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.stores.sops.values import RESTORE, Broken, mac_of, open_text, seal_text

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

VERSION = "3.9.0"
"""The version of sops whose form new files have."""

DEFAULT_SUFFIX = "_unencrypted"

CHECKSUM = ("lastmodified", "mac")
"""The fields that every change of a file changes."""

_RULES = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex")
_ONE_RULE = (
    "encrypt it anew by sops, with one of encrypted_regex, encrypted_suffix, unencrypted_regex and unencrypted_suffix"
)
_BY_COMMENTS = ("unencrypted_comment_regex", "encrypted_comment_regex")


OTHERS = ("kms", "gcp_kms", "azure_kv", "hc_vault", "hckms", "pgp")
"""What a file calls keys that are none of age's."""

SCOPE = (*_RULES, *_BY_COMMENTS, "mac_only_encrypted")
"""The fields that say which values of a file are encrypted."""


class NewKey(NamedTuple):
    """A data key that nobody has seen yet, and the section that holds it for those who are to read the file."""

    section: dict[str, Any]
    key: bytes


class KmsEntry(NamedTuple):
    """A data key that AWS KMS has encrypted: by which key, and with what it authenticated besides."""

    arn: str
    enc: str
    context: tuple[tuple[str, str], ...]


class KmsKey(NamedTuple):
    """A key of AWS KMS that files are to be for. What sops is to do to use it stands in files, and is not done here.

    Attributes:
        role: which role sops assumes.
        profile: of sops' configuration of AWS.
        context: what KMS authenticates besides.
    """

    arn: str
    role: str = ""
    profile: str = ""
    context: tuple[tuple[str, str], ...] = ()

    def entry(self, enc: str) -> dict[str, Any]:
        """An encrypted data key as a file has it."""
        beside: dict[str, Any] = {"role": self.role} if self.role else {}
        if self.context:
            beside["context"] = dict(self.context)
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"arn": self.arn, **beside, "created_at": created, "enc": enc, "aws_profile": self.profile}


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
        given = [name for name in (*_RULES, *_BY_COMMENTS) if section.get(name)]
        if len(given) > 1:  # sops takes no such file either
            raise Broken(f"it has {' and '.join(given)}, and one of them at most may say what is encrypted", _ONE_RULE)
        if any(name in _BY_COMMENTS for name in given):
            raise Broken(
                "its comments say what is encrypted (…_comment_regex), which SecretSync does not support", _ONE_RULE
            )
        found = {name: section.get(name) or "" for name in _RULES}
        if not all(isinstance(each, str) for each in found.values()):
            raise Broken("its rules of what is encrypted are no texts", "put them in quotes")
        for name in ("unencrypted_regex", "encrypted_regex"):
            try:
                compile_regexp(found[name])
            except ExpressionError:
                raise Broken(f"its {name} is no expression", "correct it: RE2 has no lookahead and no \\1") from None
        if not given:
            found["unencrypted_suffix"] = DEFAULT_SUFFIX
        return cls(**found, mac_only_encrypted=section.get("mac_only_encrypted") is True)

    def encrypts(self, path: tuple[str, ...]) -> bool:
        """Whether the value at a path is encrypted, by sops' own rules in their order."""
        return _encrypts(self, path)

    def section(self) -> dict[str, Any]:
        """As a file says it."""
        found: dict[str, Any] = {name: getattr(self, name) for name in _RULES if getattr(self, name)}
        return found | ({"mac_only_encrypted": True} if self.mac_only_encrypted else {})


@lru_cache(maxsize=256)
def _encrypts(scope: Scope, path: tuple[str, ...]) -> bool:
    """See :meth:`Scope.encrypts`. Kept, for all that is in a list has the path of the list."""
    encrypted = True
    if scope.unencrypted_suffix and any(part.endswith(scope.unencrypted_suffix) for part in path):
        encrypted = False
    if scope.encrypted_suffix:
        encrypted = any(part.endswith(scope.encrypted_suffix) for part in path)
    if scope.unencrypted_regex and any(_is_found(scope.unencrypted_regex, part) for part in path):
        encrypted = False
    if scope.encrypted_regex:
        encrypted = any(_is_found(scope.encrypted_regex, part) for part in path)
    return encrypted


@lru_cache(maxsize=4096)
def _is_found(pattern: str, part: str) -> bool:
    """Whether an expression is found in a name. Kept: a name stands in the path of all that is below it."""
    return compile_regexp(pattern).found(part)


def recipients_of(section: Mapping[str, Any]) -> list[str]:
    """The age recipients of a file. Raises Broken where one has no name, or two have the same.

    What stands below a name that is there twice may be for anybody.
    """
    listed = section.get("age") or []
    entries = listed if isinstance(listed, list) else [None]
    found = [str(each.get("recipient") or "").strip() if isinstance(each, dict) else "" for each in entries]
    if not all(found):
        raise Broken("one of its age keys has no recipient", RESTORE)
    if len({person_of(each) for each in found}) < len(found):
        raise Broken("one of its age recipients stands twice", "take one of them out: sops updatekeys")
    return found


def person_of(recipient: str) -> str:
    """A recipient without what is a comment to age: behind an SSH key there may stand anything."""
    return " ".join(recipient.split()[:2])


def others_than_age(section: Mapping[str, Any]) -> list[str]:
    """Which other kinds of keys a file is encrypted for as well."""
    return [name for name in OTHERS if section.get(name)]


def kms_entries_of(section: Mapping[str, Any]) -> list[KmsEntry]:
    """The data key as AWS KMS has encrypted it. Raises Broken where one has no ARN, or two have the same."""
    listed = section.get("kms") or []
    found = []
    for each in listed if isinstance(listed, list) else [None]:
        arn, enc, context = (
            (each.get("arn"), each.get("enc"), each.get("context") or {}) if isinstance(each, dict) else (None,) * 3
        )
        if not isinstance(arn, str) or not arn or not isinstance(enc, str) or not isinstance(context, dict):
            raise Broken("one of its KMS keys has no ARN, or no data key", RESTORE)
        if not all(isinstance(text, str) for text in context.values()):
            raise Broken("the context of one of its KMS keys is no text", RESTORE)
        found.append(KmsEntry(arn, enc, tuple(sorted(context.items()))))
    if len({each.arn for each in found}) < len(found):
        raise Broken("one of its KMS keys stands twice", "take one of them out: sops updatekeys")
    return found


def data_key_of(
    section: Mapping[str, Any],
    identities: Sequence[Any],
    by_kms: Mapping[KmsEntry, bytes] | None = None,
    kms_keys: Container[str] = (),
) -> bytes:
    """The key of a file's values. ``by_kms``: what KMS has decrypted, by ``kms_keys`` alone.

    Raises NoKey, and Broken for a file that is neither for age keys nor for those of KMS.
    """
    if section.get("key_groups") or section.get("shamir_threshold"):
        raise Broken(
            "its key is split among several groups (key_groups), which SecretSync does not support",
            "give it one group, without shamir_threshold, in .sops.yaml; then: sops updatekeys",
        )
    known = [entry for entry in kms_entries_of(section) if entry.arn in kms_keys]
    if not recipients_of(section) and not known:
        kinds = ", ".join(others_than_age(section)) or "nobody"
        raise Broken(
            f"it is encrypted for {kinds}, and for no age key",
            "add an age recipient to its rule in .sops.yaml; then: sops updatekeys",
        )
    for age in section.get("age") or ():
        sealed = age.get("enc")
        if not isinstance(sealed, str) or not identities:
            continue
        try:
            key = pyrage.decrypt(sealed.encode(), list(identities))
        except pyrage.DecryptError:
            continue
        if len(key) == 32:
            return bytes(key)
    for entry in known:
        if key := (by_kms or {}).get(entry, b""):
            return key
    raise NoKey


class Wrapped(NamedTuple):
    """A data key that nobody has seen yet, and its entries for keys of KMS."""

    key: bytes
    entries: list[dict[str, Any]]

    @classmethod
    def new(cls) -> Wrapped:
        """One that is for no key of KMS."""
        return cls(os.urandom(32), [])


def new_key(recipients: Sequence[str], scope: Scope, wrapped: Wrapped | None = None) -> NewKey:
    """A data key, in the section of a new file without a checksum. Raises Broken for a bad recipient."""
    key, entries = wrapped or Wrapped.new()
    return NewKey({**_holders(key, recipients, entries), **scope.section(), "version": VERSION}, key)


def new_key_for(section: Mapping[str, Any], recipients: Sequence[str], wrapped: Wrapped | None = None) -> NewKey:
    """A data key in the place of the one that a file has, for nobody but these. Raises Broken for a bad recipient."""
    key, entries = wrapped or Wrapped.new()
    kept = {name: each for name, each in section.items() if name not in ("age", *OTHERS)}
    return NewKey({**_holders(key, recipients, entries), **kept}, key)


def _holders(key: bytes, recipients: Sequence[str], entries: list[dict[str, Any]]) -> dict[str, Any]:
    return ({"kms": entries} if entries else {}) | ({"age": _entries(key, recipients)} if recipients else {})


def _entries(key: bytes, recipients: Sequence[str]) -> list[dict[str, str]]:
    entries = []
    for text in {person_of(each): each for each in recipients}.values():
        try:
            found = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
            sealed = pyrage.encrypt(key, [found.from_str(text)], armored=True)
        except (pyrage.RecipientError, pyrage.EncryptError, ValueError):
            raise Broken(
                "one of its age recipients is not one that SecretSync knows (age1…, ssh-…)",
                "correct it in recipients, or in .sops.yaml",
            ) from None
        entries.append({"recipient": text, "enc": sealed.decode()})
    return entries


def with_checksum(
    section: Mapping[str, Any], plain: dict[str, Any], key: bytes, scope: Scope, now: datetime
) -> dict[str, Any]:
    """The section with the checksum of a file's new values."""
    modified = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    checksum = mac_of(plain, scope.encrypts, only_encrypted=scope.mac_only_encrypted)
    sealed = seal_text(checksum.encode(), "str", key, modified)
    rest = {name: each for name, each in section.items() if name not in CHECKSUM}
    if "mac" in section:  # each stays in its place
        return {**section, "lastmodified": modified, "mac": sealed}
    first: dict[str, Any] = {name: rest.pop(name) for name in ("kms", "age") if name in rest}
    return {**first, "lastmodified": modified, "mac": sealed, **rest}


def check_checksum(section: Mapping[str, Any], plain: dict[str, Any], key: bytes, scope: Scope) -> None:
    """Raise Broken where a file's values are not those that its checksum was made of."""
    sealed, modified = section.get("mac"), section.get("lastmodified")
    if not isinstance(sealed, str) or not isinstance(modified, str):
        raise Broken("it has no checksum (mac)", RESTORE)
    try:
        found = open_text(sealed, key, modified)[0]
    except Broken:
        found = b""
    if found.decode(errors="replace") != mac_of(plain, scope.encrypts, only_encrypted=scope.mac_only_encrypted):
        raise Broken(
            "its checksum (mac) is not that of its values: it was changed by something else than sops", RESTORE
        )


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
