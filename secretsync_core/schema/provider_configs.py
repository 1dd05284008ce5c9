"""The configuration of each built-in provider. Third parties bring their own model (entry point secretsync.stores)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from secretsync_core.schema.base import Choice, Credential, LocalPath, Spec

if TYPE_CHECKING:
    from pydantic.config import JsonDict

KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105  where Kubernetes mounts it


class AppRoleAuth(Spec):
    """Logs in by AppRole."""

    role_id: Credential
    secret_id: Credential | None = None
    mount: str = Field(default="approle", description="Where the auth method is mounted.")


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


class Tls(Spec):
    """Certificates: whom to trust, and our own. Paths of PEM files."""

    ca_file: LocalPath | None = Field(default=None, description="Default: the system's certificates.")
    cert_file: LocalPath | None = Field(default=None, description="Our client certificate.")
    key_file: LocalPath | None = Field(default=None, description="Its private key.")
    server_name: str | None = Field(default=None, min_length=1, description="The name to expect in the certificate.")

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("certFile and keyFile go together")
        return self


class VaultConfig(Spec):
    """HashiCorp Vault or OpenBao, the KV engine at one mount."""

    address: str = Field(pattern=r"^https?://[^/?#@\s]+/?$", description="Such as https://vault.example.com:8200.")
    mount: str = Field(default="secret", min_length=1, description="Where the KV engine is mounted.")
    kv_version: Literal[1, 2] | None = Field(default=None, description="Default: detected.")
    namespace: str | None = Field(default=None, min_length=1, description="The Vault namespace, for logins too.")
    auth: VaultAuth
    tls: Tls = Tls()

    @model_validator(mode="after")
    def _cert_needs_tls(self) -> VaultConfig:
        if self.auth.cert is not None and self.tls.cert_file is None:
            raise ValueError("auth.cert needs tls.certFile and tls.keyFile")
        return self


class InClusterAuth(Spec):
    """The service account of the pod."""


class KubeconfigAuth(Spec):
    """One context of a kubeconfig file, exec plugins included."""

    file: LocalPath = Field(description="The kubeconfig file.")
    context: str | None = Field(default=None, min_length=1, description="Default: the file's current context.")


class ClientCertificateAuth(Spec):
    """The client certificate in ``tls``."""


class ClusterAuth(Choice):
    """How to authenticate to the cluster: exactly one."""

    in_cluster: InClusterAuth | None = None
    kubeconfig: KubeconfigAuth | None = None
    token: Credential | None = None
    cert: ClientCertificateAuth | None = None


_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
MetadataKey = Annotated[
    str,
    Field(
        pattern=rf"^({_LABEL}(\.{_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$",
        description="Such as team, or example.com/team.",
    ),
]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]

_NO_OTHER_KEYS: JsonDict = {"additionalProperties": False}  # which the schema of a dict leaves open


class KubernetesConfig(Spec):
    """The Secrets of a Kubernetes cluster, of one namespace or of all."""

    namespace: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        description="Keys are then the names of Secrets. Default: all namespaces, and keys are namespace/name.",
    )
    server: str | None = Field(
        default=None, pattern=r"^https?://[^?#@\s]+$", description="The API server, for auth.token and auth.cert."
    )
    auth: ClusterAuth | None = Field(default=None, description="Default: inCluster.")
    tls: Tls = Tls()
    type: str = Field(default="Opaque", min_length=1, description="Of the Secrets that are created.")
    labels: dict[MetadataKey, LabelValue] = Field(
        default={}, description="Of the Secrets that are created.", json_schema_extra=_NO_OTHER_KEYS
    )
    annotations: dict[MetadataKey, str] = Field(
        default={}, description="Of the Secrets that are created.", json_schema_extra=_NO_OTHER_KEYS
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> KubernetesConfig:
        explicit = self.auth is not None and (self.auth.token is not None or self.auth.cert is not None)
        if explicit and self.server is None:
            raise ValueError("auth.token and auth.cert need server")
        if not explicit and (self.server is not None or self.tls != Tls()):
            raise ValueError("server and tls go with auth.token and auth.cert: a kubeconfig, or a pod, brings its own")
        if self.auth is not None and self.auth.cert is not None and self.tls.cert_file is None:
            raise ValueError("auth.cert needs tls.certFile and tls.keyFile")
        if any(name.startswith("secretsync.io/") for name in self.labels):
            raise ValueError("labels that begin with secretsync.io/ are set by SecretSync alone")
        return self


AwsRole = Annotated[
    str,
    Field(
        pattern=r"^arn:[^:]+:iam::[0-9]{12}:role/.+$",
        max_length=2048,
        description="Such as arn:aws:iam::123456789012:role/secretsync.",
    ),
]
AwsSessionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{2,64}$", description="What CloudTrail shows.")]
AwsEndpoint = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+/?$")]
AwsKmsKey = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[a-zA-Z0-9:/_-]+$")]
AwsTags = dict[
    Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\w .:/=+@-]+$")],
    Annotated[str, Field(max_length=256, pattern=r"^[\w .:/=+@-]*$")],
]


class AwsAccessKey(Spec):
    """An access key. Files are read again when AWS refuses their content."""

    id: Credential
    secret: Credential
    session_token: Credential | None = Field(default=None, description="For temporary keys.")


class AwsWebIdentity(Spec):
    """A role, assumed with a token that somebody else signs, such as a Kubernetes service account's."""

    role_arn: AwsRole
    token_file: LocalPath = Field(description="Read again for every login.")
    session_name: AwsSessionName = "secretsync"


class AwsAssumeRole(Spec):
    """A role, assumed with the identity found so far."""

    role_arn: AwsRole
    external_id: str | None = Field(
        default=None,
        min_length=2,
        max_length=1224,
        pattern=r"^[A-Za-z0-9_+=,.@:/-]*$",
        description="The external id that the role's trust policy asks for.",
    )
    session_name: AwsSessionName = "secretsync"
    duration_seconds: int = Field(
        default=3600, ge=900, le=43_200, description="How long a session lasts; the role must allow it."
    )


class AwsAuth(Spec):
    """How to authenticate: at most one of profile, accessKey and webIdentity (default: boto3's chain); then a role."""

    profile: str | None = Field(default=None, min_length=1, description="A profile of ~/.aws/config.")
    access_key: AwsAccessKey | None = None
    web_identity: AwsWebIdentity | None = None
    assume_role: AwsAssumeRole | None = None

    @model_validator(mode="after")
    def _one_identity(self) -> AwsAuth:
        if sum(each is not None for each in (self.profile, self.access_key, self.web_identity)) > 1:
            raise ValueError("give at most one of profile, accessKey and webIdentity")
        return self


class AwsConfig(Spec):
    """What the AWS stores share: where the service is, and how to authenticate."""

    region: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$",
        description="Such as eu-central-1. Default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's.",
    )
    endpoint_url: AwsEndpoint | None = Field(
        default=None, description="Of a VPC endpoint or an emulator, such as https://vpce-1.example.com."
    )
    sts_endpoint_url: AwsEndpoint | None = Field(default=None, description="The same for STS.")
    auth: AwsAuth = AwsAuth()


class AwsReplicaRegion(Spec):
    """A region that gets a copy of every secret that is created."""

    region: str = Field(pattern=r"^([a-z]+-)+[0-9]+$", description="Such as eu-west-1.")
    kms_key_id: AwsKmsKey | None = Field(default=None, description="Default: aws/secretsmanager of that region.")


class AwsSecretsManagerConfig(AwsConfig):
    """AWS Secrets Manager in one region of one account."""

    prefix: str = Field(
        default="",
        max_length=500,
        pattern=r"^([A-Za-z0-9/_+=.@-]*[/_+=.@-])?$",
        description="Put in front of every key as it is. Ends in / or in another separator: prod/, say.",
    )
    kms_key_id: AwsKmsKey | None = Field(
        default=None, description="For secrets that are created. Default: aws/secretsmanager."
    )
    tags: AwsTags = Field(default_factory=dict, description="For secrets that are created.")
    description: str | None = Field(default=None, max_length=2048, description="For secrets that are created.")
    replica_regions: tuple[AwsReplicaRegion, ...] = Field(default=(), description="For secrets that are created.")
    recovery_window_in_days: int | None = Field(
        default=None, ge=7, le=30, description="How long a deleted secret can be restored. Default: 30."
    )
    force_delete_without_recovery: bool = Field(default=False, description="Delete immediately and permanently.")

    @model_validator(mode="after")
    def _one_way_to_delete(self) -> AwsSecretsManagerConfig:
        if self.force_delete_without_recovery and self.recovery_window_in_days is not None:
            raise ValueError("give recoveryWindowInDays or forceDeleteWithoutRecovery, not both")
        return self


class AwsParameterStoreConfig(AwsConfig):
    """AWS Systems Manager Parameter Store in one region of one account."""

    path: str = Field(
        default="/",
        max_length=900,
        pattern=r"^(/[A-Za-z0-9_.-]+)*/?$",
        description="The folder that keys are relative to, such as /prod. Default: all parameters.",
    )
    type: Literal["SecureString", "String"] = Field(default="SecureString", description="Of what is written.")
    kms_key_id: AwsKmsKey | None = Field(default=None, description="For what is written. Default: aws/ssm.")
    tier: Literal["Standard", "Advanced", "IntelligentTiering"] = Field(
        default="Standard", description="Of what is written. Standard holds 4,096 bytes, the others 8,192."
    )
    tags: AwsTags = Field(default_factory=dict, description="For parameters that are created.")
    description: str | None = Field(default=None, max_length=1024, description="For parameters that are created.")
    tagging_endpoint_url: AwsEndpoint | None = Field(
        default=None, description="With endpointUrl: the address of the Resource Groups Tagging API, if it may be used."
    )

    @model_validator(mode="after")
    def _key_needs_encryption(self) -> AwsParameterStoreConfig:
        if self.kms_key_id is not None and self.type == "String":
            raise ValueError("kmsKeyId needs type: SecureString")
        return self


class FileConfig(Spec):
    """A directory with one file for each secret."""

    path: LocalPath = Field(description="Relative paths start where the document stands.")


class MemoryConfig(Spec):
    """Secrets in this process's memory, for trials and tests."""

    shape: Literal["fields", "binary-fields", "blob"] = Field(
        default="fields", description="What a secret is: named JSON values, named bytes, or one run of bytes."
    )


BUILT_IN: dict[str, type[Spec]] = {
    "vault": VaultConfig,
    "awsSecretsManager": AwsSecretsManagerConfig,
    "awsParameterStore": AwsParameterStoreConfig,
    "kubernetes": KubernetesConfig,
    "file": FileConfig,
    "memory": MemoryConfig,
}
