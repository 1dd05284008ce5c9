"""The SecretStore document: where secrets live, and what we may do there."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from secretsync_core.model.capabilities import Permissions
from secretsync_core.schema.base import Name, Spec


class StoreMetadata(Spec):
    """The store's name."""

    name: Name


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
