"""The errors of Key Vault, in its own form: ``{"error": {"code", "message", "innererror": {"code"}}}``.

Codes and texts are those of answers that were recorded for the tests of Azure's own SDKs (azure-sdk-for-js,
``sdk/keyvault/keyvault-secrets/recordings``) where it says so, and else of the page that is named.
"""

from __future__ import annotations

from typing import Any


class RefusedError(Exception):
    """A refusal: its status, what its body has under ``error``, and headers."""

    def __init__(self, status: int, code: str, message: str, inner: str = "", **headers: str) -> None:
        super().__init__(code)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        error: dict[str, Any] = {"code": code, "message": message}
        if inner:
            error["innererror"] = {"code": inner}
        self.body = {"error": error}


def not_found(name: str) -> RefusedError:
    """Recorded."""
    text = f"A secret with (name/id) {name} was not found in this key vault."
    return RefusedError(
        404, "SecretNotFound", f"{text} If you recently deleted this secret you may be able to recover it"
    )


def deleted(name: str) -> RefusedError:
    """https://learn.microsoft.com/azure/key-vault/general/key-vault-recovery, and recorded."""
    text = (
        f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, "
        "the secret can only be recovered or purged."
    )
    return RefusedError(409, "Conflict", text, "ObjectIsDeletedButRecoverable")


def being_deleted(name: str) -> RefusedError:
    """The sample of the SDK for .NET, Sample4_SecretsErrors; the text is shaped like the next one."""
    text = f"Secret {name} is currently being deleted and cannot be re-created; retry later."
    return RefusedError(409, "Conflict", text, "ObjectIsBeingDeleted")


def being_recovered(name: str) -> RefusedError:
    """https://github.com/Azure/azure-sdk-for-net/issues/31581."""
    text = f"Secret {name} is currently being recovered and cannot be re-created; retry later."
    return RefusedError(409, "Conflict", text, "ObjectIsBeingRecovered")


def disabled() -> RefusedError:
    """Recorded."""
    return RefusedError(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")


def by_role() -> RefusedError:
    """https://learn.microsoft.com/azure/key-vault/general/rest-error-codes."""
    text = "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
    return RefusedError(
        403,
        "Forbidden",
        f"{text}definitions were changed recently, please observe propagation time.",
        "ForbiddenByRbac",
    )


def by_policy(right: str) -> RefusedError:
    """The same page."""
    text = f"The user, group or application 'appid=a' does not have secrets {right} permission on key vault 'unit'."
    return RefusedError(403, "Forbidden", text, "AccessDenied")


def by_firewall() -> RefusedError:
    """The same page."""
    text = "Client address is not authorized and caller is not a trusted service.\r\nClient address: 192.0.2.1"
    return RefusedError(403, "Forbidden", text, "ForbiddenByFirewall")


def throttled(seconds: int | None = 7) -> RefusedError:
    """https://learn.microsoft.com/azure/key-vault/general/overview-throttling has the status; the header is HTTP's."""
    headers = {} if seconds is None else {"Retry_After": str(seconds)}
    return RefusedError(
        429, "Throttled", "Request was not processed because too many requests were received.", **headers
    )


def failing() -> RefusedError:
    """The page of the error codes has the status."""
    return RefusedError(500, "InternalServerError", "An unexpected error occurred.")


def bad(why: str) -> RefusedError:
    """The page of the error codes: BadParameter, with the reason in words."""
    return RefusedError(400, "BadParameter", why)
