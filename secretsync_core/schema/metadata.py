"""Custom metadata and tags as documents write them, checked as the stores will check them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from secretsync_core.metadata_rules import (
    AWS_TAG,
    CUSTOM_METADATA,
    LABEL,
    LABEL_VALUE,
    MOST_CUSTOM,
    MOST_TAGS,
    NEVER_COPIED,
    OURS,
    QUALIFIED_NAME,
    name_fault,
    value_fault,
)

TAG_NAME_PATTERN = r"^[\w .:/=+@-]+$"
TAG_TEXT_PATTERN = r"^[\w .:/=+@-]*$"
LABEL_NAME_PATTERN = f"^{QUALIFIED_NAME}$"
LABEL_TEXT_PATTERN = f"^{LABEL_VALUE}$"

FORMATS = {
    TAG_NAME_PATTERN: f"The name of a tag is {AWS_TAG.name_rule}, at most {AWS_TAG.longest_name} characters.",
    TAG_TEXT_PATTERN: f"The text of a tag is {AWS_TAG.text_rule}, at most {AWS_TAG.longest_text} characters.",
    LABEL_NAME_PATTERN: f"A label or annotation has {LABEL.name_rule}, such as example.com/team.",
    LABEL_TEXT_PATTERN: f"The text of a label is {LABEL.text_rule}; an annotation takes any text.",
}
"""What is allowed where one of these patterns does not match, for the error."""


def not_ours(name: str) -> str:
    """The name of a piece of metadata. Raises ValueError for one that is SecretSync's own."""
    if name.lower().startswith(OURS):
        raise ValueError(f"names that begin with {OURS} are set by SecretSync alone")
    return name


def _not_of_aws(name: str) -> str:
    if name.lower().startswith(AWS_TAG.reserved):
        raise ValueError("names that begin with aws: are AWS's own, and nobody can set them")
    return name


def _custom_name(name: str) -> str:
    if name_fault(name, CUSTOM_METADATA):
        raise ValueError(
            f"a name of custom metadata is {CUSTOM_METADATA.name_rule},"
            f" and has at most {CUSTOM_METADATA.longest_name} bytes"
        )
    return name


def _custom_text(text: str) -> str:
    if fault := value_fault(text, CUSTOM_METADATA):
        longest = "" if "bytes" in fault else f", and has at most {CUSTOM_METADATA.longest_text} bytes"
        raise ValueError(f"custom metadata: {fault}{longest}")
    return text


def _may_be_copied(name: str) -> str:
    if name.lower().startswith(NEVER_COPIED):
        raise ValueError(f"names that begin with {', '.join(NEVER_COPIED)} are never copied")
    return name


MetadataName = Annotated[
    str,
    Field(min_length=1, max_length=320, description="Such as team, or example.com/*."),
    AfterValidator(_may_be_copied),
]
"""The name of a piece of metadata that is copied, or a pattern for several."""

AwsTags = Annotated[
    dict[
        Annotated[
            str,
            Field(min_length=1, max_length=128, pattern=TAG_NAME_PATTERN),
            AfterValidator(_not_of_aws),
            AfterValidator(not_ours),
        ],
        Annotated[str, Field(max_length=256, pattern=TAG_TEXT_PATTERN)],
    ],
    Field(max_length=MOST_TAGS),
]
"""Tags: no more than AWS takes, and none of those that are its own."""

CustomMetadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_custom_name), AfterValidator(not_ours)],
        Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_custom_text)],
    ],
    Field(max_length=MOST_CUSTOM),
]
"""Custom metadata as Vault and OpenBao take it."""
