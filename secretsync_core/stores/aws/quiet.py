"""Keeps values and credentials out of the logs: at DEBUG botocore writes down requests, answers and session tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.stores.quiet import quieted

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def quiet() -> AbstractContextManager[None]:
    """Nothing that boto3 logs in this thread, while it lasts, reaches any handler."""
    return quieted(("boto3", "botocore", "urllib3"))
