"""Whether credentials that no document gave may go where a document says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError
from secretsync_core.stores.gcp_secret_manager.surroundings import is_login_of_google, is_service_of_google

if TYPE_CHECKING:
    from secretsync_core.policy.bounds import Bounds
    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig


def check_is_meant(config: GcpSecretManagerConfig, store: str, bounds: Bounds) -> None:
    """Raise StoreError where a document chooses a server, and leaves the credentials to whoever runs SecretSync.

    Whoever writes it could have them sent to a server of theirs: as tokens, which are good for all of Google Cloud. So
    they go to Google alone, or to a host that the operator's policy lists.
    """
    asked = (
        ("endpointUrl", config.endpoint_url, is_service_of_google),
        ("authEndpointUrl", config.auth_endpoint_url, is_login_of_google),
    )
    for field, address, is_google in asked:
        if address and not is_google(address) and not bounds.lists_host(address):
            raise StoreError(
                f"{store}: {field} leads to another server than Google's, and auth does not say with which credentials",
                store=store,
                hint="give a serviceAccountKey or an accessToken in auth of the SecretStore, or have the operator's"
                " policy (SECRETSYNC_POLICY) list that host in spec.hosts",
            )
