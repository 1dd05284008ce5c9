"""Asks what our token may do, by one request to ``sys/capabilities-self``, which any token may make unless forbidden.

The server tells by its policies alone, so the paths need not exist, and nothing is read. What it does not tell, of a
policy that wants certain parameters say, is not missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from secretsync_core.errors import MalformedAnswer
from secretsync_core.model.access import ANY_NAME, Access, Act, Missing
from secretsync_core.stores.vault.answers import Request
from secretsync_core.stores.vault.transport import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from secretsync_core.stores.vault.transport import Received, Transport


class Need(NamedTuple):
    """A capability on a path of the API below the mount, such as ``update`` on ``data/app/db``."""

    capability: str
    path: str


class Demand(NamedTuple):
    """What an access takes: any one of ``ways``. The first is what to grant."""

    access: Access
    ways: tuple[Need, ...]


def demands_of_kv1(wanted: Iterable[Access]) -> Iterator[Demand]:
    """What accesses take in KV version 1, which tells by a listing whether a key is there, and has no versions."""
    for access in wanted:
        act, key = access
        if act is Act.LOOK and not key.endswith("/") and key:
            act, key = Act.LIST, key[: key.rfind("/") + 1]
        if act is Act.LIST:
            yield Demand(access, (Need("list", key), Need("scan", key)))
        elif act is not Act.LOOK:
            yield Demand(access, (Need(act.value, key),))


def demands_of_kv2(wanted: Iterable[Access], *, marks: bool) -> Iterator[Demand]:
    """What accesses take in KV version 2. ``marks``: what is created is marked, by a request of its own."""
    for access in wanted:
        act, key = access
        listings = (Need("list", f"detailed-metadata/{key}"), Need("scan", f"detailed-metadata/{key}"))
        if act is Act.LIST:
            yield Demand(access, (Need("list", f"metadata/{key}"), *listings))
        elif act is Act.LOOK and (not key or key.endswith("/")):
            yield Demand(access, (Need("read", f"metadata/{key}{ANY_NAME}"), *listings))
        elif act is Act.LOOK:
            yield Demand(access, (Need("read", f"metadata/{key}"),))
        elif act is Act.DELETE:
            yield Demand(access, (Need(act.value, f"data/{key}"), Need("update", f"delete/{key}")))
        else:
            yield Demand(access, (Need(act.value, f"data/{key}"),))
            if act is Act.CREATE and marks:
                yield Demand(access, (Need("patch", f"metadata/{key}"),))


async def missing(transport: Transport, demands: Sequence[Demand]) -> list[Missing]:
    """The accesses that our token's policies do not permit; none where the server does not tell."""
    store, mount = transport.store, transport.mount
    paths = list(dict.fromkeys(f"{mount}/{need.path}" for demand in demands for need in demand.ways))
    if not paths:
        return []
    request = Request(store, mount, "tell what we may do", namespace=transport.namespace)
    body = orjson.dumps({"paths": paths})
    found = await transport.system("stat", "sys/capabilities-self", request, _capabilities, body)
    if isinstance(found, Answer) or found is None:
        return []  # we may not ask, or whoever answers has no such question
    told: list[Missing] = []
    for access, ways in demands:
        if any(_permits(found, mount, need) for need in ways):
            continue
        grant = _in_words(ways[0], mount)
        told.append(Missing(access, f"{ways[0].capability} on {grant}"))
    return told


def _permits(found: Mapping[str, Sequence[str]], mount: str, need: Need) -> bool:
    """Whether a capability is there, as far as the server has told."""
    capabilities = found.get(f"{mount}/{need.path}")
    return capabilities is None or need.capability in capabilities or "root" in capabilities


def _in_words(need: Need, mount: str) -> str:
    """A path as it stands in a policy: any one folder is ``+`` there, and ``*`` stands at the end alone."""
    *folders, name = f"{mount}/{need.path}".split("/")
    name, any_name, _ = name.partition(ANY_NAME)
    return "/".join([*("+" if ANY_NAME in folder else folder for folder in folders), name + ("*" if any_name else "")])


def _capabilities(received: Received) -> dict[str, Sequence[str]] | None:
    """What may be done on each path; None for an answer of another form, which is not worth asking again."""
    try:
        data = received.data()
        return {path: data.texts(path) for path in data.fields if path != "capabilities"}
    except MalformedAnswer:
        return None
