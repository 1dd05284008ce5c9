"""Where a document says that a service is: every address by one rule, so that none fails only when it is used."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from secretsync_core.hosts import address_fault, name_fault
from secretsync_core.schema.named import Kind, Names


def _address(value: str) -> str:
    if fault := address_fault(value):
        raise ValueError(fault)
    return value


def _host(value: str) -> str:
    if fault := name_fault(value):
        raise ValueError(fault)
    return value


_LEADS_SOMEWHERE = AfterValidator(_address)

Address = Annotated[str, Names(Kind.HOST), Field(pattern=r"^https?://[^/?#@\s]+/?$"), _LEADS_SOMEWHERE]
"""``http://`` or ``https://``, a host, and a port where it is not the scheme's."""

PlainPathAddress = Annotated[
    str,
    Names(Kind.HOST),
    Field(pattern=r"^https?://[^/?#@\s]+(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$"),
    _LEADS_SOMEWHERE,
]
"""The same, with a path in which nothing is escaped."""

PathAddress = Annotated[str, Names(Kind.HOST), Field(pattern=r"^https?://[^?#@\s]+$"), _LEADS_SOMEWHERE]
"""The same, with any path."""

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$"), AfterValidator(_host)]
"""The name of a host, or its IPv4 address. A field says by ``Names`` with which port it counts for a policy."""
