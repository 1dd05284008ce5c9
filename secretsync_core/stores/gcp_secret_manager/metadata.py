"""What Secret Manager takes as labels, annotations and topics, and how documents write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from secretsync_core.model.metadata import MetadataRule

OURS = "secretsync.io"
"""Annotations that begin so are SecretSync's own. A name there takes no slash, so it is not ``secretsync.io/``."""

MARK = f"{OURS}-owner"
"""The annotation that says which job created a secret."""

WRITTEN = f"{OURS}-versions"
"""The annotation that has the numbers of versions which the job wrote and that are still there."""

# https://cloud.google.com/secret-manager/docs/labels has the letters; the discovery document the lengths.
LABEL = MetadataRule(
    most=64,
    longest_name=63,
    longest_text=63,
    in_characters=True,
    name_pattern=r"[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]*",
    name_rule="lower-case letters, digits, - and _, the first a letter",
    text_pattern=r"[\p{Ll}\p{Lo}\p{N}_-]*",
    text_rule="lower-case letters, digits, - and _",
)
# The discovery document, Secret.annotations.
ANNOTATION = MetadataRule(
    longest_name=63,
    name_pattern=r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?",
    name_rule="letters, digits, - _ and ., the first and the last a letter or digit",
    reserved=(OURS,),
    all_bytes=16 * 1024 - 1024,  # less what our own take
)


def _not_ours(name: str) -> str:
    if name.lower().startswith(OURS):
        raise ValueError(f"names that begin with {OURS} are set by SecretSync alone")
    return name


Labels = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")],
        Annotated[str, Field(pattern=r"^[a-z0-9_-]{0,63}$")],
    ],
    Field(max_length=64),
]
"""Labels, in ASCII."""

Annotations = Annotated[
    dict[
        Annotated[
            str,
            Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"),
            AfterValidator(_not_ours),
        ],
        Annotated[str, Field(max_length=8192)],
    ],
    Field(max_length=100),
]
"""Annotations, with any text."""
