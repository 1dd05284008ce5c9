"""Where the secrets are: the project, and the location of regional ones; the endpoint where it is one of our own.

Global and regional secrets of one project are apart: neither is seen by the endpoint of the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.place import Place
from secretsync_core.stores.places import address, sound

if TYPE_CHECKING:
    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig


def place_by(config: GcpSecretManagerConfig) -> Place | None:
    """The place, all of which the document tells.

    An endpoint of Google's own leads to the same secrets as none; any other is taken for an emulator, with a project
    of that name for itself.
    """
    server = config.parent if is_google(config) else f"{config.parent} {address(config.endpoint_url or '')}"
    return sound(Place("gcpSecretManager", server, config.prefix, server))


def is_google(config: GcpSecretManagerConfig) -> bool:
    """Whether it is Google that is asked."""
    if config.endpoint_url is None:
        return True
    return address(config.endpoint_url).partition("://")[2].rpartition(":")[0].endswith(".googleapis.com")


def endpoint(config: GcpSecretManagerConfig) -> str:
    """The address of the service."""
    if config.endpoint_url:
        return config.endpoint_url.rstrip("/")
    # https://cloud.google.com/secret-manager/regional-secrets/create-regional-secret
    where = f"secretmanager.{config.location}.rep" if config.location else "secretmanager"
    return f"https://{where}.googleapis.com"
