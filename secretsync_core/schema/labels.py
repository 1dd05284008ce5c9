"""Labels and annotations of documents, by Kubernetes' rules, and what of them is read: who owns a document, and where
Dagster shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from secretsync_core.metadata_rules import ANNOTATION_BYTES, LABEL_VALUE, QUALIFIED_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNERS = "dagster.io/owners"
"""The annotation that names a document's owners in Dagster: email addresses and ``team:NAME``, with commas between."""

GROUP = "dagster.io/group"
"""The annotation that names the group of a document's asset in Dagster."""

_LONGEST_PREFIX = 253
_OWNER = re.compile(r"team:[A-Za-z0-9_.-]+|[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_GROUP = re.compile(r"[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*")


def _prefix_fits(name: str) -> str:
    if len(name.rpartition("/")[0]) > _LONGEST_PREFIX:
        raise ValueError(f"what stands before the / is longer than {_LONGEST_PREFIX} characters")
    return name


def _read(annotations: dict[str, str]) -> dict[str, str]:
    """The annotations as they are. Raises ValueError where one that is read says nothing that can be."""
    if sum(len(name.encode()) + len(text.encode()) for name, text in annotations.items()) > ANNOTATION_BYTES:
        raise ValueError(f"all annotations together have at most {ANNOTATION_BYTES // 1024} KiB")
    if any(name.startswith("dagster.io/") and name not in (OWNERS, GROUP) for name in annotations):
        raise ValueError(f"of the annotations of dagster.io there are {OWNERS} and {GROUP}")
    if OWNERS in annotations and not all(map(_OWNER.fullmatch, owners_of(annotations) or ("",))):
        raise ValueError(f"{OWNERS} has email addresses and team:NAME, with commas between them")
    if GROUP in annotations and not _GROUP.fullmatch(annotations[GROUP]):
        raise ValueError(f"{GROUP} has letters, digits and underscores, with / between a group and one within it")
    return annotations


def owners_of(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Who owns a document: email addresses and ``team:NAME``."""
    told = (owner.strip() for owner in annotations.get(OWNERS, "").split(","))
    return tuple(owner for owner in told if owner)


LabelName = Annotated[str, Field(pattern=f"^{QUALIFIED_NAME}$"), AfterValidator(_prefix_fits)]
LabelText = Annotated[str, Field(pattern=f"^{LABEL_VALUE}$")]
Labels = dict[LabelName, LabelText]
Annotations = Annotated[dict[LabelName, str], AfterValidator(_read)]
