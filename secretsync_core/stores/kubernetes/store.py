"""The stores: Secrets of one namespace by their names, or of all namespaces as ``<namespace>/<name>``."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from secretsync_core.errors import AccessDenied, Conflict, SecretFails, SecretNotFound, StoreError
from secretsync_core.metadata_rules import ANNOTATION, LABEL
from secretsync_core.model.capabilities import Shape, StoreFacts, StoreLimits
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.metadata import Kind, MetadataFacts, Slot
from secretsync_core.model.versions import VersionOrder
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.fit import binary_fields_of
from secretsync_core.stores.kubernetes.answers import ACCEPTED, JSON, METADATA, Answer, Request, immutable, refusal
from secretsync_core.stores.kubernetes.foretelling import check_type
from secretsync_core.stores.kubernetes.listing import Listing, OddSecret, is_absent, secrets_path
from secretsync_core.stores.kubernetes.names import (
    FIELD_PATTERN,
    FIELD_RULE,
    KEY_LIMITS,
    NAME_LIMITS,
    AllNamespaces,
    OneNamespace,
    Place,
    place_of,
    sort_out,
)
from secretsync_core.stores.kubernetes.objects import (
    MAX_BYTES,
    data_of,
    fields_of,
    labels_of,
    metadata_of,
    new_secret,
    notes_of,
    secret_of,
    token_of,
    with_data,
    with_metadata,
)
from secretsync_core.stores.kubernetes.rights import missing_rights
from secretsync_core.stores.kubernetes.types import type_of_new
from secretsync_core.stores.unanswered import Doubt
from secretsync_core.stores.unseen import odd_gap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

    from secretsync_core.model.access import Access, Missing
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.place import Place as StorePlace
    from secretsync_core.model.position import Position
    from secretsync_core.stores.kubernetes.answers import Received
    from secretsync_core.stores.kubernetes.client import Client
    from secretsync_core.stores.kubernetes.names import Names

ROUNDS = 3
"""How often a Secret is looked at and written again because somebody else wrote it in between."""

_MANAGER = "?fieldManager=secretsync"


class Template(NamedTuple):
    """What a Secret that we create is like, besides its data. ``mark`` is empty where none is wanted.

    ``kind`` is its type; None where the document leaves that to what it is a copy of.
    """

    kind: str | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    mark: str = ""

    @property
    def asked(self) -> Described:
        """The labels and annotations that every Secret of a job is to have."""
        labels = {Slot(Kind.LABEL, name): text for name, text in self.labels.items()}
        return labels | {Slot(Kind.ANNOTATION, name): text for name, text in self.annotations.items()}


class SecretsStore:
    """Reads, lists, writes with compare-and-set, deletes and marks Secrets.

    A version token is ``<resourceVersion>@<uid>``. It changes with labels and annotations too. Writing the data that
    is there already changes nothing, not even the token.
    """

    LIMITS: ClassVar[StoreLimits]

    def __init__(self, client: Client, template: Template, place: StorePlace | None, names: Names) -> None:
        self._client = client
        self._template = template
        self._names = names
        self._listing = Listing(client, names.namespace)
        self.facts = StoreFacts(
            name=client.store,
            provider="kubernetes",
            shape=Shape.BINARY_FIELDS,
            versioned=True,
            idle_writes=True,
            versions_of_all=True,
            kinds=template.kind is None,  # else all that is created is of the document's type
            one_kind=template.kind or "",
            limits=self.LIMITS,
            place=place,
            version_order=VersionOrder.NUMBER_OF_ONE,
            metadata=MetadataFacts({Kind.LABEL: LABEL, Kind.ANNOTATION: ANNOTATION}, template.asked),
        )

    async def position(self) -> Position | None:
        """How far the API server was by the ``resourceVersion`` of its listings; asks for nothing."""
        return self._listing.position

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    # -- Looking --------------------------------------------------------------------------------------------------

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The Secret's data. A ``version`` is a StoreError: Kubernetes keeps none but the current one."""
        store = self.facts.name
        if version is not None:
            raise StoreError(f"{store} keeps no old versions of a Secret", store=store, key=key)
        place = self._place(key)
        found = await self._get("read", place, key)
        if found is None:
            await self._listing.confirm()
            raise SecretNotFound(f"{key} is not in {store}", store=store, key=key)
        fields = fields_of(self._request("GET", "get", f"read {key}", place, key), found)
        return Secret(SecretValue(fields, found.get("type") or ""), token_of(found["metadata"]))

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """The entries of ``keys``, by listings where they are many and one by one where they are few."""
        wanted, gaps = sort_out(self._names, keys, self.facts.name)
        for gap in gaps:
            yield gap
        async for found in self._listing.find(wanted):
            yield found if isinstance(found, Gap) else Entry(found[0], token_of(found[1]))

    async def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, at the same cost, with the labels; ``notes`` are the annotations."""
        wanted, gaps = sort_out(self._names, keys, self.facts.name)
        for gap in gaps:
            yield gap
        async for found in self._listing.find(wanted, annotations=True):
            yield found if isinstance(found, Gap) else self._described(*found)

    def _described(self, key: str, metadata: Mapping[str, Any]) -> Entry:
        request = self._request("GET", "get", f"look at {key}", self._place(key), key)
        return Entry(key, token_of(metadata), metadata=labels_of(metadata), notes=notes_of(request, metadata))

    async def list(self, prefix: str, *, recursive: bool, metadata: bool, kind: str = "") -> AsyncIterator[Entry | Gap]:
        """The Secrets below ``prefix``, of one type or of all. Their metadata are their labels."""
        scope = self._names.scope(prefix, recursive=recursive)
        if scope is None:
            return
        for item in await self._listing.everything(scope, kind, annotations=metadata):
            if isinstance(item, OddSecret):
                yield odd_gap(self._names.key(item.place), item.odd)
                continue
            key = self._names.key(self._placed(item, scope.namespace))
            yield self._described(key, item) if metadata else Entry(key, token_of(item))

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that have the label."""
        wanted, _ = sort_out(self._names, keys, self.facts.name)
        marks: dict[str, str] = {}
        async for found in self._listing.find(wanted, selector=MARK_KEY):
            if isinstance(found, Gap):
                raise AccessDenied(found.message, store=self.facts.name, key=found.prefix)
            key, metadata = found
            if (mark := labels_of(metadata).get(MARK_KEY)) is not None:
                marks[key] = mark
        return marks

    async def check_access(self, wanted: Sequence[Access]) -> Sequence[Missing]:
        """Which of ``wanted`` our rights do not allow, by up to ten requests. Admission policies are not asked."""
        return await missing_rights(self._client, self._names, wanted)

    # -- Writing --------------------------------------------------------------------------------------------------

    async def write(self, key: str, value: SecretValue) -> str:
        """Create the Secret, or replace the data of the one that is there."""
        place, data = self._place(key), self._data(key, value)

        async def once() -> str:
            current = await self._get("read", place, key)
            if current is None:
                return await self._create(place, key, data, value.kind)
            return await self._replace(place, key, current, with_data(current, data))

        return await self._again(once)

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str:
        """Create the Secret (``expected`` is ``None``), or replace its data if its token is ``expected``."""
        place, data = self._place(key), self._data(key, value)
        if expected is None:
            return await self._create(place, key, data, value.kind)
        current = await self._get("read", place, key)
        if current is None or token_of(current["metadata"]) != expected:
            raise self._changed(key)
        return await self._replace(place, key, current, with_data(current, data))

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what the API server would say to the value: for the Secret that it replaces, or for a new one."""
        place, fields = self._place(key), binary_fields_of(value, self.facts, key)
        if expected is None:
            await self._listing.check_namespace(place.namespace, key)
            check_type(self._create_request(place, key), type_of_new(self._template.kind, value.kind, fields), fields)
            return
        current = await self._get("read", place, key)
        if current is None:
            return
        if current.get("immutable") and current.get("data") != data_of(value, self.facts, key):
            raise immutable(self.facts.name, key)
        request = self._request("PUT", "update", f"write {key}", place, key)
        check_type(request, current.get("type", ""), fields)

    async def mark(self, key: str) -> None:
        """Put our mark on the Secret, as a label."""
        mark = {Slot(Kind.LABEL, MARK_KEY): self._template.mark}
        await self._again(lambda: self.set_metadata(key, mark, None))

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str:
        """Set labels and annotations, if the token is ``version`` (``None``: whatever it is); it makes a new token."""
        place = self._place(key)
        current = await self._get("read", place, key)
        if current is None:
            raise SecretNotFound(f"{key} is not in {self.facts.name}", store=self.facts.name, key=key)
        if version is not None and token_of(current["metadata"]) != version:
            raise self._changed(key)
        return await self._replace(place, key, current, with_metadata(current, wanted))

    async def delete(self, key: str) -> None:
        """Delete the Secret as a fresh look shows it, for good. Raises Conflict where it changes in that moment, and
        SecretFails where it is marked for deletion only: then it may yet go."""
        await self._delete(key, None)

    async def delete_if(self, key: str, expected: str) -> None:
        """The same, if its token is ``expected``; else raises Conflict."""
        await self._delete(key, expected)

    async def _delete(self, key: str, expected: str | None) -> None:
        place = self._place(key)
        seen = await self._listing.look(place, key)
        if seen is None:
            await self._listing.confirm()
            return
        if expected is not None and token_of(seen) != expected:
            raise self._changed(key)
        preconditions = {"uid": seen["uid"], "resourceVersion": seen["resourceVersion"]}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        request = self._request("DELETE", "delete", f"delete {key}", place, key)
        gone = await self._client.call("delete", request, _is_gone, options, accept=METADATA)
        if isinstance(gone, Answer):
            if not is_absent(gone):
                raise refusal(request, gone)
        elif not gone:
            await Doubt(unanswered=True).of(self._await_end(place, key, seen["uid"]))

    async def _await_end(self, place: Place, key: str, uid: str) -> None:
        """Look until a Secret that was marked for deletion is gone. Raises SecretFails where finalizers keep it."""
        store, request = self.facts.name, self._request("GET", "get", f"look at {key}", place, key)

        def parse(received: Received) -> None:
            left = metadata_of(request, received.object("Secret", "PartialObjectMetadata").fields, place)
            if left["uid"] == uid:
                raise SecretFails(
                    f"{key} is marked for deletion in {store}, and stays until its finalizers are done",
                    store=store,
                    key=key,
                    hint="whoever put them there removes them: kubectl get secret -o jsonpath={.metadata.finalizers}",
                )

        found = await self._client.call("stat", request, parse, accept=METADATA)
        if isinstance(found, Answer) and not is_absent(found):
            raise refusal(request, found)

    # -- One request each -----------------------------------------------------------------------------------------

    async def _get(self, kind: str, place: Place, key: str) -> dict[str, Any] | None:
        """The whole Secret; ``None`` where it is absent."""
        request = self._request("GET", "get", f"read {key}", place, key)
        found = await self._client.call(kind, request, lambda received: secret_of(received, place), accept=JSON)
        if not isinstance(found, Answer):
            return found
        if is_absent(found):
            return None
        raise refusal(request, found)

    async def _create(self, place: Place, key: str, data: dict[str, str], source: str) -> str:
        template = self._template
        kind = type_of_new(template.kind, source, data)
        labels = {**template.labels, MARK_KEY: template.mark} if template.mark else template.labels
        secret = new_secret(place.name, data, kind=kind, labels=labels, annotations=template.annotations)
        request = self._create_request(place, key)
        return self._written(request, await self._write(request, place, secret))

    async def _replace(self, place: Place, key: str, current: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
        """Put a Secret in the place of what was just read; the server compares its resourceVersion and its uid."""
        if current.get("immutable") and current.get("data") != wanted.get("data"):
            raise immutable(self.facts.name, key)
        request = self._request("PUT", "update", f"write {key}", place, key, _MANAGER)
        answer = await self._write(request, place, wanted)
        if isinstance(answer, Answer) and is_absent(answer):  # deleted since
            raise Doubt(unanswered=answer.unanswered).on(self._changed(key))
        return self._written(request, answer)

    async def _write(self, request: Request, place: Place, secret: Mapping[str, Any]) -> str | Answer:
        """Send a whole Secret; gives its new token, or the refusal."""

        def parse(received: Received) -> str:
            written = received.object("Secret", "PartialObjectMetadata").fields
            return token_of(metadata_of(request, written, place))

        return await self._client.call("write", request, parse, secret, accept=METADATA)

    def _written(self, request: Request, answer: str | Answer) -> str:
        if isinstance(answer, Answer):
            raise refusal(request, answer)
        return answer

    async def _again(self, once: Callable[[], Awaitable[str]]) -> str:
        """Run a look and a write; anew where somebody else wrote in between, for nobody asked us to compare."""
        doubt = Doubt()
        for _ in range(ROUNDS - 1):
            with contextlib.suppress(Conflict):
                return await doubt.of(once())
        return await doubt.of(once())

    # -- Parts ----------------------------------------------------------------------------------------------------

    def _place(self, key: str) -> Place:
        return place_of(self._names, key, self.facts.name)

    def _placed(self, metadata: Mapping[str, Any], namespace: str | None) -> Place:
        return Place(namespace or metadata.get("namespace", ""), metadata["name"])

    def _data(self, key: str, value: SecretValue) -> dict[str, str]:
        return data_of(value, self.facts, key)

    def _request(self, method: str, verb: str, action: str, place: Place, key: str, query: str = "") -> Request:
        path = secrets_path(place.namespace, place.name) + query
        return Request(self.facts.name, method, path, verb, action, place.namespace, key)

    def _create_request(self, place: Place, key: str) -> Request:
        path = secrets_path(place.namespace) + _MANAGER
        return Request(self.facts.name, "POST", path, "create", f"create {key}", place.namespace, key)

    def _changed(self, key: str) -> Conflict:
        return Conflict(f"{key} in {self.facts.name} changed meanwhile", store=self.facts.name, key=key)


def _is_gone(received: Received) -> bool:
    """Whether the answer to a delete says that it is done; else it has the object that is on its way out."""
    found = received.object("Status", "Secret", "PartialObjectMetadata")
    if found.text("kind") != "Status":
        return False
    if found.text("status") != "Success":
        raise malformed(received.request, "it says that it failed, as a success")
    return received.status != ACCEPTED


def _limits(keys: StoreLimits) -> StoreLimits:
    return replace(
        keys, max_bytes=MAX_BYTES, field_pattern=FIELD_PATTERN, field_rule=FIELD_RULE, custom_metadata=True, types=True
    )


class NamespaceStore(SecretsStore):
    """The Secrets of one namespace."""

    LIMITS = _limits(NAME_LIMITS)

    def __init__(self, client: Client, template: Template, place: StorePlace | None, namespace: str) -> None:
        super().__init__(client, template, place, OneNamespace(namespace))


class ClusterStore(SecretsStore):
    """The Secrets of all namespaces."""

    LIMITS = _limits(KEY_LIMITS)

    def __init__(self, client: Client, template: Template, place: StorePlace | None) -> None:
        super().__init__(client, template, place, AllNamespaces())

    async def shows_folders(self, prefix: str) -> bool:
        """At the top there are namespaces, and nothing beside them; a namespace has no folders."""
        return not prefix
