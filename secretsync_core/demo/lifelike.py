"""A few hundred secrets as a company has them: teams, services, environments, and random values."""

from __future__ import annotations

import secrets
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Fields = dict[str, str]

TEAMS = {
    "payments": ("ledger", "payouts", "refunds", "invoicing"),
    "identity": ("login", "sessions", "directory"),
    "checkout": ("cart", "pricing", "orders"),
    "search": ("index", "ranking"),
    "mobile": ("push", "gateway"),
    "data": ("warehouse", "events"),
}
ENVIRONMENTS = ("prod", "staging", "dev")


def _database(service: str) -> Fields:
    return {
        "host": f"{service}-db.internal",
        "port": "5432",
        "username": service.replace("-", "_"),
        "password": secrets.token_urlsafe(18),
    }


def _api(_: str) -> Fields:
    return {"key_id": secrets.token_hex(8), "api_key": secrets.token_urlsafe(32)}


def _webhook(_: str) -> Fields:
    return {"signing_secret": secrets.token_hex(32)}


def _cache(service: str) -> Fields:
    return {"url": f"rediss://:{secrets.token_urlsafe(16)}@{service}-cache.internal:6380/0"}


def _object_store(service: str) -> Fields:
    return {
        "bucket": f"{service}-files",
        "access_key": secrets.token_hex(10).upper(),
        "secret_key": secrets.token_urlsafe(30),
    }


def _smtp(_: str) -> Fields:
    return {"username": "mailer", "password": secrets.token_urlsafe(18)}


KINDS: dict[str, Callable[[str], Fields]] = {
    "database": _database,
    "partner-api": _api,
    "webhook": _webhook,
    "cache": _cache,
    "object-store": _object_store,
}

ALWAYS: dict[str, Callable[[str], Fields]] = {
    "payments/prod/ledger/database": _database,
    "payments/prod/ledger/partner-api": _api,
    "checkout/prod/orders/database": _database,
    "identity/prod/login/webhook": _webhook,
    "shared/smtp": _smtp,
}
"""What the story of the demo needs, whatever the number of secrets."""


def company(count: int) -> Iterator[tuple[str, Fields]]:
    """``count`` secrets: key and fields."""
    seen = 0
    for key, make in ALWAYS.items():
        yield key, make(key.split("/")[-2])
        seen += 1
    generation = 0
    while seen < count:
        for environment, kind, (team, services) in product(ENVIRONMENTS, KINDS, TEAMS.items()):
            for service in services:
                name = service if not generation else f"{service}-{generation + 1}"
                key = f"{team}/{environment}/{name}/{kind}"
                if key in ALWAYS:
                    continue
                if seen == count:
                    return
                yield key, KINDS[kind](name)
                seen += 1
        generation += 1
