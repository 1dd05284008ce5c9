"""Which cloud a vault is in, by its address, and where one logs in there."""

from __future__ import annotations

from secretsync_core.hosts import host_of

# https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-base-url and
# azure.identity.AzureAuthorityHosts.
_AUTHORITIES = {
    ".vault.azure.net": "https://login.microsoftonline.com",
    ".vault.azure.cn": "https://login.chinacloudapi.cn",
    ".vault.usgovcloudapi.net": "https://login.microsoftonline.us",
}


def authority_of(vault_url: str) -> str:
    """The login service of the cloud that a vault is in; empty where that is not known."""
    host = host_of(vault_url)
    name = host.canonical if host is not None else ""
    return next((authority for suffix, authority in _AUTHORITIES.items() if name.endswith(suffix)), "")
