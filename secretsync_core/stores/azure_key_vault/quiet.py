"""Keeps what the SDK logs out of the logs: addresses, headers, and what it makes of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.stores.quiet import quieted

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def quiet() -> AbstractContextManager[None]:
    """Nothing that the SDK logs in this task, while it lasts, reaches any handler."""
    return quieted(
        ("azure.core", "azure.identity", "azure.keyvault.secrets", "msal"),
        ("azure.core.pipeline.policies.http_logging_policy",),
    )
