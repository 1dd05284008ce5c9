"""The creation rules of a ``.sops.yaml``: for whom a new file is encrypted, and which of its values."""

from __future__ import annotations

import os
import re
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.protected import is_within
from secretsync_core.stores.sops import yaml_text
from secretsync_core.stores.sops.config import ARN
from secretsync_core.stores.sops.metadata import KmsKey, Scope, others_than_age, person_of, recipients_of
from secretsync_core.stores.sops.values import Broken
from secretsync_core.trusted_files import is_others, writable_by

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = ".sops.yaml"
MAX_BYTES = 256 * 1024

_OTHERS = ("kms", "pgp", "gcp_kms", "hckms", "azure_keyvault", "hc_vault_transit_uri", "shamir_threshold")
_CORRECT = f"correct {FILE}, or give recipients in the document"
_NAMED_BY = {"kms": "arn", "pgp": "fp", "gcp_kms": "resource_id"}
"""What names a key in a file, of the kinds of which it is one text."""

_AS_FILES_SAY = {"azure_keyvault": "azure_kv", "hc_vault_transit_uri": "hc_vault"}


class Readers(NamedTuple):
    """Who is to read a file: age recipients, and keys of AWS KMS."""

    recipients: list[str]
    keys: list[KmsKey]


class Rule:
    """A creation rule: ``where`` says which one. Raises Broken where it is of no use."""

    def __init__(self, rule: Mapping[str, Any], where: str) -> None:
        self._where = where
        groups = rule.get("key_groups") or []
        if not isinstance(groups, list) or not all(isinstance(each, dict) for each in groups):
            raise Broken(f"{where} cannot be used: its key_groups are no list of objects", _CORRECT)
        self._groups = len(groups)
        self._others = [name for name in _OTHERS if rule.get(name)]
        if len(groups) == 1:
            self._others += [name for name, each in groups[0].items() if each and name != "age"]
        self._holder: Mapping[str, Any] = groups[0] if groups else rule
        given = self._holder.get("age")
        texts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
        found = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
        self._recipients = list({person_of(each): each for each in found}.values())
        self._given = rule

    def for_new(self, *, kms: bool = False) -> tuple[Readers, Scope]:
        """For whom a new file is, and which of its values are encrypted; see :meth:`readers`. Raises Broken."""
        readers = self.readers(kms=kms)
        try:
            return readers, Scope.of(self._given)
        except Broken as error:
            raise Broken(f"{self._where} cannot be used: {error}", _CORRECT) from None

    def readers(self, *, kms: bool = False) -> Readers:
        """For whom a file is to be. ``kms``: it may be for keys of AWS KMS too. Raises Broken for any other kind."""
        others = [name for name in self._others if name != "kms" or not kms]
        if others == ["kms"]:
            raise Broken(
                f"{self._where} cannot be used: it names kms, and the SecretStore does not say how to log in there",
                "give it kms: {}, with auth where the environment's does not do; or recipients",
            )
        why = ""
        if others:
            why = f"it names {', '.join(others)}, and SecretSync makes files for age keys and keys of AWS KMS alone"
        elif self._groups > 1:
            why = "it has several key_groups, and SecretSync makes files with one"
        keys = self.kms_keys() if kms and not why else []
        if not why and not self._recipients and not keys:
            why = "it names no age recipient" + (" and no key of AWS KMS" if kms else "")
        if why:
            raise Broken(f"{self._where} cannot be used: {why}", _CORRECT)
        return Readers(self._recipients, keys)

    def kms_keys(self) -> list[KmsKey]:
        """The keys of AWS KMS that it names; none where the data key is split among groups. Raises Broken."""
        given = self._holder.get("kms") if self._groups < 2 else None
        listed = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
        found = [self._kms_key(each) for each in listed if each and (not isinstance(each, str) or each.strip())]
        if len({each.arn for each in found}) < len(found):
            raise Broken(f"{self._where} cannot be used: a key of AWS KMS stands twice in it", _CORRECT)
        return found

    def _kms_key(self, given: object) -> KmsKey:
        """A key as a rule names it: ``ARN``, ``ARN+ROLE``, or an object."""
        if isinstance(given, str):
            arn, plus, role = given.replace(" ", "").partition("+arn:")
            key = KmsKey(arn, f"arn:{role}" if plus else "", self._text(self._given, "aws_profile"))
        elif isinstance(given, dict):
            context = given.get("context") or {}
            if not isinstance(context, dict) or not all(isinstance(each, str) for each in context.values()):
                raise Broken(f"{self._where} cannot be used: the context of a key of AWS KMS is no text", _CORRECT)
            arn, role, profile = (self._text(given, name) for name in ("arn", "role", "aws_profile"))
            key = KmsKey(arn, role, profile, tuple(sorted(context.items())))
        else:
            key = KmsKey("")
        if not re.fullmatch(ARN.strip("^$"), key.arn):
            raise Broken(f"{self._where} cannot be used: a key of AWS KMS has no whole ARN in it", _CORRECT)
        return key

    def _text(self, given: Mapping[str, Any], name: str) -> str:
        text = given.get(name) or ""
        if not isinstance(text, str):
            raise Broken(f"{self._where} cannot be used: its {name} is no text", _CORRECT)
        return text

    def allows(self, section: Mapping[str, Any]) -> bool:
        """Whether a file may be for whom its section says: its recipients, and its keys of other kinds. Raises Broken.

        A rule that names no key bounds nobody: sops takes them from elsewhere then. Keys of which the name is not one
        text are told apart by their kinds alone.
        """
        if self._groups > 1 or not (self._recipients or self._others):
            return True
        known = {person_of(each) for each in self._recipients}
        kinds = {_AS_FILES_SAY.get(name, name) for name in self._others}
        return (
            known.issuperset(map(person_of, recipients_of(section)))
            and kinds.issuperset(others_than_age(section))
            and all(self._names(kind).issuperset(_names_in(section, kind, field)) for kind, field in _NAMED_BY.items())
        )

    def _names(self, kind: str) -> set[str]:
        """The keys of a kind that the rule names, by their names in a file."""
        given = self._holder.get(kind)
        texts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
        found = [each.get(_NAMED_BY[kind]) if isinstance(each, dict) else each for each in texts]
        return {each.replace(" ", "").partition("+arn:")[0] for each in found if isinstance(each, str)}


def _names_in(section: Mapping[str, Any], kind: str, field: str) -> set[str]:
    listed = section.get(kind)
    return {str(each.get(field)) for each in listed if isinstance(each, dict)} if isinstance(listed, list) else set()


def rule_for(path: str, root: str) -> Rule | None:
    """The rule for a file at a path, by the nearest ``.sops.yaml``; None where there is none. Raises Broken.

    One above ``root`` that others can write is none: it bounds nobody.
    """
    try:
        return _rule_for(path, root)
    except _Untrusted:
        return None


def rule_for_new(path: str, root: str) -> Rule:
    """The same for a file that is to be made. Raises Broken where there is none.

    One above ``root`` counts only where nobody else can write it: whoever can is told every new secret.
    """
    found = _rule_for(path, root)
    if found is None:
        raise Broken(f"no creation rule of a {FILE} in its folder or above it is for it", _CORRECT)
    return found


class _Untrusted(Broken):
    """Others can write a file of rules that is none of the store's."""


def _rule_for(path: str, root: str) -> Rule | None:
    for folder in Path(path).parents:
        config = folder / FILE
        text = _read(config, foreign=not is_within(str(folder), root))
        if text is not None:
            return _chosen(text, os.path.relpath(path, folder), config)
    return None


def _read(config: Path, *, foreign: bool) -> str | None:
    """What a file of rules holds; None where there is none. Never opens a pipe or a device."""
    try:
        found = config.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Broken(f"{config} is no file", _CORRECT)
        if foreign and (is_others(found) or writable_by(found) == "go"):
            raise _Untrusted(
                f"{config} is outside of the store, and others can write it",
                f"give recipients in the document, or make it yours alone: chmod go-w {config}",
            )
        with config.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Broken(f"{config} cannot be read: {why}", f"check who may read {config}") from None
    if len(data) > MAX_BYTES:
        raise Broken(f"{config} is larger than {MAX_BYTES // 1024} KiB", _CORRECT)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Broken(f"{config} is not UTF-8 text", _CORRECT) from None


@lru_cache(maxsize=8)
def _parsed(text: str) -> dict[str, Any]:
    """What a file of rules says; of many secrets one after the other it is the same file. Raises Broken."""
    found = yaml_text.parse(text, aliases=True).plain()
    assert isinstance(found, dict)  # noqa: S101  the parser takes nothing else
    return found


def _chosen(text: str, relative: str, config: Path) -> Rule | None:
    try:
        rules = _parsed(text).get("creation_rules")
    except Broken as error:
        raise Broken(f"{config} cannot be used: {error}", error.hint) from None
    for number, rule in enumerate(rules if isinstance(rules, list) else [], start=1):
        where = f"the creation rule {number} in {config}"
        if not isinstance(rule, dict):
            raise Broken(f"{where} is no object", _CORRECT)
        pattern = rule.get("path_regex") or ""
        try:
            fits = isinstance(pattern, str) and compile_regexp(pattern).found(relative)
        except ExpressionError:
            raise Broken(f"{where} has a path_regex that is no expression", _CORRECT) from None
        if fits:
            return Rule(rule, where)
    return None
