"""The SyncPolicy document: what documents may name, and what may go where. Not theirs, but the operator's."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from secretsync_core.expression.glob import is_glob, parts_of
from secretsync_core.hosts import MAX_PORT, canonical
from secretsync_core.schema.base import LocalPath, Name, Spec
from secretsync_core.schema.texts import Glob, GlobToExclude


class Exec(StrEnum):
    """Whether a kubeconfig or an AWS profile may have a program run."""

    ALLOW = "Allow"
    DENY = "Deny"


class PlainHttp(StrEnum):
    """What becomes of an ``http://`` address that is not on this machine."""

    ALLOW = "Allow"
    WARN = "Warn"
    DENY = "Deny"


_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(?::(?P<port>[0-9]{1,5}))?")


class HostPattern:
    """One entry of ``hosts``: a glob for a name, or a network, and a port where it has one."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for what is neither."""
        self.network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
        self.port: int | None = None
        if "/" in text:
            try:
                self.network = _usual(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise ValueError("not a network: write it as 10.0.0.0/8, without a scheme and a port") from None
            self.name = text
            return
        match = _HOST.fullmatch(text)
        if match is None:
            raise ValueError("not a host: write it as vault.example.com, *.internal:8200 or [::1]:8200")
        if not text.isascii():
            raise ValueError("a name that is not ASCII: write it as xn--…, as DNS has it")
        if text.startswith("["):
            try:
                ipaddress.IPv6Address(match["name"].strip("[]"))
            except ValueError:
                raise ValueError("not an address: write it as [::1] or [::1]:8200") from None
        name = match["name"].strip("[]").lower().rstrip(".") or "."
        # As a host of a document is, whose other spellings are none of their own.
        self.name = name if is_glob(parts_of(name)) else canonical(name)
        self.port = int(match["port"]) if match["port"] else None
        if self.port is not None and not 1 <= self.port <= MAX_PORT:
            raise ValueError(f"its port is not a number from 1 to {MAX_PORT}")


def _usual(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network as hosts are compared with it: of IPv4, where it is one that is written as IPv6."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((int(mapped), network.prefixlen - 96))


def _host(value: str) -> str:
    HostPattern(value)
    return value


HostGlob = Annotated[
    str,
    Field(description="A name in which `*` stands for any characters, with or without a port; or a network."),
    AfterValidator(_host),
]
KeyGlob = GlobToExclude


def _expanded(value: object) -> object:
    if not isinstance(value, str):
        return value  # its type says what is wrong
    if "$" in value:
        raise ValueError("no variable is looked up in a path: write out what it stands for")
    try:
        return str(Path(value).expanduser()) if value.startswith("~") else value
    except RuntimeError:
        raise ValueError("there is no such home directory: write the path out") from None


PlacePath = Annotated[LocalPath, BeforeValidator(_expanded)]
"""A path of the policy; ``~`` is the home directory of whoever runs SecretSync."""


class CredentialBounds(Spec):
    """Where credentials may be looked up. A list that is left out sets no bound; an empty one permits nothing."""

    env: tuple[Glob, ...] | None = Field(default=None, description="Environment variables, such as VAULT_*.")
    directories: tuple[PlacePath, ...] | None = Field(
        default=None, description="Directories, with all below them, that files of credentials and certificates are in."
    )
    aws_profiles: tuple[Glob, ...] | None = Field(default=None, description="Profiles of ~/.aws/config.")
    aws_roles: tuple[Glob, ...] | None = Field(
        default=None, description="ARNs of roles, such as arn:aws:iam::111122223333:role/secretsync-*."
    )
    gcp_service_accounts: tuple[Glob, ...] | None = Field(
        default=None, description="Google's service accounts to act as, such as *@my-project.iam.gserviceaccount.com."
    )


class StoreBounds(Spec):
    """Which stores there may be."""

    kinds: tuple[Glob, ...] | None = Field(default=None, description="Providers, such as vault or aws*.")
    required_labels: tuple[str, ...] = Field(default=(), description="Labels that every SecretStore must have.")


class FileBounds(Spec):
    """What stores of files may read and write."""

    roots: tuple[PlacePath, ...] | None = Field(
        default=None, description="Directories, with all below them, that the directory of a file store is in."
    )


class Denied(Spec):
    """What is not permitted, whatever the allow lists say."""

    env: tuple[Glob, ...] = Field(default=(), description="Environment variables.")
    paths: tuple[PlacePath, ...] = Field(
        default=(), description="Files and directories, with all below them, for credentials and file stores."
    )
    aws_profiles: tuple[Glob, ...] = Field(default=(), description="Profiles of ~/.aws/config.")
    aws_roles: tuple[Glob, ...] = Field(default=(), description="ARNs of roles.")
    gcp_service_accounts: tuple[Glob, ...] = Field(default=(), description="Google's service accounts to act as.")
    hosts: tuple[HostGlob, ...] = Field(default=(), description="Hosts.")
    kinds: tuple[Glob, ...] = Field(default=(), description="Providers.")


class FlowEnd(Spec):
    """Stores, and keys in them: all that is given must fit. A list fits where one of its entries does."""

    stores: tuple[Glob, ...] | None = Field(default=None, min_length=1, description="Names of SecretStores.")
    labels: dict[str, Glob] = Field(default={}, description="Labels of the SecretStore.")
    kinds: tuple[Glob, ...] | None = Field(default=None, min_length=1, description="Providers, such as vault.")
    hosts: tuple[HostGlob, ...] | None = Field(
        default=None, min_length=1, description="Hosts that the SecretStore names."
    )
    keys: tuple[KeyGlob, ...] | None = Field(
        default=None, min_length=1, description="Globs for keys, or for whole folders."
    )
    paths: tuple[KeyGlob, ...] | None = Field(
        default=None,
        min_length=1,
        description="Globs for whole paths on the server: namespace, mount and key in Vault, namespace and name in "
        "Kubernetes, the file's path.",
    )

    @property
    def is_empty(self) -> bool:
        """Whether it stands for everything."""
        return not self.labels and all(
            part is None for part in (self.stores, self.kinds, self.hosts, self.keys, self.paths)
        )


class DeniedFlow(Spec):
    """What may not go where: ``from`` these sources ``to`` these destinations."""

    from_: FlowEnd = Field(default=FlowEnd(), alias="from", description="The sources. Default: all.")
    to: FlowEnd = Field(default=FlowEnd(), description="The destinations. Default: all.")

    @model_validator(mode="after")
    def _of_something(self) -> DeniedFlow:
        if self.from_.is_empty and self.to.is_empty:
            raise ValueError("it denies everything: give from or to")
        return self


class Flow(Spec):
    """One rule of what may go where."""

    name: Name
    deny: DeniedFlow
    reason: str = Field(default="", max_length=300, description="Shown where it refuses a key.")


class SyncPolicySpec(Spec):
    """The bounds. Where there are several policies, all of them must permit."""

    credentials: CredentialBounds = CredentialBounds()
    hosts: tuple[HostGlob, ...] | None = Field(
        default=None, description="The hosts that documents may name, for stores and messages. Default: any."
    )
    stores: StoreBounds = StoreBounds()
    files: FileBounds = FileBounds()
    exec: Exec | None = Field(
        default=None,
        strict=False,
        description="Whether a kubeconfig's exec plugin or an AWS profile's credential_process may run. Default: only "
        "with SECRETSYNC_ALLOW_EXEC=1 in the environment.",
    )
    plain_http: PlainHttp = Field(
        default=PlainHttp.WARN, strict=False, description="What to do about http:// to another host."
    )
    deny: Denied = Denied()
    flows: tuple[Flow, ...] = Field(default=(), description="What may not go where.")

    @model_validator(mode="after")
    def _names_differ(self) -> SyncPolicySpec:
        names = [flow.name for flow in self.flows]
        if len(set(names)) < len(names):
            raise ValueError("two flows have one name")
        return self


class PolicyMetadata(Spec):
    """The policy's name."""

    name: Name


class SyncPolicy(Spec):
    """The bounds that an operator sets to documents. It stands outside of them: see SECRETSYNC_POLICY."""

    api_version: Literal["secretsync.io/v1alpha1"]
    kind: Literal["SyncPolicy"]
    metadata: PolicyMetadata
    spec: SyncPolicySpec
