"""Stores of documents that ``validate`` calls good, opened and looked into: what is good there must not break here.

No connection leaves this machine, where nobody answers; files are looked for in a directory of our own.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from secretsync_core.endurance import Endurance
from secretsync_core.errors import SecretSyncError
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from secretsync_core.schema.documents import StoreDocument

MOST = 2
"""So many stores of one input are opened: an example may have many, and those of an SDK take their time."""

_ENDURANCE = Endurance(request=2.0, listing=4.0)
_SURROUNDINGS = {
    "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true",
    "NO_GCE_CHECK": "true",
}  # fmt: skip
_TOKENS = dict.fromkeys(("A_B", "TOKEN", "VAULT_TOKEN", "a", "acme", "apps/", "X-Y", "b"), "s.token")
_CAREFUL = re.compile("unexpected|gave something else")


def fault_of(documents: Iterable[StoreDocument], directory: Path) -> str:
    """What is wrong with how one of these stores fails; empty where each says so in words of its own."""
    surroundings = {**_SURROUNDINGS, "HOME": str(directory)}
    with (
        patch.dict(os.environ, surroundings), patch("socket.socket.connect", _connect),
        patch("socket.getaddrinfo", _look_up),
    ):  # fmt: skip
        for document in islice(documents, MOST):
            said = asyncio.run(_said_of(document, {**surroundings, **_TOKENS}))
            if _CAREFUL.search(said):
                return f"{document.provider}: {re.sub('store [^ ]+', 'store', said)[:120]}"
    return ""


async def _said_of(document: StoreDocument, environ: dict[str, str]) -> str:
    """What a store says when it is opened, listed, and looked at."""
    gate = Gate(document.name, concurrency=2, policy=RetryPolicy(attempts=1, lost_after=100), endurance=_ENDURANCE)
    context = StoreContext(document.name, gate, environ, 2)
    said = []
    try:
        store: Any = await open_store(_bounded(document), context)
    except SecretSyncError as error:
        return error.message
    try:
        for look in (_listed, _looked, _read):
            try:
                await look(store)
            except SecretSyncError as error:
                said.append(error.message)
    finally:
        await store.aclose()
    return "\n".join(said)


def _bounded(document: StoreDocument) -> StoreDocument:
    return replace(document, endurance=_ENDURANCE)


async def _listed(store: Any) -> None:
    if hasattr(store, "list"):
        async for _ in store.list("", recursive=True, metadata=False):
            pass


async def _looked(store: Any) -> None:
    if hasattr(store, "stat"):
        async for _ in store.stat(["a", "team-a/kv/b", "Zq7"]):
            pass


async def _read(store: Any) -> None:
    if hasattr(store, "read"):
        await store.read("a")


_really_connect = socket.socket.connect
_really_look_up = socket.getaddrinfo


def _connect(self: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and str(address[0]) not in ("127.0.0.1", "::1"):
        raise PermissionError("a fuzzer connects to nobody but this machine")
    _really_connect(self, address)


def _look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
    if host not in ("127.0.0.1", "::1", "localhost", None):
        raise socket.gaierror(socket.EAI_NONAME, "a fuzzer asks no DNS")
    return _really_look_up(host, *args, **kwargs)
