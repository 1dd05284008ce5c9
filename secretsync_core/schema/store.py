"""The SecretStore document: where secrets live, and what we may do there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from secretsync_core.metadata_rules import LABEL_VALUE, QUALIFIED_NAME
from secretsync_core.model.capabilities import Permissions
from secretsync_core.schema.base import Name, Spec

LabelName = Annotated[str, Field(pattern=f"^{QUALIFIED_NAME}$")]
LabelText = Annotated[str, Field(pattern=f"^{LABEL_VALUE}$")]


class StoreMetadata(Spec):
    """The store's name, and labels that a policy can go by."""

    name: Name
    labels: dict[LabelName, LabelText] = Field(
        default={},
        description="Such as env: prod. A policy can say by them what may go where.",
        json_schema_extra={"additionalProperties": False},
    )


class SecretStoreSpec(Spec):
    """The body of a SecretStore.

    ``provider`` holds exactly one key, the provider's name; its configuration is validated by that provider's own
    model (see :mod:`secretsync_core.schema.providers`) and stands here as that model's instance after loading.
    """

    permissions: Permissions = Field(default=Permissions.READ_WRITE, strict=False)
    provider: dict[str, Any] = Field(min_length=1, max_length=1)


class SecretStore(Spec):
    """Where secrets live: a Vault, a directory, an AWS account."""

    api_version: Literal["secretsync.io/v1alpha1"]
    kind: Literal["SecretStore"]
    metadata: StoreMetadata
    spec: SecretStoreSpec
