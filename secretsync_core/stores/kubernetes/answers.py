"""Tells from an answer of the API server which of our errors it is.

Of a body only the reason, the kind and the fields that it blames are looked at, and compared with what they may be.
None of it is ever copied: a server, a proxy or an admission webhook may echo what it was sent. Of its text only the
names of policies, webhooks and quotas are taken: see ``denials``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    QuotaReached,
    RateLimited,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.http import failing, refuses, retry_after, undecided
from secretsync_core.stores.kubernetes.denials import NOT_SAID, By, Denial, denial_in
from secretsync_core.stores.kubernetes.types import NEEDED
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import Mapping


# The forms of an answer that we ask for.
JSON = "application/json"
# The second choice is for a server, or a proxy, that knows no such form: it answers with whole objects.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


ACCEPTED = 202
"""The status of a promise: what was asked is to be done."""


class Request(NamedTuple):
    """What is asked of whom. ``verb`` and ``resource`` are what a Role grants; ``action`` continues "refuses to"."""

    store: str
    method: str
    path: str  # encoded, with its query
    verb: str
    action: str
    namespace: str | None  # None: of all namespaces
    key: str | None = None
    resource: str = "secrets"

    @property
    def protocol(self) -> str:
        """What the answer is to be."""
        return "the Kubernetes API"


class Answer(NamedTuple):
    """One answer that is no success, whole.

    ``unanswered``: it refuses, and an earlier attempt of the same request may have been carried out.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    unanswered: bool = False


class Cause(NamedTuple):
    """One thing that the server blames."""

    reason: str
    field: str


class Status(NamedTuple):
    """What a refusal says in the API's own words; empty where the body is not the API server's."""

    reason: str = ""
    kind: str = ""  # the resource that it is about, such as ``secrets``
    causes: tuple[Cause, ...] = ()
    denial: Denial = NOT_SAID


class Received(NamedTuple):
    """A success, to be taken apart."""

    request: Request
    body: bytes
    status: int = 200

    def object(self, *kinds: str) -> Part:
        """The object that was given, of one of these kinds. Raises MalformedAnswer for anything else."""
        found = Part.of_body(self.request, self.body)
        if found.text("kind") not in kinds:
            raise malformed(self.request, f"kind is not {' or '.join(kinds)}")
        return found


def status_of(answer: Answer) -> Status:
    """The Status of a refusal."""
    try:
        found = orjson.loads(answer.body)
    except ValueError:
        return Status()
    if not isinstance(found, dict) or found.get("kind") != "Status":
        return Status()
    details = found.get("details")
    details = details if isinstance(details, dict) else {}
    causes = details.get("causes")
    named = [each for each in (causes if isinstance(causes, list) else []) if isinstance(each, dict)]
    return Status(
        _text(found.get("reason")),
        _text(details.get("kind")),
        tuple(Cause(_text(each.get("reason")), _text(each.get("field"))) for each in named),
        denial_in(_text(found.get("message"))),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def refusal(request: Request, answer: Answer) -> StoreError:
    """The error that an answer other than success stands for."""
    return Doubt(unanswered=answer.unanswered).on(_refusal(request, answer))


def _refusal(request: Request, answer: Answer) -> StoreError:
    store, status, key, action = request.store, answer.status, request.key, request.action
    if not refuses(status):
        return undecided(request, status)
    if status == 429:
        wait = retry_after(answer.headers.get("Retry-After"))
        return RateLimited(f"{store} asks us to slow down", store=store, key=key, retry_after=wait)
    if 300 <= status < 400:
        # Not followed: it would hand our token to whichever address the answer names.
        return StoreUnavailable(
            f"{store} answers with a redirect (HTTP {status})", store=store, key=key, hint="give its own address"
        )
    said = status_of(answer)
    if (denied := _admission(request, said.denial)) is not None:
        return denied
    if status >= 500:
        return failing(store, action, status, key, its_own=bool(said.reason))
    if status in (401, 403):
        return _denied(request, status, said)
    if status == 404:
        return _not_there(request, said)
    if status == 409:
        exists = said.reason == "AlreadyExists"
        return Conflict(f"{key} in {store} {'exists already' if exists else 'changed meanwhile'}", store=store, key=key)
    if status == 413:
        return InvalidSecret(f"{store} refuses {key}: too large", store=store, key=key)
    if status == 422 and key is not None:
        return _unfit(request, said)
    return StoreError(f"{store} refuses to {action} (HTTP {status})", store=store, key=key)


def is_admission(answer: Answer) -> bool:
    """Whether a policy, webhook or quota refuses, which may do so with any status."""
    return status_of(answer).denial.by in (By.POLICY, By.BROKEN, By.QUOTA)


def _admission(request: Request, denial: Denial) -> StoreError | None:
    """The error where something in the cluster refuses what we may write by our rights."""
    store, action, key = request.store, request.action, request.key
    if denial.by is By.POLICY:
        return AccessDenied(
            f"{store} refuses to {action}: {denial.who} denies it",
            store=store,
            key=key,
            hint="its text may hold values and is not shown: `kubectl apply` of such a Secret shows it, and whoever "
            "runs the policy knows it",
        )
    if denial.by is By.BROKEN:
        return StoreUnavailable(
            f"{store} fails to {action}: {denial.who} does not answer",
            store=store,
            key=key,
            hint="start the service of that webhook, or ask whoever runs the cluster",
        )
    if denial.by is By.QUOTA:
        return QuotaReached(
            f"{store} refuses to {action}: {denial.who} in the namespace {request.namespace}",
            store=store,
            key=key,
            hint="raise that ResourceQuota, or remove Secrets that nobody needs",
        )
    return None


def _denied(request: Request, status: int, said: Status) -> StoreError:
    store, namespace = request.store, request.namespace
    if any(cause.reason == "NamespaceTerminating" for cause in said.causes):
        return namespace_ending(store, namespace or "", request.key)
    if not said.reason:
        return AccessDenied(
            f"{store} refuses to {request.action} (HTTP {status}), and not in the API server's words",
            store=store,
            key=request.key,
            hint="a proxy may stand before it",
        )
    if said.denial.by is By.OTHER:
        return AccessDenied(
            f"{store} refuses to {request.action}: forbidden, and not for a lack of rights",
            store=store,
            key=request.key,
            hint="an admission plugin of the API server refuses it; the audit log of the cluster says which",
        )
    grant = f"the verb {request.verb} on {request.resource}"
    role = f"in the namespace {namespace} by a Role" if namespace else "in all namespaces by a ClusterRole"
    hint = f"grant us {grant} {role}"
    if request.verb in ("create", "update", "delete") and said.denial.by is not By.RBAC:
        hint += "; if that is granted, an admission policy refuses this one"
    elif namespace is None:
        hint += ", or name one namespace in the SecretStore"
    return AccessDenied(f"{store} refuses to {request.action}: forbidden", store=store, key=request.key, hint=hint)


def _not_there(request: Request, said: Status) -> StoreError:
    """What a 404 stands for that is not just an absent Secret, which whoever asks knows how to take."""
    if said.kind == "namespaces":
        return no_namespace(request.store, request.namespace or "", request.key)
    return malformed(request, "its 404 is not the API server's own")


def no_namespace(store: str, namespace: str, key: str | None = None) -> StoreError:
    """The error for a namespace that is not there."""
    return StoreError(
        f"{store} has no namespace {namespace}",
        store=store,
        key=key,
        hint="create it, or correct the namespace in the SecretStore" if key is None else "create it, or map the key",
    )


def namespace_ending(store: str, namespace: str, key: str | None = None, *, empty: bool = False) -> StoreError:
    """The error for a namespace that is on its way out; ``empty``: nothing was found there."""
    what = "shows nothing" if empty else "takes nothing new"
    return StoreError(
        f"{store} {what} in the namespace {namespace}: it is being deleted",
        store=store,
        key=key,
        hint="wait until it is gone and create it again, or "
        + ("name another one in the SecretStore" if key is None else "map the key to another one"),
    )


def _unfit(request: Request, said: Status) -> InvalidSecret:
    """What a 422 says, by the fields that the server blames."""
    store, key = request.store, request.key
    blamed = {cause.field: cause.reason for cause in said.causes}
    required = [field for field, reason in blamed.items() if reason == "FieldValueRequired"]
    missing = sorted(name for name in NEEDED if any(field.endswith(f"[{name}]") for field in required))
    if blamed.get("data") == "FieldValueTooLong":
        why, hint = "it is too large", "leave fields out by a valueTransform, or split it"
    elif "FieldValueForbidden" in (blamed.get("data"), blamed.get("immutable")):
        return immutable(store, key)
    elif "type" in blamed:
        why, hint = "the type of a Secret cannot change", "delete it there, and the next sync creates it again"
    elif missing:
        why = f"a Secret of its type needs the fields {', '.join(missing)}"
        hint = "make them by a valueTransform, or set another type in the SecretStore"
    elif "metadata.name" in blamed:
        why, hint = "it cannot be the name of a Secret", "change the key by a keyTransform"
    elif any(field.endswith("[kubernetes.io/service-account.name]") for field in required):
        why = "a Secret of its type needs the annotation kubernetes.io/service-account.name"
        hint = "set it by annotations in the SecretStore; a ServiceAccount of that name must exist"
    elif any(field.startswith("metadata.") for field in blamed):
        why, hint = "its labels or annotations are not allowed", "correct labels and annotations in the SecretStore"
    elif named := sorted(name for name in NEEDED if f"data[{name}]" in blamed):
        why, hint = f"what is in {', '.join(named)} does not fit", "a Secret of its type must hold a JSON object there"
    elif any(field.startswith("data[") for field in blamed):
        why, hint = "a field does not fit", "its name, or what a Secret of its type must hold there"
    else:
        why, hint = "the API server finds it invalid", ""
        if blamed and not any(blamed):
            hint = "it names no field, so it is an admission policy: the audit log of the cluster says which"
    return InvalidSecret(f"{store} refuses {key}: {why}", store=store, key=key, hint=hint)


def immutable(store: str, key: str | None) -> InvalidSecret:
    """The error for a Secret that nobody can change."""
    return InvalidSecret(
        f"{store} refuses {key}: that Secret is immutable",
        store=store,
        key=key,
        hint="delete it there, and the next sync creates it again",
    )
