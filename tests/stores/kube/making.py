"""Secrets for the tests, and somebody else who writes them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.kube_api import KubeApi

VALUE = SecretValue({"password": b"one"})
OTHER = SecretValue({"password": b"two"})


def put(kube: KubeApi, name: str, data: dict[str, bytes], namespace: str = "team-a", **parts: Any) -> dict[str, Any]:
    """Create a Secret behind the store's back."""
    metadata = {"name": name, **parts.pop("metadata", {})}
    encoded = {field: base64.b64encode(value).decode() for field, value in data.items()}
    return kube.cluster.create(namespace, {"metadata": metadata, "data": encoded, **parts})


def change(kube: KubeApi, name: str, *, twice: bool = False) -> Callable[[], object]:
    """Somebody else's write of a Secret."""
    patch: dict[str, Any] = {"data": {"theirs": "eA=="}}

    def write() -> None:
        kube.cluster.patch("team-a", name, patch, "application/merge-patch+json")
        if twice:
            kube.cluster.patch("team-a", name, {"data": {"more": "eA=="}}, "application/merge-patch+json")

    return write
