"""How a document describes a Vault or OpenBao."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from secretsync_core.schema.addresses import PlainPathAddress
from secretsync_core.schema.base import Choice, Credential, Spec, Tls
from secretsync_core.schema.metadata import CustomMetadata
from secretsync_core.stores.vault.patterns import pattern_of

KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105  where Kubernetes mounts it


class AppRoleAuth(Spec):
    """Logs in by AppRole."""

    role_id: Credential
    secret_id: Credential | None = None
    wrapped: bool = Field(
        default=False, description="The secretId is a response-wrapping token: it is unwrapped, which can be done once."
    )
    mount: str = Field(default="approle", description="Where the auth method is mounted.")

    @model_validator(mode="after")
    def _wraps_something(self) -> AppRoleAuth:
        if self.wrapped and self.secret_id is None:
            raise ValueError("wrapped needs a secretId")
        return self


class KubernetesAuth(Spec):
    """Logs in by a service account's token."""

    role: str = Field(min_length=1, description="The role to log in as.")
    token: Credential = Credential(file=KUBERNETES_TOKEN)
    mount: str = Field(default="kubernetes", description="Where the auth method is mounted.")


class JwtAuth(Spec):
    """Logs in by a JSON web token."""

    token: Credential
    role: str | None = Field(default=None, description="Default: the mount's default role.")
    mount: str = Field(default="jwt", description="Where the auth method is mounted.")


class UserPassAuth(Spec):
    """Logs in by user name and password."""

    username: str = Field(min_length=1, description="The user to log in as.")
    password: Credential
    mount: str = Field(default="userpass", description="Where the auth method is mounted.")


class CertAuth(Spec):
    """Logs in by the client certificate in ``tls``."""

    role: str | None = Field(default=None, description="Default: any role that matches the certificate.")
    mount: str = Field(default="cert", description="Where the auth method is mounted.")


class VaultAuth(Choice):
    """How to log in: exactly one."""

    token: Credential | None = None
    app_role: AppRoleAuth | None = None
    kubernetes: KubernetesAuth | None = None
    jwt: JwtAuth | None = None
    user_pass: UserPassAuth | None = None
    cert: CertAuth | None = None


class VaultConfig(Spec):
    """HashiCorp Vault or OpenBao, the KV engine at one mount."""

    address: PlainPathAddress = Field(
        description="Such as https://vault.example.com:8200, or https://example.com/vault behind a proxy with a path.",
    )
    mount: str = Field(default="secret", min_length=1, description="Where the KV engine is mounted.")
    kv_version: Literal[1, 2] | None = Field(default=None, description="Default: detected.")
    namespace: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[!-~]+$",
        description="The Vault namespace, for logins too. It is sent in a header, so it is ASCII without spaces."
        " With `/*` behind it the source is the mount of each namespace in it, with `/**` of all below it.",
    )
    auth: VaultAuth
    tls: Tls = Tls()
    custom_metadata: CustomMetadata = Field(
        default_factory=dict, description="In version 2, for every secret that a job creates or takes over."
    )

    @field_validator("address")
    @classmethod
    def _without_v1(cls, address: str) -> str:
        if address.rstrip("/").endswith("/v1"):
            raise ValueError("leave /v1 out: it is added to the address")
        return address

    @model_validator(mode="after")
    def _of_several(self) -> VaultConfig:
        if pattern_of(self.namespace) is None:
            if "*" in (self.namespace or ""):
                raise ValueError("in namespace only the last part can be * or **, such as team-a/*")
        elif self.kv_version == 1:
            raise ValueError("with * in namespace each mount is of version 2 of the KV engine")
        elif self.custom_metadata:
            raise ValueError("with * in namespace nothing is written, so there is no customMetadata")
        return self

    @model_validator(mode="after")
    def _cert_needs_tls(self) -> VaultConfig:
        if self.auth.cert is not None and self.tls.cert_file is None:
            raise ValueError("auth.cert needs tls.certFile and tls.keyFile")
        if self.custom_metadata and self.kv_version == 1:
            raise ValueError("customMetadata needs version 2 of the KV engine")
        return self
