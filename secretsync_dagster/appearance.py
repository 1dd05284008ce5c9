"""What of a document Dagster's pages show at first sight: icons, where a store is, and the line that says so.

Nothing here is a credential: of a store's configuration only the fields named below are shown, and of an address
nothing that stands before its host.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.cli.escape import safe
from secretsync_core.cli.markdown import block
from secretsync_core.schema.providers import ProviderProblem, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.schema.documents import JobDocument, StoreDocument, Where

SYNC_KINDS = frozenset({"secretsync", "task"})
"""The kinds of a SyncJob's asset. Dagster has an icon for ``task``; by ``secretsync`` people find all of them."""

_KINDS = {
    "vault": ("hashicorp", "vault"),
    "awsSecretsManager": ("aws", "secretsmanager"),
    "awsParameterStore": ("aws", "parameterstore"),
    "gcpSecretManager": ("gcp", "secretmanager"),
    "azureKeyVault": ("azure", "keyvault"),
    "kubernetes": ("kubernetes",),
    "file": ("file",),
    "dotenv": ("file", "dotenv"),
    "sops": ("file", "sops"),
    "githubSecrets": ("github",),
    "gitlabVariables": ("gitlab",),
    "http": ("http",),
}
"""Of our providers: first the kind that Dagster's web UI has an icon for, then what it is."""

_SHOWN = {
    "vault": {"address": "address", "namespace": "namespace", "mount": "mount"},
    "awsSecretsManager": {"region": "region", "endpoint": "endpoint_url", "prefix": "prefix"},
    "awsParameterStore": {"region": "region", "endpoint": "endpoint_url", "path": "path"},
    "gcpSecretManager": {
        "project": "project",
        "location": "location",
        "endpoint": "endpoint_url",
        "prefix": "prefix",
    },
    "azureKeyVault": {"vault": "vault_url"},
    "kubernetes": {"server": "server", "namespace": "namespace"},
    "file": {"path": "path"},
    "dotenv": {"path": "path", "file": "file"},
    "sops": {"path": "path", "file": "file"},
    "githubSecrets": {
        "address": "address",
        "organization": "organization",
        "repository": "repository",
        "environment": "environment",
        "kind": "kind",
    },
    "gitlabVariables": {
        "address": "address",
        "project": "project",
        "group": "group",
        "environmentScope": "environment_scope",
    },
    "http": {"address": "address"},
}
"""What of a provider's configuration is shown, by the name that it gets."""

_USER_INFO = re.compile(r"(?<=//)[^/?#]*@|^[^/?#]*@(?=[^/?#@]+:\d+)")
# Dagster warns that it may still change these; whoever loads our documents cannot do anything about it.
warnings.filterwarnings("ignore", message=r".*(CodeReference|`owners`)", category=dg.BetaWarning)
_TAG = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_RESERVED = re.compile(r"(dagster|secretsync)[a-z0-9-]*/")
_QUERY = re.compile(r"\?.*", re.DOTALL)
CODE_REFERENCES = "dagster/code_references"


def kinds_of(store: StoreDocument) -> set[str]:
    """The kinds of a store's asset. Of somebody else's provider it is its name, which may have an icon or not."""
    return set(_KINDS.get(store.provider, (store.provider,)))


def place_shown(store: StoreDocument) -> dict[str, str]:
    """Where a store is, as far as its document tells, for its asset's metadata: names, and texts of one line."""
    shown = _SHOWN.get(store.provider)
    found: dict[str, Any]
    if shown is not None:
        found = {name: getattr(store.config, attribute, None) for name, attribute in shown.items()}
    else:
        try:
            place = place_of(store.provider, store.config)
        except ProviderProblem:
            place = None  # it fails the store's own plan and sync; here it would take a whole code location down
        found = {"server": place.server, "root": place.root} if place is not None else {}
    return {name: safe(without_user_info(text)) for name, text in found.items() if isinstance(text, str) and text}


def without_user_info(address: str) -> str:
    """An address without the user and password that may stand before its host, or in its query."""
    shown = _USER_INFO.sub("***@", address)
    return _QUERY.sub("?***", shown) if "://" in shown else shown


def tags_of(labels: Mapping[str, str]) -> dict[str, str]:
    """A document's labels as tags, less those that Dagster would not take, or would take for its own or ours."""
    return {name: text for name, text in labels.items() if _TAG.fullmatch(name) and not _RESERVED.match(name)}


def document_shown(document: JobDocument) -> dict[str, dg.MarkdownMetadataValue]:
    """Metadata that shows what was read of a document: no comments, no values of credentials, in a block of its own."""
    return {"YAML": dg.MetadataValue.md(block(document.text, "yaml"))}


def code_reference(where: Where) -> Mapping[str, Any]:
    """Metadata by which Dagster's *Open in editor* leads to the line where a document begins."""
    line = dg.LocalFileCodeReference(file_path=str(Path(where.file).absolute()), line_number=max(where.line, 1))
    return {CODE_REFERENCES: dg.CodeReferencesMetadataValue(code_references=[line])}
