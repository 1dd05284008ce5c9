"""How a document describes the Secrets of a Kubernetes cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from secretsync_core.schema.base import Choice, Credential, LocalPath, Spec, Tls

if TYPE_CHECKING:
    from pydantic.config import JsonDict


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
    type: str | None = Field(
        default=None,
        min_length=1,
        description="Of the Secrets that are created. Default: that of the Secret at the source, or else Opaque.",
    )
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
            raise ValueError("server and tls only go with auth.token and auth.cert; a kubeconfig or pod has its own")
        if self.auth is not None and self.auth.cert is not None and self.tls.cert_file is None:
            raise ValueError("auth.cert needs tls.certFile and tls.keyFile")
        if any(name.startswith("secretsync.io/") for name in self.labels):
            raise ValueError("labels that begin with secretsync.io/ are set by SecretSync alone")
        return self
