"""The state behind the fake API server: namespaces and Secrets, and what may be done to them."""

from __future__ import annotations

import base64
import copy
import json
import threading
import uuid
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from support.kube_patches import patched
from support.kube_rules import check, check_update, namespace_name, tidy
from support.kube_selectors import by_fields, by_labels
from support.kube_status import (
    already_exists,
    bad_request,
    conflict,
    expired,
    not_found,
    quota_exceeded,
    terminating,
    unknown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SNAPSHOTS = 100  # listings in pages that are remembered

Object = dict[str, Any]


class Listed(NamedTuple):
    """One page of a listing, with the list's metadata."""

    items: list[Object]
    about: dict[str, Any]


class Cluster:
    """Every method holds the lock for as long as it takes, and raises Refused as a real API server would answer.

    Attributes:
        any_namespace: create namespaces as they are written to or looked at, which no real cluster does: for suites
            that write to many.
        admission: what is asked before each write, with its operation and the Secret; it refuses by raising Refused.
    """

    def __init__(self) -> None:
        self.any_namespace = False
        self.admission: list[Callable[[str, Object], None]] = []
        self._quotas: dict[str, tuple[str, int]] = {}
        self._lock = threading.RLock()
        self._revision = 1000
        self._namespaces: dict[str, Object] = {}
        self._secrets: dict[tuple[str, str], Object] = {}
        self._snapshots: OrderedDict[str, list[Object]] = OrderedDict()
        for name in ("default", "kube-system"):
            self.create_namespace(name)

    # -- Namespaces -----------------------------------------------------------------------------------------------

    def create_namespace(self, name: str) -> Object:
        """A new namespace."""
        with self._lock:
            if not namespace_name(name):
                raise bad_request(f"{name} is no name for a namespace")
            if name in self._namespaces:
                raise already_exists("namespaces", name)
            metadata = {"name": name, "uid": str(uuid.uuid4()), **self._stamp(), "creationTimestamp": _now()}
            made = {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata, "status": {"phase": "Active"}}
            self._namespaces[name] = made
            return made

    def namespace(self, name: str) -> Object:
        """A namespace."""
        with self._lock:
            if name not in self._namespaces:
                if self.any_namespace:
                    return self.create_namespace(name)
                raise not_found("namespaces", name)
            return self._namespaces[name]

    def namespaces(self) -> Listed:
        """All of them."""
        with self._lock:
            found = [self._namespaces[name] for name in sorted(self._namespaces)]
            return Listed(found, {"resourceVersion": str(self._revision)})

    def terminate(self, name: str) -> None:
        """Begin to delete a namespace: nothing new is taken there."""
        namespace = self.namespace(name)
        namespace["status"]["phase"] = "Terminating"
        namespace["metadata"]["deletionTimestamp"] = _now()

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace with everything in it."""
        with self._lock:
            self.namespace(name)
            del self._namespaces[name]
            self._secrets = {place: secret for place, secret in self._secrets.items() if place[0] != name}

    def set_quota(self, namespace: str, name: str, secrets: int) -> None:
        """Give a namespace a ResourceQuota for so many Secrets."""
        self._quotas[namespace] = (name, secrets)

    # -- Looking --------------------------------------------------------------------------------------------------

    def get(self, namespace: str, name: str) -> Object:
        """One Secret."""
        with self._lock:
            if (namespace, name) not in self._secrets:
                raise not_found("secrets", name)
            return copy.deepcopy(self._secrets[namespace, name])

    def list(
        self, namespace: str | None, *, labels: str = "", fields: str = "", limit: int = 0, go_on: str = ""
    ) -> Listed:
        """One page of the Secrets of a namespace or of all; ``go_on`` is the token that the page before gave."""
        takes, takes_too = by_labels(labels), by_fields(fields)
        with self._lock:
            revision, start = str(self._revision), ""
            if go_on:
                revision, start = _continued(go_on)
                if revision not in self._snapshots and revision != "-1":
                    raise expired(_token("-1", start))
                if revision == "-1":
                    revision = str(self._revision)
            everything = self._snapshots.get(revision)
            if everything is None:
                everything = [copy.deepcopy(self._secrets[place]) for place in sorted(self._secrets)]
            left = [
                secret
                for secret in everything
                if namespace in (None, secret["metadata"]["namespace"])
                and _key(secret) >= start
                and takes(secret)
                and takes_too(secret)
            ]
            about: dict[str, Any] = {"resourceVersion": revision}
            if limit and len(left) > limit:
                self._snapshots[revision] = everything
                while len(self._snapshots) > SNAPSHOTS:
                    self._snapshots.popitem(last=False)
                about["continue"] = _token(revision, _key(left[limit - 1]) + "\0")
                if not labels and not fields:
                    about["remainingItemCount"] = len(left) - limit
                left = left[:limit]
            return Listed(copy.deepcopy(left), about)

    def compact(self) -> None:
        """Forget where every listing was, as a real API server does after some minutes."""
        with self._lock:
            self._snapshots.clear()

    # -- Writing --------------------------------------------------------------------------------------------------

    def create(self, namespace: str, given: Mapping[str, Any], *, manager: str = "", strict: bool = False) -> Object:
        """A new Secret."""
        with self._lock:
            secret = tidy(given, strict=strict)
            metadata = secret["metadata"]
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
            name = metadata.get("name", "")
            self._own(secret, namespace, name)
            if self.any_namespace and namespace not in self._namespaces:
                self.create_namespace(namespace)
            if namespace not in self._namespaces:
                raise not_found("namespaces", namespace)
            if self._namespaces[namespace]["status"]["phase"] == "Terminating":
                raise terminating(namespace, name)
            if metadata.get("resourceVersion"):
                raise unknown("resourceVersion should not be set on objects to be created")
            check(secret)
            self._admit("CREATE", secret)
            if (namespace, name) in self._secrets:
                raise already_exists("secrets", name)
            quota, limit = self._quotas.get(namespace, ("", 0))
            used = sum(place[0] == namespace for place in self._secrets)
            if quota and used >= limit:
                raise quota_exceeded(name, quota, used, limit)
            metadata["namespace"] = namespace
            metadata.update(uid=str(uuid.uuid4()), creationTimestamp=_now(), **self._stamp())
            metadata["managedFields"] = _managed(secret, manager)
            self._secrets[namespace, name] = secret
            return copy.deepcopy(secret)

    def update(
        self, namespace: str, name: str, given: Mapping[str, Any], *, manager: str = "", strict: bool = False
    ) -> Object:
        """A PUT."""
        with self._lock:
            secret = tidy(given, strict=strict)
            self._own(secret, namespace, name)
            return self._store(namespace, name, secret, manager)

    def patch(self, namespace: str, name: str, patch: Any, kind: str, *, manager: str = "") -> Object:
        """A PATCH of the media type ``kind``."""
        with self._lock:
            old = self.get(namespace, name)
            secret = tidy(patched(old, patch, kind), strict=False)
            self._own(secret, namespace, name)
            return self._store(namespace, name, secret, manager)

    def _store(self, namespace: str, name: str, secret: Object, manager: str) -> Object:
        old = self.get(namespace, name)
        metadata, before = secret["metadata"], old["metadata"]
        if metadata.get("uid", before["uid"]) != before["uid"]:
            uids = f"UID in precondition: {metadata['uid']}, UID in object meta: {before['uid']}"
            raise conflict(name, f"Precondition failed: {uids}")
        if metadata.get("resourceVersion", before["resourceVersion"]) != before["resourceVersion"]:
            raise conflict(name)
        for field in ("namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"):
            if field in before:
                metadata[field] = before[field]
        metadata["managedFields"] = before["managedFields"]
        check_update(old, secret)
        self._admit("UPDATE", secret)
        if secret != old:  # a write that changes nothing is none
            metadata.update(self._stamp())
            metadata["managedFields"] = _managed(secret, manager)
            self._secrets[namespace, name] = secret
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            del self._secrets[namespace, name]
        return copy.deepcopy(secret)

    def delete(self, namespace: str, name: str, preconditions: Mapping[str, str]) -> Object:
        """Delete a Secret; gives it as it was, or as it is where finalizers keep it."""
        with self._lock:
            secret = self.get(namespace, name)
            metadata = secret["metadata"]
            for field, what, became in (
                ("uid", "UID", "deleted and then recreated"),
                ("resourceVersion", "ResourceVersion", "modified"),
            ):
                if preconditions.get(field, metadata[field]) != metadata[field]:
                    raise conflict(
                        name,
                        f"the {what} in the precondition ({preconditions[field]}) does not match the {what} in record "
                        f"({metadata[field]}). The object might have been {became}",
                        kind="Secret",
                    )
            self._admit("DELETE", secret)
            if metadata.get("finalizers"):
                metadata.update(deletionTimestamp=_now(), **self._stamp())
                self._secrets[namespace, name] = secret
            else:
                del self._secrets[namespace, name]
                self._revision += 1
            return copy.deepcopy(secret)

    def _admit(self, operation: str, secret: Object) -> None:
        for ask in self.admission:
            ask(operation, secret)

    def _own(self, secret: Object, namespace: str, name: str) -> None:
        metadata = secret["metadata"]
        if metadata.get("name", "") != name:
            raise bad_request(f"the name of the object ({metadata.get('name')}) does not match the URL ({name})")
        if metadata.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")

    def _stamp(self) -> dict[str, str]:
        self._revision += 1
        return {"resourceVersion": str(self._revision)}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _managed(secret: Object, manager: str) -> list[dict[str, Any]]:
    fields: dict[str, Any] = {"f:data": {".": {}, **{f"f:{name}": {} for name in secret.get("data", {})}}, "f:type": {}}
    return [
        {
            "manager": manager or "unknown",
            "operation": "Update",
            "apiVersion": "v1",
            "time": _now(),
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
    ]


def _key(secret: Object) -> str:
    return f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"


def _token(revision: str, start: str) -> str:
    told = json.dumps({"v": "meta.k8s.io/v1", "rv": int(revision), "start": start})
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _continued(token: str) -> tuple[str, str]:
    try:
        told = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return str(told["rv"]), str(told["start"])
    except (ValueError, KeyError, TypeError):
        raise bad_request("continue key is not valid") from None
