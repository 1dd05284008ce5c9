"""The creation rules of a ``.sops.yaml``: for whom a new file is encrypted, and which of its values."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.protected import is_within
from secretsync_core.stores.sops import yaml_text
from secretsync_core.stores.sops.metadata import scope_of_rule
from secretsync_core.stores.sops.values import Broken
from secretsync_core.trusted_files import is_others, writable_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.sops.metadata import Scope

FILE = ".sops.yaml"
MAX_BYTES = 256 * 1024

_OTHERS = ("kms", "pgp", "gcp_kms", "hckms", "azure_keyvault", "hc_vault_transit_uri", "shamir_threshold")


def rule_for(path: str, root: str) -> tuple[list[str], Scope]:
    """The age recipients and the scope for a new file at a path, by the nearest ``.sops.yaml``. Raises Broken.

    One above ``root`` counts only where nobody else can write it: whoever can is told every new secret.
    """
    for folder in Path(path).parents:
        config = folder / FILE
        text = _read(config, foreign=not is_within(str(folder), root))
        if text is not None:
            return _chosen(text, os.path.relpath(path, folder), config)
    raise Broken(f"there is no {FILE} in its folder or above it")


def _read(config: Path, *, foreign: bool) -> str | None:
    """What a file of rules holds; None where there is none. Never opens a pipe or a device."""
    try:
        found = config.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Broken(f"{config} is no file")
        if foreign and (is_others(found) or writable_by(found) == "go"):
            raise Broken(f"{config} is outside of the store, and others can write it: give recipients in the document")
        with config.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Broken(f"{config} cannot be read: {error.strerror or type(error).__name__}") from None
    if len(data) > MAX_BYTES:
        raise Broken(f"{config} is larger than {MAX_BYTES // 1024} KiB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Broken(f"{config} is not UTF-8 text") from None


def _chosen(text: str, relative: str, config: Path) -> tuple[list[str], Scope]:
    try:
        rules = yaml_text.parse(text).plain().get("creation_rules")
    except Broken as error:
        raise Broken(f"{config} cannot be used: {error}") from None
    for number, rule in enumerate(rules if isinstance(rules, list) else [], start=1):
        where = f"the creation rule {number} in {config}"
        if not isinstance(rule, dict):
            raise Broken(f"{where} is no object")
        pattern = rule.get("path_regex") or ""
        try:
            fits = isinstance(pattern, str) and compile_regexp(pattern).found(relative)
        except ExpressionError:
            raise Broken(f"{where} has a path_regex that is no expression") from None
        if fits:
            try:
                return _recipients(rule), scope_of_rule(rule)
            except Broken as error:
                raise Broken(f"{where} cannot be used: {error}") from None
    raise Broken(f"no creation rule in {config} is for it")


def _recipients(rule: Mapping[str, Any]) -> list[str]:
    groups = rule.get("key_groups") or []
    if others := [name for name in _OTHERS if rule.get(name)]:
        raise Broken(f"it names {', '.join(others)}, and SecretSync makes files for age keys alone")
    if not isinstance(groups, list) or len(groups) > 1 or (groups and not isinstance(groups[0], dict)):
        raise Broken("it has several key_groups, and SecretSync makes files with one")
    if groups and (others := [name for name, each in groups[0].items() if each and name != "age"]):
        raise Broken(f"it names {', '.join(others)}, and SecretSync makes files for age keys alone")
    given = groups[0].get("age") if groups else rule.get("age")
    texts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    found = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    if not found:
        raise Broken("it names no age recipient")
    return list(dict.fromkeys(found))
