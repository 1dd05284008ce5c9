"""How a document describes files that sops encrypts."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from secretsync_core.schema.addresses import Address
from secretsync_core.schema.base import Choice, Credential, Spec, StorePath
from secretsync_core.stores.aws.config import AwsAuth
from secretsync_core.stores.directory.names import is_plain_name

OF_MANY = (".yaml", ".yml", ".json", ".ini")
"""How files end that hold many secrets: objects, or sections."""

ENDINGS = (*OF_MANY, ".env")


def _ending(text: str) -> str:
    if not text.endswith(ENDINGS) or not is_plain_name(f"x{text}"):
        raise ValueError(f"it must end with one of {', '.join(ENDINGS)}, and have no slash")
    return text


def _file(path: str) -> str:
    if not path.endswith(OF_MANY):
        raise ValueError(f"its name must end with one of {', '.join(OF_MANY)}: a dotenv file has room for one secret")
    return path


ARN = r"^arn:aws[a-z-]*:kms:[a-z0-9]+(?:-[a-z0-9]+)+:[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]{1,256}$"
"""A key of AWS KMS, with its region."""

AwsKmsArn = Annotated[str, Field(pattern=ARN)]


class SopsKms(Spec):
    """Keys of AWS KMS, and how to authenticate there. Each is asked in the region of its ARN."""

    keys: tuple[AwsKmsArn, ...] | None = Field(
        default=None,
        min_length=1,
        description="Their ARNs, as files have them. They are the only ones that files may have, and no other is used. "
        "Default: those that the `creation_rules` of `.sops.yaml` name for a file.",
    )
    endpoint_url: Address | None = Field(
        default=None, description="Of a VPC endpoint or an emulator, such as https://vpce-1.example.com."
    )
    sts_endpoint_url: Address | None = Field(default=None, description="Of a VPC endpoint or an emulator of STS.")
    auth: AwsAuth = AwsAuth()


class SopsConfig(Choice):
    """Files that sops encrypts for age keys or keys of AWS KMS: one for each secret, or one with all of them."""

    CHOICES: ClassVar = ("path", "file")

    path: StorePath | None = Field(
        default=None,
        description="A directory: the secret `team/db` is the file `team/db.yaml` in it. "
        "Relative to the document's directory.",
    )
    file: Annotated[StorePath, AfterValidator(_file)] | None = Field(
        default=None,
        description="One file: the secret `team/db` is the object at `team: db:` in it, in INI the section "
        "`[team/db]`. "
        "Relative to the document's directory.",
    )
    ending: Annotated[str, AfterValidator(_ending)] = Field(
        default=".yaml",
        description="Of `path`: how its files' names end, such as `.enc.yaml`, `.json`, `.env` or `.ini`.",
    )
    age_key: Credential | None = Field(
        default=None,
        description="The age identities (`AGE-SECRET-KEY-…`, a line each), or an SSH key: to read, and to change "
        "what is there. Creating files takes none.",
    )
    recipients: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="The only age recipients that files may have. A file that has others gets a new data key, for "
        "these alone, when it changes. Default: by the `creation_rules` of `.sops.yaml`.",
    )
    kms: SopsKms | None = Field(
        default=None,
        description="Keys of AWS KMS, besides age recipients or in their place: new files have all of them.",
    )
    rotate: bool = Field(
        default=False,
        description="Of `path`: every change gives a file a new data key, so that nobody who knew the former one can "
        "read it. All values of the file are encrypted anew then, and a diff shows all of them.",
    )

    @model_validator(mode="after")
    def _rotates_whole_secrets(self) -> Self:
        if self.rotate and self.file is not None:
            raise ValueError("rotate is for path: in one file every change would look like one of all its secrets")
        return self

    @model_validator(mode="after")
    def _says_all_or_nothing(self) -> Self:
        if self.recipients is not None and self.kms is not None and self.kms.keys is None:
            raise ValueError(
                "recipients take the place of .sops.yaml, and kms without keys would take keys from it: give kms.keys, "
                "or leave out recipients"
            )
        return self
