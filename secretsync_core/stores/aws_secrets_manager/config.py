"""How a document describes AWS Secrets Manager."""

from __future__ import annotations

from pydantic import Field, model_validator

from secretsync_core.schema.base import Spec
from secretsync_core.schema.metadata import AwsTags  # noqa: TC001  the model is built of it
from secretsync_core.stores.aws.config import AwsConfig, AwsKmsKey


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
        description="Prepended to every key as is. Ends in / or another separator, such as prod/.",
    )
    kms_key_id: AwsKmsKey | None = Field(
        default=None, description="For secrets that are created. Default: aws/secretsmanager."
    )
    tags: AwsTags = Field(
        default_factory=dict,
        description="For every secret that a job creates or takes over; at most 50, the mark included.",
    )
    description: str | None = Field(
        default=None, max_length=2048, description="For every secret that a job creates or takes over."
    )
    replica_regions: tuple[AwsReplicaRegion, ...] = Field(
        default=(), description="For every secret that a job creates or takes over."
    )
    recovery_window_in_days: int | None = Field(
        default=None, ge=7, le=30, description="How long a deleted secret can be restored. Default: 30."
    )
    force_delete_without_recovery: bool = Field(default=False, description="Delete immediately and permanently.")

    @model_validator(mode="after")
    def _one_way_to_delete(self) -> AwsSecretsManagerConfig:
        if self.force_delete_without_recovery and self.recovery_window_in_days is not None:
            raise ValueError("give recoveryWindowInDays or forceDeleteWithoutRecovery, not both")
        return self
