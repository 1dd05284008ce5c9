"""How a document describes the Secrets of a Kubernetes cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator

from secretsync_core.metadata_rules import ANNOTATION_BYTES
from secretsync_core.schema.addresses import PathAddress
from secretsync_core.schema.base import Choice, Credential, LocalPath, Spec, Tls
from secretsync_core.schema.metadata import LABEL_NAME_PATTERN, LABEL_TEXT_PATTERN, not_ours

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


def _prefix_fits(name: str) -> str:
    if len(name.rpartition("/")[0]) > 253:
        raise ValueError("what stands before the / is longer than 253 characters")
    return name


MetadataKey = Annotated[
    str,
    Field(pattern=LABEL_NAME_PATTERN, description="Such as team, or example.com/team."),
    AfterValidator(_prefix_fits),
    AfterValidator(not_ours),
]
LabelValue = Annotated[str, Field(pattern=LABEL_TEXT_PATTERN)]

_NO_OTHER_KEYS: JsonDict = {"additionalProperties": False}  # which the schema of a dict leaves open


class KubernetesConfig(Spec):
    """The Secrets of a Kubernetes cluster, of one namespace or of all."""

    namespace: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        description="Keys are then the names of Secrets. Default: all namespaces, and keys are namespace/name.",
    )
    server: PathAddress | None = Field(default=None, description="The API server, for auth.token and auth.cert.")
    auth: ClusterAuth | None = Field(default=None, description="Default: inCluster.")
    tls: Tls = Tls()
    type: str | None = Field(
        default=None,
        min_length=1,
        description="Of the Secrets that are created. Default: that of the Secret at the source, or else Opaque.",
    )
    labels: dict[MetadataKey, LabelValue] = Field(
        default={}, description="Of every Secret that a job creates or takes over.", json_schema_extra=_NO_OTHER_KEYS
    )
    annotations: dict[MetadataKey, str] = Field(
        default={}, description="Of every Secret that a job creates or takes over.", json_schema_extra=_NO_OTHER_KEYS
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
        if sum(len(part.encode()) for pair in self.annotations.items() for part in pair) > ANNOTATION_BYTES:
            raise ValueError(
                f"annotations have more than {ANNOTATION_BYTES:,} bytes together, which Kubernetes refuses"
            )
        return self
