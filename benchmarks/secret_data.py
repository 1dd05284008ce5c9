"""Lifelike secrets: the same N keys in nested folders on every run, each with three to five fields."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMES = (
    "database", "database-replica", "redis", "kafka", "smtp", "stripe", "oauth", "session", "s3-backup", "s3-media",
    "elasticsearch", "sentry", "webhook-signing", "jwt-signing", "grpc-client", "ldap-bind", "pager", "license",
    "sso-metadata", "deploy-key",
)  # fmt: skip
_SERVICES = (
    "accounts", "analytics", "api-gateway", "audit", "billing", "cart", "catalog", "checkout", "crm", "documents",
    "exports", "fraud", "identity", "imports", "inventory", "ledger", "mail", "media", "orders", "payments", "pricing",
    "reports", "search", "shipping", "support",
)  # fmt: skip
A_FOLDER = len(_NAMES)
"""How many secrets are in one folder."""

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def key(number: int) -> str:
    """The key of the ``number``-th secret: 20 to a folder, 25 folders to a team."""
    folder, name = divmod(number, A_FOLDER)
    team, service = divmod(folder, len(_SERVICES))
    return f"team-{team:03}/{_SERVICES[service]}/{_NAMES[name]}"


def value(number: int, edition: int = 0) -> dict[str, str]:
    """Its fields; another edition is another value."""
    rng = random.Random(f"{edition}/{number}")
    return _KINDS[number % len(_KINDS)](rng)


def secrets(count: int) -> Iterator[tuple[str, dict[str, str]]]:
    """The first ``count`` secrets."""
    return ((key(number), value(number)) for number in range(count))


def _word(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(_LETTERS, k=length))


def _database(rng: random.Random) -> dict[str, str]:
    return {
        "host": f"db-{rng.randrange(99):02}.internal.example.com",
        "port": "5432",
        "database": _word(rng, 8),
        "username": _word(rng, 12),
        "password": _word(rng, 32),
    }


def _client(rng: random.Random) -> dict[str, str]:
    return {"client_id": _word(rng, 20), "client_secret": _word(rng, 48), "token_url": "https://sso.example.com/token"}


def _signing(rng: random.Random) -> dict[str, str]:
    return {
        "key_id": _word(rng, 16),
        "algorithm": "HS512",
        "signing_key": _word(rng, 86),
        "previous_key": _word(rng, 86),
    }


_KINDS: tuple[Callable[[random.Random], dict[str, str]], ...] = (_database, _client, _signing)
