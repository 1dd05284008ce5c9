"""The refusals of the fake API server, in the words of a real one."""

from __future__ import annotations

from typing import Any, NamedTuple


class Cause(NamedTuple):
    """One thing that is blamed: the reason, the field, and a message."""

    reason: str
    field: str
    message: str

    def json(self) -> dict[str, str]:
        """As it stands in a Status."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class Refused(Exception):
    """An answer other than success: a Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.json: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata or {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def not_found(kind: str, name: str) -> Refused:
    """404. ``kind`` is the resource: ``secrets`` or ``namespaces``."""
    return Refused(404, "NotFound", f'{kind} "{name}" not found', details={"name": name, "kind": kind})


def already_exists(kind: str, name: str) -> Refused:
    """409 of a create."""
    return Refused(409, "AlreadyExists", f'{kind} "{name}" already exists', details={"name": name, "kind": kind})


def conflict(name: str, why: str = "", *, kind: str = "secrets") -> Refused:
    """409 of an update, or with the kind ``Secret`` of a delete."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return Refused(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {kind} "{name}": {why}',
        details={"name": name, "kind": kind},
    )


def invalid(name: str, causes: list[Cause], *, kind: str = "Secret") -> Refused:
    """422."""
    told = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
    return Refused(
        422,
        "Invalid",
        f'{kind} "{name}" is invalid: {told}',
        details={"name": name, "kind": kind, "causes": [cause.json() for cause in causes]},
    )


def bad_request(message: str) -> Refused:
    """400."""
    return Refused(400, "BadRequest", message)


def unknown(message: str) -> Refused:
    """500 of what the server has no error for."""
    return Refused(500, "", message)


def unauthorized() -> Refused:
    """401."""
    return Refused(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, resource: str, namespace: str | None, name: str, group: str = "") -> Refused:
    """403 of what RBAC does not grant."""
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    what = f'{resource} "{name}"' if name else resource
    return Refused(
        403,
        "Forbidden",
        f'{what} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{group}" {where}',
        details={"kind": resource, **({"name": name} if name else {})},
    )


def terminating(namespace: str, name: str) -> Refused:
    """403 of a create in a namespace that is going away."""
    cause = Cause("NamespaceTerminating", "metadata.namespace", f"namespace {namespace} is being terminated")
    return Refused(
        403,
        "Forbidden",
        f'secrets "{name}" is forbidden: unable to create new content in namespace {namespace} '
        "because it is being terminated",
        details={"name": name, "kind": "secrets", "causes": [cause.json()]},
    )


def policy_denied(name: str, policy: str, binding: str, text: str, *, reason: str = "Invalid") -> Refused:
    """What a ValidatingAdmissionPolicy answers with; it may choose the reason."""
    code = {"Invalid": 422, "Forbidden": 403, "RequestEntityTooLarge": 413}[reason]
    told = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {text}"
    return Refused(
        code,
        reason,
        f'secrets "{name}" is forbidden: {told}',
        details={"name": name, "kind": "secrets", "causes": [{"message": told}]},
    )


def webhook_denied(webhook: str, text: str, *, code: int = 403) -> Refused:
    """What an admission webhook denies with; it may choose the code."""
    return Refused(code, "", f'admission webhook "{webhook}" denied the request: {text}')


def webhook_failed(webhook: str) -> Refused:
    """500 where an admission webhook cannot be called, and its failurePolicy is Fail."""
    why = f'failed calling webhook "{webhook}": failed to call webhook: Post "https://x.y.svc:443/": no endpoints'
    return Refused(500, "InternalError", f"Internal error occurred: {why}", details={"causes": [{"message": why}]})


def quota_exceeded(name: str, quota: str, used: int, limit: int) -> Refused:
    """403 of a ResourceQuota that counts Secrets."""
    return Refused(
        403,
        "Forbidden",
        f'secrets "{name}" is forbidden: exceeded quota: {quota}, requested: count/secrets=1,secrets=1, '
        f"used: count/secrets={used},secrets={used}, limited: count/secrets={limit},secrets={limit}",
        details={"name": name, "kind": "secrets"},
    )


def expired(token: str) -> Refused:
    """410 of a listing that goes on too late; ``token`` goes on without consistency."""
    return Refused(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        metadata={"continue": token},
    )


def not_acceptable() -> Refused:
    """406."""
    return Refused(406, "NotAcceptable", "only the following media types are accepted: application/json")


def unsupported(given: str) -> Refused:
    """415."""
    return Refused(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: application/json ({given})",
    )


def too_large() -> Refused:
    """413."""
    return Refused(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")


def no_method() -> Refused:
    """405."""
    return Refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def no_path() -> Refused:
    """404 of a path that there is not."""
    return Refused(404, "NotFound", "the server could not find the requested resource", details={})
