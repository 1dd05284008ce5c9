"""How a document describes a key vault of Azure."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from secretsync_core.metadata_rules import name_fault
from secretsync_core.schema.addresses import Address
from secretsync_core.schema.base import Choice, Credential, LocalPath, Spec, Tls
from secretsync_core.schema.moments import Moment
from secretsync_core.stores.azure_key_vault.clouds import authority_of
from secretsync_core.stores.azure_key_vault.tags import MOST_ASKED, MOST_CONTENT_TYPE, TAG

_ID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def _tag_name(name: str) -> str:
    if fault := name_fault(name, TAG):
        raise ValueError(f"the name of a tag: {fault}")
    return name


class AzureClientSecret(Spec):
    """Logs in as an application, by a client secret."""

    tenant_id: str = Field(
        pattern=_ID, description="The id of the tenant of the application, which is the vault's too."
    )
    client_id: str = Field(pattern=_ID, description="The application (client) id.")
    secret: Credential


class AzureClientCertificate(Spec):
    """Logs in as an application, by a certificate."""

    tenant_id: str = Field(
        pattern=_ID, description="The id of the tenant of the application, which is the vault's too."
    )
    client_id: str = Field(pattern=_ID, description="The application (client) id.")
    certificate: Credential = Field(description="PEM: the certificate and its private key.")
    password: Credential | None = Field(default=None, description="Of the private key, where it has one.")


class AzureWorkloadIdentity(Spec):
    """Logs in by a token that the platform renews, as workload identity of AKS does."""

    tenant_id: str = Field(pattern=_ID, description="The id of the tenant of the identity, which is the vault's too.")
    client_id: str = Field(pattern=_ID, description="The client id of the identity.")
    token_file: LocalPath = Field(description="Read anew for each login.")


class AzureManagedIdentity(Spec):
    """Logs in as the identity that Azure gives to the machine, the app service or the container."""

    client_id: str | None = Field(
        default=None, pattern=_ID, description="Of a user-assigned identity. Default: the one of the system."
    )


class AzureAuth(Choice):
    """How to log in: exactly one."""

    client_secret: AzureClientSecret | None = None
    client_certificate: AzureClientCertificate | None = None
    workload_identity: AzureWorkloadIdentity | None = None
    managed_identity: AzureManagedIdentity | None = None


class AzureKeyVaultConfig(Spec):
    """Secrets of one key vault of Azure."""

    vault_url: Address = Field(description="Such as https://acme-prod.vault.azure.net; of a sovereign cloud its own.")
    authority_host: Address | None = Field(
        default=None, description="Where one logs in. Default: that of the vault's cloud, by the vault's address."
    )
    auth: AzureAuth | None = Field(
        default=None,
        description="Default: the environment's (AZURE_CLIENT_ID and its like, workload identity), else the managed "
        "identity.",
    )
    tls: Tls = Tls()
    tags: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_tag_name)],
            Annotated[str, Field(max_length=256)],
        ],
        Field(max_length=MOST_ASKED),
    ] = Field(default_factory=dict, description="For every secret that a job creates or takes over; at most 14.")
    content_type: str | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_CONTENT_TYPE,
        description="Of every secret that a job creates or takes over, such as text/plain.",
    )
    enabled: bool | None = Field(
        default=None,
        description="Whether every secret that a job creates or takes over is enabled. Azure's default: true.",
    )
    not_before: Moment | None = Field(
        default=None,
        description="From when on what a job creates or takes over is to be used, such as 2027-01-01T00:00:00Z.",
    )
    expires: Moment | None = Field(
        default=None,
        description="When what a job creates or takes over expires, such as 2027-01-01T00:00:00Z.",
    )

    purge_on_delete: bool = Field(
        default=False,
        description="true: what a job deletes is purged at once, with all its versions, and cannot be recovered. Only "
        "what is the job's in every version, and only where the vault has no purge protection; else it is not deleted.",
    )

    @field_validator("vault_url", "authority_host")
    @classmethod
    def _is_encrypted(cls, address: str | None) -> str | None:
        if address is not None and not address.lower().startswith("https://"):
            raise ValueError("it must be https://")
        return address

    @model_validator(mode="after")
    def _has_an_authority(self) -> AzureKeyVaultConfig:
        if self.authority_host is None and not authority_of(self.vault_url):
            raise ValueError("vaultUrl is none of a cloud that is known here: give authorityHost, where one logs in")
        if self.not_before is not None and self.expires is not None and self.not_before >= self.expires:
            raise ValueError("notBefore must be earlier than expires")
        return self
