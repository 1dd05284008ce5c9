"""Asks a server for the namespaces below one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.endurance import FOLDERS, Progress, too_deep
from secretsync_core.errors import AccessDenied, InvalidSecret
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.places import folders
from secretsync_core.stores.spread import spread
from secretsync_core.stores.vault.answers import Request
from secretsync_core.stores.vault.keys import holds
from secretsync_core.stores.vault.listing import absent
from secretsync_core.stores.vault.transport import Answer

if TYPE_CHECKING:
    from secretsync_core.stores.vault.transport import Received, Transport


def within(transport: Transport, name: str) -> Transport:
    """The way to the same mount in a namespace below; ``name`` is what it is called from there on."""
    return transport.within(f"{folders(transport.namespace or '')}{name}".rstrip("/"))


async def namespaces_below(transport: Transport, *, deep: bool) -> tuple[list[str], list[Gap]]:
    """The namespaces right below the transport's, with ``deep`` all below it, each with a ``/`` at its end.

    And a Gap for each of those whose own we may not list. Raises AccessDenied for the first.
    """
    gaps: list[Gap] = []
    progress = Progress(transport.store, transport.endurance)

    async def look(above: str) -> tuple[list[str], list[str]]:
        if above.count("/") > FOLDERS:
            raise too_deep(transport.store, above)
        try:
            shown = await _children(within(transport, above) if above else transport)
        except CredentialsRefused:
            raise
        except AccessDenied as error:
            if not above:
                raise
            gaps.append(Gap(above, error.code, error.message))
            return [], []
        names = [above + name for name in shown if _is_askable(name)]
        for name in sorted({above + name for name in shown}.difference(names)):
            message = f"{transport.store} has the namespace {name!r}, which cannot be asked: {_RULE}"
            gaps.append(Gap(name, InvalidSecret.code, message))
        if names:
            progress.showed(names)
        return names, names if deep else []

    return sorted([name async for name in spread([""], look, width=transport.width)]), gaps


async def _children(transport: Transport) -> list[str]:
    request = Request(transport.store, transport.mount, "list its namespaces", namespace=transport.namespace)

    def parse(received: Received) -> list[str]:
        names = received.data().texts("keys")
        if not all(map(_is_name, names)):
            raise malformed(request, "it names a namespace as none can be called")
        return names

    found = await transport.system("list", "sys/namespaces?list=true", request, parse)
    if not isinstance(found, Answer):
        return found
    if found.status == 404 and absent(found.body):
        return []
    raise found.refusal(request)


def _is_name(name: str) -> bool:
    """Whether a server could call a namespace so: it stands before a slash."""
    inner = name.removesuffix("/")
    return inner != name and inner not in ("", ".", "..") and "/" not in inner


_RULE = "its name would have to be of printable ASCII characters without spaces"


def _is_askable(name: str) -> bool:
    """Whether it can be sent in a header."""
    inner = name[:-1]
    return " " not in inner and inner.isascii() and holds(inner)
