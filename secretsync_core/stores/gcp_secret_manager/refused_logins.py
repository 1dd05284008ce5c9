"""Tells what a login that failed means: by words of known sets, and by a few phrases that are looked for.

What google.auth says of a login holds the answer as it came, and paths and addresses. None of it is shown.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import RateLimited
from secretsync_core.stores.http import CredentialsRefused, unreachable

if TYPE_CHECKING:
    from collections.abc import Collection

    from secretsync_core.errors import StoreError

_CODES = frozenset(
    {  # https://www.rfc-editor.org/rfc/rfc6749#section-5.2 and https://www.rfc-editor.org/rfc/rfc8693#section-2.2.2
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)

# https://cloud.google.com/iam/docs/troubleshooting-workload-identity-federation
_FEDERATED = {
    "access_denied": "the provider's attribute condition does not let this identity in",
    "invalid_client": "client_id and client_secret in the file are not those of the pool",
    "invalid_grant": "Google does not take the provider's token: compare its issuer, audience and subject with those of"
    " the provider at Google, and whether it has expired",
    "invalid_request": "check audience and subject_token_type in the file, and whether the token is of that kind",
    "invalid_scope": "check the identity's rights in the pool",
    "invalid_target": "there is no such pool or provider, or it is disabled: check audience in the file",
    "unauthorized_client": "the provider's attribute condition does not let this identity in",
    "unsupported_grant_type": "check authEndpointUrl, and token_url in the file",
}

_PHRASES = (
    ("invalid jwt signature", "the service account's key was deleted, or is of another account"),
    ("account not found", "there is no such service account"),
    ("reasonable timeframe", "the clock of this machine is wrong"),
    ("reauth", "log in again: gcloud auth application-default login"),
    ("token has been expired or revoked", "log in again: gcloud auth application-default login"),
)

_NO_TOKEN = (
    ("file '", "the file in credential_source is not there: what writes the provider's token, and where?"),
    ("unable to parse subject_token", "what credential_source names has no token under the name that its format gives"),
    ("missing subject_token", "what credential_source names is empty"),
    ("unable to retrieve identity pool", "the address in credential_source refuses to give a token"),
    ("executables need to be", "set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 where the sync runs"),
    ("executable", "the program in credential_source gives no token: run it by hand"),
    ("unable to determine aws region", "set AWS_REGION where the sync runs"),
    ("unable to retrieve aws", "the machine at AWS gives no credentials: does it have a role?"),
    ("unable to determine the aws", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it on a machine at AWS"),
)
"""How google.auth begins to tell that it has no token of the provider's, before it asks Google for anything."""

_ACT_AS = (
    "grant our identity roles/iam.serviceAccountTokenCreator on the service account that is to be impersonated, and"
    " enable iamcredentials.googleapis.com in its project"
)
_ACTING = ("impersonated credentials", "generateaccesstoken", "getaccesstoken", "iamcredentials")


def login_refused(store: str, login: str, error: Exception, statuses: Collection[str]) -> StoreError:
    """The error for a login that failed. ``login`` is by what; ``statuses`` are the words of google.rpc for errors."""
    by = f" by {login}" if login else ""
    if hasattr(error, "retry_after"):
        asked: float | None = error.retry_after
        return RateLimited(f"{store}: Google asks us to wait with the login", store=store, retry_after=asked)
    if getattr(error, "retryable", False):
        return unreachable(store, "the login at Google fails")
    if isinstance(error, OSError):
        return CredentialsRefused(
            f"{store}: a file that is needed to log in{by} cannot be read",
            store=store,
            hint="check credential_source.file in the credentials, and who may read that file",
        )
    first = str(error.args[0]).lower() if error.args else ""
    if hint := next((hint for phrase, hint in _NO_TOKEN if first.startswith(phrase)), ""):
        return CredentialsRefused(f"{store}: there is no token to log in with{by}", store=store, hint=hint)
    text = str(error.args).lower()
    if any(phrase in text for phrase in _ACTING):
        status = _status_in(error, statuses)
        hint = "there is no such service account: check its address" if status == "NOT_FOUND" else _ACT_AS
        said = f" ({status})" if status else ""
        return CredentialsRefused(
            f"{store}: Google refuses to let us act as the service account{said}", store=store, hint=hint
        )
    code = _code_in(first)
    hint = next((hint for phrase, hint in _PHRASES if phrase in text), "")
    if not hint and type(error).__name__ == "OAuthError":
        hint = _FEDERATED.get(code, "check the audience in the file, and the provider and its conditions at Google")
    return CredentialsRefused(
        f"{store}: Google refuses to log us in{by} ({code or type(error).__name__})",
        store=store,
        hint=hint or "check that the credentials are still valid, and belong to the right identity",
    )


def _code_in(text: str) -> str:
    """The word for an error of OAuth that a text begins with; empty where it is none that is known."""
    found = re.match(r"(?:error code )?([a-z_]{1,30})\b", text)
    return found[1] if found and found[1] in _CODES else ""


def _status_in(error: Exception, statuses: Collection[str]) -> str:
    """The word of google.rpc in the answer that an error holds; empty where it is none that is known."""
    for each in error.args:
        try:
            body: Any = json.loads(each) if isinstance(each, str) else None
        except (ValueError, RecursionError):
            continue
        told = body.get("error") if isinstance(body, dict) else None
        status = told.get("status") if isinstance(told, dict) else None
        if isinstance(status, str) and status in statuses:
            return status
    return ""
