"""How a document describes AWS Systems Manager Parameter Store."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from secretsync_core.schema.addresses import Address  # noqa: TC001  the model is built of it
from secretsync_core.schema.metadata import AwsTags  # noqa: TC001  the model is built of it
from secretsync_core.stores.aws.config import AwsConfig, AwsKmsKey


class AwsParameterStoreConfig(AwsConfig):
    """AWS Systems Manager Parameter Store in one region of one account."""

    path: str = Field(
        default="/",
        max_length=900,
        pattern=r"^(/[A-Za-z0-9_.-]+)*/?$",
        description="The folder that keys are relative to, such as /prod. Default: all parameters.",
    )
    type: Literal["SecureString", "String"] = Field(default="SecureString", description="Of what is written.")
    kms_key_id: AwsKmsKey | None = Field(
        default=None, description="For what is written. Default: aws/ssm, or the key that a parameter has."
    )
    tier: Literal["Standard", "Advanced", "IntelligentTiering"] = Field(
        default="Standard",
        description="Of what is created; what is Advanced stays it. Standard holds 4,096 bytes, the others 8,192.",
    )
    tags: AwsTags = Field(
        default_factory=dict,
        description="For every parameter that a job creates or takes over; at most 50, the mark included.",
    )
    description: str | None = Field(
        default=None, max_length=1024, description="For every parameter that a job creates or takes over."
    )
    tagging_endpoint_url: Address | None = Field(
        default=None, description="With endpointUrl: the address of the Resource Groups Tagging API, if it may be used."
    )

    @model_validator(mode="after")
    def _key_needs_encryption(self) -> AwsParameterStoreConfig:
        if self.kms_key_id is not None and self.type == "String":
            raise ValueError("kmsKeyId needs type: SecureString")
        return self
