"""The refusals of Google's services: google.rpc.Status in the JSON that its REST servers make of it."""

from __future__ import annotations

from typing import Any

# https://cloud.google.com/apis/design/errors#error_model and #handling_errors have the codes and the form.
HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
_TYPES = "type.googleapis.com/google.rpc"


class Refused(Exception):
    """A request is refused."""

    def __init__(self, status: str, message: str, *details: dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.message = message
        self.details = list(details)

    @property
    def http(self) -> int:
        """The HTTP status."""
        return HTTP[self.status]

    @property
    def body(self) -> dict[str, Any]:
        """The answer."""
        error: dict[str, Any] = {"code": self.http, "message": self.message, "status": self.status}
        return {"error": error | ({"details": self.details} if self.details else {})}


def error_info(reason: str, domain: str = "googleapis.com", **metadata: str) -> dict[str, Any]:
    """google.rpc.ErrorInfo. https://cloud.google.com/apis/design/errors#error_info"""
    return {"@type": f"{_TYPES}.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata}


def denied(permission: str, resource: str) -> Refused:
    """What IAM says. https://cloud.google.com/iam/docs/permission-error-messages"""
    return Refused(
        "PERMISSION_DENIED",
        f"Permission '{permission}' denied for resource '{resource}' (or it may not exist).",
        error_info("IAM_PERMISSION_DENIED", "iam.googleapis.com", permission=permission, resource=resource),
    )


def disabled(project: str) -> Refused:
    """What a project says where the API is not enabled. https://cloud.google.com/apis/docs/troubleshooting"""
    return Refused(
        "PERMISSION_DENIED",
        f"Secret Manager API has not been used in project {project} before or it is disabled.",
        error_info("SERVICE_DISABLED", service="secretmanager.googleapis.com", consumer=f"projects/{project}"),
    )


def slow_down(seconds: float) -> Refused:
    """What a used-up quota says. https://cloud.google.com/secret-manager/quotas"""
    return Refused(
        "RESOURCE_EXHAUSTED",
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute'.",
        error_info("RATE_LIMIT_EXCEEDED", service="secretmanager.googleapis.com"),
        {"@type": f"{_TYPES}.RetryInfo", "retryDelay": f"{seconds}s"},
    )


def unauthenticated(reason: str) -> Refused:
    """What a missing, wrong or expired token gets. https://cloud.google.com/apis/design/errors#error_info"""
    return Refused(
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        error_info(reason, service="secretmanager.googleapis.com"),
    )
