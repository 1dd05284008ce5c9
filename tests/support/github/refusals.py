"""How GitHub refuses, in the shapes of its errors (``basic-error`` and ``validation-error`` of the description).

Texts are those of https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api, unless noted.
"""

from __future__ import annotations

from typing import Any

DOCS = "https://docs.github.com/rest"


class RefusedError(Exception):
    """A request that is refused, with what the answer is."""

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None, errors: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {"message": message, "documentation_url": DOCS}
        if errors is not None:
            self.body["errors"] = errors
        else:
            self.body["status"] = str(status)


def bad_credentials() -> RefusedError:
    """A token that nobody has, or none any more ("Bad credentials")."""
    return RefusedError(401, "Bad credentials")


def not_found() -> RefusedError:
    """What is not there, and what one may not know of ("404 Not Found for an existing resource")."""
    return RefusedError(404, "Not Found")


def not_accessible(by: str, permissions: str) -> RefusedError:
    """A permission is missing ("Resource not accessible"); the header names the permissions that would do."""
    headers = {"X-Accepted-GitHub-Permissions": permissions}
    return RefusedError(403, f"Resource not accessible by {by}", headers=headers)


def needs_sso(organisation: str) -> RefusedError:
    """A token without authorisation for SAML single sign-on, by
    https://docs.github.com/rest/authentication/authenticating-to-the-rest-api ("... for SAML SSO")."""
    url = f"https://github.com/orgs/{organisation}/sso?authorization_request=AZSCKtL4U8yX1H3sCQIVnVgmjmon5fWxks5YrqhJ"
    message = "Resource protected by organization SAML enforcement. You must grant your Personal Access token access."
    return RefusedError(403, message, headers={"X-GitHub-SSO": f"required; url={url}"})


def invalid(message: str) -> RefusedError:
    """What cannot be ("Validation Failed")."""
    return RefusedError(422, "Validation Failed", errors=[{"code": "custom", "message": message}])


def exists() -> RefusedError:
    """A variable that is there already: 409, as GitHub's own ``gh variable set`` expects it (pkg/cmd/variable/set)."""
    return RefusedError(409, "Already exists - Variable already exists")


def moved(url: str) -> RefusedError:
    """A repository under another name (``moved_permanently`` of the description, and
    https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api, "Follow redirects")."""
    error = RefusedError(301, "Moved Permanently", headers={"Location": url})
    error.body["url"] = url
    return error


def secondary_limit(retry_after: int | None) -> RefusedError:
    """Too much at once, by https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api."""
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return RefusedError(403, message, headers={} if retry_after is None else {"Retry-After": str(retry_after)})


def primary_limit(reset: int) -> RefusedError:
    """Too much in this hour, by the same page: 403 or 429, nothing remaining, and when there is more."""
    headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    return RefusedError(403, "API rate limit exceeded for user ID 1.", headers=headers)
