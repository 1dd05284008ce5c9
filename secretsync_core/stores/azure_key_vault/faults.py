"""Errors about one secret that no answer of the vault stands for."""

from __future__ import annotations

from secretsync_core.errors import Conflict, InvalidSecret


def invalid(key: str, store: str, why: str, hint: str = "") -> InvalidSecret:
    """The error for a secret that cannot be written."""
    return InvalidSecret(f"{store} cannot hold {key}: {why}", store=store, key=key, hint=hint)


def of_certificate(key: str, store: str) -> InvalidSecret:
    """The error for the secret of a certificate, which is not ours to write."""
    return invalid(key, store, "there it belongs to a certificate, and only that can change it")


def changed(key: str, store: str) -> Conflict:
    """The error for a secret that is not what was seen any more."""
    return Conflict(f"{key} in {store} changed meanwhile", store=store, key=key)
