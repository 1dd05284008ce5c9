"""SecretSync in Dagster: every SyncJob becomes a job that people run, schedule, inspect and retry in the web UI.

``secretsync_dagster.definitions`` is what ``workspace.yaml`` loads, and :mod:`secretsync_dagster.compile` the one pure
function behind it. Documents come from ``SECRETSYNC_CONFIG``, the ledger from ``SECRETSYNC_LEDGER``, and what
tells this code location apart from others from ``SECRETSYNC_PREFIX``.

``SyncJobComponent`` and ``SyncDirectoryComponent`` are for Dagster projects that people have already. What jobs and
assets are called, ``SecretSyncTranslator`` says: subclass it to change that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secretsync_dagster.component import SyncDirectoryComponent, SyncJobComponent
    from secretsync_dagster.translator import SecretSyncTranslator

__all__ = ["SecretSyncTranslator", "SyncDirectoryComponent", "SyncJobComponent"]


def __getattr__(name: str) -> Any:
    # Looked up when they are asked for: whoever imports one small module of this package need not wait for Dagster.
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from secretsync_dagster import component

    return getattr(component, name)  # which has the translator too


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
