"""Where the secrets of an AWS store are: the region, the endpoint where it is one of our own, and the account.

An account is told by the role that the document names, else by STS, which answers everybody about themselves. With an
``endpointUrl`` and no ``stsEndpointUrl`` nobody else is asked, so that how one authenticates stands for the account.

What is one secret to AWS in two regions, the replicas of Secrets Manager, counts as two.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from secretsync_core.model.place import Place
from secretsync_core.stores.places import address, sound

if TYPE_CHECKING:
    from secretsync_core.schema.base import Credential
    from secretsync_core.stores.aws.config import AwsAuth, AwsConfig


def declared_place(config: AwsConfig, service: str, root: str) -> Place | None:
    """The place as a document tells it.

    Its identity is the account of the role, or else how one authenticates: whoever does that alike is in one account,
    and whoever does not may be in another.
    """
    role = role_of(config.auth)
    if role is not None:
        partition, account = role
        who = f"{partition} {account}"
    else:
        who = f"by {_way_in(config.auth)}"
    server = server_of(config, config.region or "")
    return sound(Place(service, server, root, f"{server} {who}"))


def server_of(config: AwsConfig, region: str) -> str:
    """The region, and the endpoint where the document gives one."""
    return f"{region} {address(config.endpoint_url)}" if config.endpoint_url else region


def identity_of(config: AwsConfig, partition: str, region: str, account: str) -> str:
    """What a region of an account calls itself.

    Where the account is not known, how one authenticates stands in its place, as in a document: one region has the
    secrets of every account. An endpoint of one's own is a part of it, for an emulator has the account's number and
    none of its secrets. Those of AWS in a VPC lead to the same place.
    """
    who = account or f"by {_way_in(config.auth)}"
    whole = f"{partition}:{region}:{who}"
    return f"{whole} {address(config.endpoint_url)}" if config.endpoint_url and not is_aws(config) else whole


def role_of(auth: AwsAuth) -> tuple[str, str] | None:
    """Partition and account of the role that one is in the end; None where the document names none."""
    role = auth.assume_role or auth.web_identity
    if role is None:
        return None
    _, partition, _, _, account, _ = role.role_arn.split(":", 5)
    return partition, account


def is_aws(config: AwsConfig) -> bool:
    """Whether the endpoint of a document is one of AWS, in a VPC say."""
    host = address(config.endpoint_url or "").partition("://")[2].rpartition(":")[0]
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def _way_in(auth: AwsAuth) -> str:
    """Where the credentials come from, told apart and not told."""
    if auth.access_key is None:
        way: list[object] = ["profile", auth.profile]
    else:
        way = ["key", *_pointer(auth.access_key.id)]
    return hashlib.sha256(json.dumps(way).encode()).hexdigest()[:16]


def _pointer(credential: Credential) -> list[object]:
    return [credential.env, credential.file, credential.value]
