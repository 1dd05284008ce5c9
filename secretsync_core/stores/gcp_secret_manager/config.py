"""How a document describes Google Cloud Secret Manager."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from secretsync_core.schema.addresses import Address
from secretsync_core.schema.base import Choice, Credential, LocalPath, Spec, Tls
from secretsync_core.schema.moments import Moment
from secretsync_core.schema.named import Kind, Names
from secretsync_core.stores.gcp_secret_manager.metadata import Annotations, Labels
from secretsync_core.stores.gcp_secret_manager.surroundings import ACCOUNT

_KMS_KEY = r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$"
_LOCATION = r"^[a-z]+(-[a-z0-9]+)+$"

KmsKey = Annotated[
    str,
    Field(pattern=_KMS_KEY, max_length=1000, description="projects/P/locations/L/keyRings/R/cryptoKeys/K"),
]
ServiceAccount = Annotated[
    str,
    Field(
        pattern=rf"^{ACCOUNT}$",
        max_length=320,
        description="Such as secretsync@my-project.iam.gserviceaccount.com.",
    ),
    Names(Kind.GCP_SERVICE_ACCOUNT),
]


def _project_id(value: str) -> str:
    if value.isdecimal():
        raise ValueError("write the project's id, not its number, so that one project has one name in all documents")
    return value


class GcpImpersonation(Spec):
    """A service account that we act as. Whoever we are before needs roles/iam.serviceAccountTokenCreator on it."""

    service_account: ServiceAccount
    delegates: tuple[ServiceAccount, ...] = Field(
        default=(), description="The accounts in between, where each may only act as the next."
    )
    lifetime_seconds: int = Field(
        default=3600, ge=300, le=43_200, description="How long a token lasts; beyond 3600 only where a policy allows."
    )


class GcpAuth(Spec):
    """How to authenticate: at most one of the first three (default: application default credentials); then a role."""

    service_account_key: Credential | None = Field(
        default=None, description="A service account's key, the JSON as Google gives it. Files are read again."
    )
    credential_configuration: LocalPath | None = Field(
        default=None,
        description="A file as `gcloud iam workload-identity-pools create-cred-config` writes it; it holds no secret.",
    )
    access_token: Credential | None = Field(
        default=None, description="A token that somebody else keeps fresh, such as `gcloud auth print-access-token`."
    )
    impersonate: GcpImpersonation | None = None

    @model_validator(mode="after")
    def _one_identity(self) -> GcpAuth:
        given = (self.service_account_key, self.credential_configuration, self.access_token)
        if sum(each is not None for each in given) > 1:
            raise ValueError("give at most one of serviceAccountKey, credentialConfiguration and accessToken")
        return self


class GcpAutomatic(Spec):
    """Google chooses where the values are kept."""

    kms_key_name: KmsKey | None = Field(default=None, description="In the location global. Default: Google's own key.")


class GcpReplica(Spec):
    """A location that keeps the values."""

    location: str = Field(pattern=_LOCATION, max_length=63, description="Such as europe-west3.")
    kms_key_name: KmsKey | None = Field(default=None, description="In that location; for all replicas or for none.")


class GcpReplication(Choice):
    """Where global secrets are kept that a job creates. It can never be changed."""

    automatic: GcpAutomatic | None = None
    user_managed: tuple[GcpReplica, ...] | None = Field(
        default=None, min_length=1, description="The values are kept in these locations."
    )

    @model_validator(mode="after")
    def _all_or_none(self) -> GcpReplication:
        if len({each.kms_key_name is None for each in self.user_managed or ()}) > 1:
            raise ValueError("give kmsKeyName for all replicas, or for none")
        return self


class GcpOldVersions(Choice):
    """What becomes of versions that the job wrote, once it has written newer ones. Each enabled one is billed."""

    CHOICES = ("destroy", "disable")

    keep: int = Field(ge=1, le=100, description="How many of the job's versions stay, the current one among them.")
    destroy: bool | None = Field(default=None, description="true: the older ones are destroyed, for good.")
    disable: bool | None = Field(default=None, description="true: the older ones are disabled; they are still billed.")

    @model_validator(mode="after")
    def _is_true(self) -> GcpOldVersions:
        if False in (self.destroy, self.disable):
            raise ValueError("write destroy: true or disable: true; to leave old versions alone, leave out oldVersions")
        return self


class GcpSecretManagerConfig(Spec):
    """Secret Manager in one project: its global secrets, or those of one location."""

    project: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
            max_length=200,
            description="The project's id, not its number.",
        ),
        AfterValidator(_project_id),
    ]
    location: str | None = Field(
        default=None,
        pattern=_LOCATION,
        max_length=63,
        description="For regional secrets, such as europe-west3. Default: global secrets.",
    )
    prefix: str = Field(
        default="",
        max_length=200,
        pattern=r"^([A-Za-z0-9_-]*[_-])?$",
        description="Prepended to every key as is. Ends in - or _, such as prod-.",
    )
    auth: GcpAuth = GcpAuth()
    endpoint_url: Address | None = Field(
        default=None, description="Of a Private Service Connect endpoint or an emulator. Default: Google's."
    )
    auth_endpoint_url: Address | None = Field(
        default=None,
        description="Where to log in, in place of oauth2, sts and iamcredentials.googleapis.com.",
    )
    tls: Tls = Tls()
    labels: Labels = Field(default_factory=dict, description="For every secret that a job creates or takes over.")
    annotations: Annotations = Field(
        default_factory=dict, description="For every secret that a job creates or takes over."
    )
    topics: tuple[Annotated[str, Field(pattern=r"^projects/[^/]+/topics/[^/]+$", max_length=400)], ...] = Field(
        default=(),
        max_length=10,
        description="Pub/Sub topics, projects/P/topics/T, for every secret that a job creates or takes over.",
    )
    replication: GcpReplication | None = Field(
        default=None, description="For global secrets that are created. Default: automatic."
    )
    kms_key_name: KmsKey | None = Field(default=None, description="For regional secrets that are created.")
    ttl_seconds: int | None = Field(
        default=None,
        ge=60,
        le=100 * 366 * 86_400,
        description="How long secrets live that are created: then Google deletes them, whatever the job says.",
    )
    expire_time: Moment | None = Field(
        default=None,
        description="For every secret that a job creates or takes over: when Google deletes it, whatever the job says.",
    )
    destroy_delay_seconds: int | None = Field(
        default=None,
        ge=86_400,
        le=1000 * 86_400,
        description="For secrets that are created: destroyed versions are only disabled for so long.",
    )
    old_versions: GcpOldVersions | None = Field(default=None, description="Default: old versions are left alone.")

    @model_validator(mode="after")
    def _global_or_regional(self) -> GcpSecretManagerConfig:
        if self.location is not None and self.replication is not None:
            raise ValueError("regional secrets have no replication: leave it out; a key of your own is kmsKeyName")
        if self.location is None and self.kms_key_name is not None:
            raise ValueError("kmsKeyName is for regional secrets: write replication.automatic.kmsKeyName")
        if self.ttl_seconds is not None and self.expire_time is not None:
            raise ValueError("give at most one of ttlSeconds and expireTime")
        return self

    @property
    def parent(self) -> str:
        """What the secrets are in: ``projects/p``, or ``projects/p/locations/l``."""
        return f"projects/{self.project}" + (f"/locations/{self.location}" if self.location else "")
