"""What a Secret is as JSON, and what of it we take and give."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import MalformedAnswer
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.stores.answers import Part, is_text_map, malformed
from secretsync_core.stores.fit import binary_fields_of
from secretsync_core.stores.kubernetes.names import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.metadata import Described
    from secretsync_core.secret import FieldValue, SecretValue
    from secretsync_core.stores.kubernetes.answers import Received, Request

MAX_BYTES = 1_048_576
"""What the values of one Secret may have together, before their base64."""


def data_of(value: SecretValue, facts: StoreFacts, key: str) -> dict[str, str]:
    """The ``data`` of a Secret that holds this value. Raises InvalidSecret where none can."""
    fields = binary_fields_of(value, facts, key)
    return {name: base64.b64encode(field).decode("ascii") for name, field in fields.items()}


def secret_of(received: Received, place: Place) -> dict[str, Any]:
    """The whole Secret of a place, each part of which that we look at is of its type. Raises MalformedAnswer."""
    found = received.object("Secret")
    metadata_of(received.request, found.fields, place)
    found.part_or_none("data")
    found.text_or_none("type")
    if found.has("immutable"):
        found.flag("immutable")
    return dict(found.fields)


def fields_of(request: Request, secret: Mapping[str, Any]) -> dict[str, FieldValue]:
    """The fields of a Secret. Raises MalformedAnswer where they are not in base64."""
    data = secret.get("data") or {}
    try:
        return {name: base64.b64decode(text, validate=True) for name, text in data.items()}
    except (TypeError, ValueError):  # binascii's own is a ValueError
        pass
    # Out here, where no error that shows the data hangs on to it.
    raise malformed(request, "data holds something that is not a text in base64")


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


_is_uid = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch
# Numbers in every API server that keeps Secrets, and by the API's conventions compared as such: revisions of etcd.
_is_version = re.compile(r"[0-9]{1,20}").fullmatch


def metadata_of(request: Request, thing: object, place: Place | None = None, path: str = "") -> dict[str, Any]:
    """The metadata of a Secret, or of what a listing shows of one: of the one at ``place``, where one was asked for.

    What was asked of one namespace is in that one. ``path`` says where it stands in the answer. Raises MalformedAnswer
    where they are not what every Secret has.
    """
    # There may be a hundred thousand of them: what is wrong is only looked for where something is.
    metadata = thing.get("metadata") if type(thing) is dict else None
    if type(metadata) is dict:
        name, namespace = metadata.get("name"), metadata.get("namespace")
        uid, version, labels = metadata.get("uid"), metadata.get("resourceVersion"), metadata.get("labels")
        if type(name) is str and type(namespace) is str and type(uid) is str and type(version) is str:
            fits = name and namespace and _is_uid(uid) and _is_version(version) and (not labels or is_text_map(labels))
            asked = request.namespace is None or namespace == request.namespace
            if fits and asked and (place is None or (name == place.name and namespace == place.namespace)):
                return metadata
    raise _wrong(request, thing, path)


def place_in(request: Request, thing: object) -> Place | None:
    """Where the Secret is that an object is about, which is no Secret's otherwise; None where that cannot be told."""
    metadata = thing.get("metadata") if type(thing) is dict else None
    name, namespace = (metadata.get("name"), metadata.get("namespace")) if type(metadata) is dict else (None, None)
    if not isinstance(name, str) or not isinstance(namespace, str) or not (name and namespace):
        return None
    return Place(namespace, name) if request.namespace in (None, namespace) else None


def _wrong(request: Request, thing: object, path: str) -> MalformedAnswer:
    """What is wrong with an object that ``metadata_of`` does not take."""
    try:
        metadata = Part.of(request, path, thing).part("metadata")
        for name in ("name", "namespace"):
            metadata.text(name)
        if not _is_uid(metadata.text("uid")):
            raise metadata.wrong("uid", "a UUID")
        if not _is_version(metadata.text("resourceVersion")):
            raise metadata.wrong("resourceVersion", "a number")
        metadata.text_map("labels")
    except MalformedAnswer as error:
        return error
    return malformed(request, "it is another object than the one that was asked for")


def token_of(metadata: Mapping[str, Any]) -> str:
    """The version token ``<resourceVersion>@<uid>``: people know the first, the second tells a new Secret apart."""
    return f"{metadata['resourceVersion']}@{metadata['uid']}"


def notes_of(request: Request, metadata: Mapping[str, Any]) -> dict[Slot, str]:
    """The annotations of a Secret, but for those of kubectl: one of them may hold all of its values."""
    found = metadata.get("annotations") or {}
    if not is_text_map(found):
        raise malformed(request, "metadata.annotations is not an object of texts")
    return {Slot(Kind.ANNOTATION, name): text for name, text in found.items() if not name.startswith(_KUBECTL)}


_KUBECTL = "kubectl.kubernetes.io/"


def with_metadata(secret: Mapping[str, Any], wanted: Described) -> dict[str, Any]:
    """The Secret with these labels and annotations, and with everything else as it is."""
    metadata = dict(secret["metadata"])
    for field, kind in (("labels", Kind.LABEL), ("annotations", Kind.ANNOTATION)):
        more = {slot.name: text for slot, text in wanted.items() if slot.kind is kind}
        if more:
            metadata[field] = {**(metadata.get(field) or {}), **more}
    return {**secret, "metadata": metadata}


def labels_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a Secret."""
    return metadata.get("labels") or {}
