"""How a document describes what the stores of AWS share: where the service is, and who we are there."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from secretsync_core.schema.addresses import Address
from secretsync_core.schema.base import Credential, LocalPath, Spec
from secretsync_core.schema.named import Kind, Names

AwsRole = Annotated[
    str,
    Field(
        pattern=r"^arn:[^:]+:iam::[0-9]{12}:role/.+$",
        max_length=2048,
        description="Such as arn:aws:iam::123456789012:role/secretsync.",
    ),
    Names(Kind.AWS_ROLE),
]
AwsSessionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{2,64}$", description="What CloudTrail shows.")]
AwsKmsKey = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[a-zA-Z0-9:/_-]+$")]


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

    profile: Annotated[str, Names(Kind.AWS_PROFILE)] | None = Field(
        default=None, min_length=1, description="A profile of ~/.aws/config."
    )
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
    endpoint_url: Address | None = Field(
        default=None, description="Of a VPC endpoint or an emulator, such as https://vpce-1.example.com."
    )
    sts_endpoint_url: Address | None = Field(default=None, description="Of a VPC endpoint or an emulator of STS.")
    auth: AwsAuth = AwsAuth()
