"""What a Secret is as JSON, and what of it we take and give."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from secretsync_core.stores.fit import binary_fields_of
from secretsync_core.stores.kubernetes.answers import nonsense

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.secret import FieldValue, SecretValue

MAX_BYTES = 1_048_576
"""What the values of one Secret may have together, before their base64."""


def data_of(value: SecretValue, facts: StoreFacts, key: str) -> dict[str, str]:
    """The ``data`` of a Secret that holds this value. Raises InvalidSecret where none can."""
    fields = binary_fields_of(value, facts, key)
    return {name: base64.b64encode(field).decode("ascii") for name, field in fields.items()}


def fields_of(secret: Mapping[str, Any], *, store: str, key: str) -> dict[str, FieldValue]:
    """The fields of a Secret. Raises StoreUnavailable for what is no Secret."""
    data = secret.get("data") or {}
    try:
        return {str(name): base64.b64decode(text, validate=True) for name, text in data.items()}
    except (AttributeError, TypeError, ValueError, binascii.Error):
        pass
    raise nonsense(store, key)  # out here, where no error that shows the data hangs on to it


def new_secret(
    name: str, data: dict[str, str], *, kind: str, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> dict[str, Any]:
    """A Secret of type ``kind`` that is to be created."""
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}


def with_data(secret: Mapping[str, Any], data: dict[str, str]) -> dict[str, Any]:
    """The Secret with other data, and with everything else as it is: type, labels, annotations, owners."""
    return {**secret, "data": data}


def with_label(secret: Mapping[str, Any], name: str, value: str) -> dict[str, Any]:
    """The Secret with one more label."""
    metadata = secret["metadata"]
    return {**secret, "metadata": {**metadata, "labels": {**labels_of(metadata), name: value}}}


def metadata_of(thing: object, store: str, key: str | None = None) -> dict[str, Any]:
    """The metadata of a Secret, or of what a listing shows of one. Raises StoreUnavailable where it has none."""
    metadata = thing.get("metadata") if isinstance(thing, dict) else None
    if not isinstance(metadata, dict) or not all(
        isinstance(metadata.get(name), str) and metadata[name] for name in ("name", "uid", "resourceVersion")
    ):
        raise nonsense(store, key)
    return metadata


def token_of(metadata: Mapping[str, Any]) -> str:
    """The version token ``<resourceVersion>@<uid>``: people know the first, the second tells a new Secret apart."""
    return f"{metadata['resourceVersion']}@{metadata['uid']}"


def labels_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a Secret."""
    labels = metadata.get("labels")
    return labels if isinstance(labels, dict) else {}
