"""The stores that documents can name: our own, and those of other packages that are installed here.

Both are registered alike, by entry points: a name, and where the object is that has a ``config`` and an ``open``. It is
loaded when a document names it, so this module imports no store. Those of others are in the entry-point group
``secretsync.stores``; ours are listed here, so that they are there without any metadata of an installation.
"""

from __future__ import annotations

import functools
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

GROUP = "secretsync.stores"

BUILT_IN = {
    name: EntryPoint(name, f"secretsync_core.stores.{module}:PROVIDER", GROUP)
    for name, module in {
        "vault": "vault",
        "awsSecretsManager": "aws_secrets_manager",
        "awsParameterStore": "aws_parameter_store",
        "gcpSecretManager": "gcp_secret_manager",
        "azureKeyVault": "azure_key_vault",
        "kubernetes": "kubernetes",
        "file": "file",
        "dotenv": "dotenv",
        "sops": "sops",
        "githubSecrets": "github_secrets",
        "gitlabVariables": "gitlab_variables",
        "http": "rest",
        "memory": "memory",
    }.items()
}
"""Our own stores. A new one is one more line here."""


def installed_plugins() -> tuple[EntryPoint, ...]:
    """The entry points of the group, by the packages that are installed now.

    To find them Python reads a file of each installed package, 50 ms where there are hundreds, and every SecretStore
    document asks. So they are kept for as long as nothing is installed or removed: a directory's time tells.
    """
    return _found(tuple((path, _changed(path)) for path in sys.path))


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=4)
def _found(_: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))
