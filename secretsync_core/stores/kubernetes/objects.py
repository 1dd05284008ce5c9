"""What a Secret is as JSON, and what of it we take and give."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import InvalidSecret
from secretsync_core.stores.kubernetes.answers import nonsense
from secretsync_core.stores.kubernetes.names import FIELD_PATTERN, FIELD_RULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.secret import FieldValue, SecretValue

MAX_BYTES = 1_048_576
"""What the values of one Secret may have together, before their base64."""

_FIELD = re.compile(FIELD_PATTERN)


def data_of(value: SecretValue, *, store: str, key: str) -> dict[str, str]:
    """The ``data`` of a Secret that holds this value. Raises InvalidSecret where none can."""
    fields = value.reveal()
    if isinstance(fields, bytes):
        raise InvalidSecret(f"{store} holds named fields, and {key} is a blob", store=store, key=key)
    size = 0
    data: dict[str, str] = {}
    for name, field in fields.items():
        if not isinstance(field, bytes):
            raise InvalidSecret(f"{store} holds bytes, and a field of {key} is not", store=store, key=key)
        if not _FIELD.fullmatch(name):
            raise InvalidSecret(
                f"{store} cannot hold {key}: the name of a field does not fit",
                store=store,
                key=key,
                hint=f"a name is {FIELD_RULE}; rename it by valueTransform: [{{fields: {{rename: ...}}}}]",
            )
        size += len(field)
        data[name] = base64.b64encode(field).decode("ascii")
    if size > MAX_BYTES:
        raise InvalidSecret(
            f"{key} is too large for {store}: {size:,} bytes, and {MAX_BYTES:,} fit",
            store=store,
            key=key,
            hint="leave fields out by a valueTransform, or split it",
        )
    return data


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
