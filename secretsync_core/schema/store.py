"""The SecretStore document: where secrets live, and what we may do there."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from secretsync_core.endurance import MIB, Endurance, of_limits
from secretsync_core.model.capabilities import Permissions
from secretsync_core.schema.base import Name, Spec
from secretsync_core.schema.labels import Annotations, Labels
from secretsync_core.schema.quantities import Duration


class StoreMetadata(Spec):
    """The store's name, labels that a policy can go by, and annotations."""

    name: Name
    labels: Labels = Field(
        default={},
        description="Such as env: prod. A policy can say by them what may go where; in Dagster they are tags.",
        json_schema_extra={"additionalProperties": False},
    )
    annotations: Annotations = Field(
        default={},
        description="Any texts. In Dagster dagster.io/owners and dagster.io/group say who owns it, and its group.",
        json_schema_extra={"additionalProperties": False},
    )


class StoreLimits(Spec):
    """What is put up with before the store is given up, so that one that never ends holds no run.

    Seldom set: the defaults are far beyond what a store that is well needs.
    """

    request: Duration | None = Field(
        default=None,
        description="How long a request may take until its answer is whole. Default: 2m. One of a listing may take five"
        " times as long.",
    )
    listing: Duration | None = Field(
        default=None, description="How long a listing may take, in all its requests. Default: 4h."
    )
    answer_mi_b: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        alias="answerMiB",
        description="How large an answer may be, in MiB, decompressed. Default: 32. One of a listing may have four"
        " times as much, and thirty-two times where it is taken apart as it comes in.",
    )
    pages: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="How many requests of a listing in a row may bring nothing new. Default: 10000.",
    )

    @property
    def endurance(self) -> Endurance:
        """The same as the engine takes it."""
        answer = None if self.answer_mi_b is None else self.answer_mi_b * MIB
        return of_limits({"request": self.request, "listing": self.listing, "answer": answer, "pages": self.pages})


class SecretStoreSpec(Spec):
    """The body of a SecretStore.

    ``provider`` holds exactly one key, the provider's name; its configuration is validated by that provider's own
    model (see :mod:`secretsync_core.schema.providers`) and stands here as that model's instance after loading.
    """

    permissions: Permissions = Field(default=Permissions.READ_WRITE, strict=False)
    look: bool | None = Field(
        default=None,
        description="With permissions: Write, whether versions are looked at, and never values. Default: true in a"
        " store that shows no values, and false in any other.",
    )
    limits: StoreLimits = StoreLimits()
    provider: dict[str, Any] = Field(min_length=1, max_length=1)

    @model_validator(mode="after")
    def _look_goes_with_write(self) -> Self:
        if self.look is not None and self.permissions is not Permissions.WRITE:
            raise ValueError("look is for permissions: Write; what may be read is looked at anyway")
        return self


class SecretStore(Spec):
    """Where secrets live: a Vault, a directory, an AWS account."""

    api_version: Literal["secretsync.io/v1alpha1"]
    kind: Literal["SecretStore"]
    metadata: StoreMetadata
    spec: SecretStoreSpec
