"""How GitLab refuses. Each names the place in GitLab's source or documentation that says so."""

from __future__ import annotations

import json


class RefusedError(Exception):
    """A request that is refused, with what the answer is."""

    def __init__(self, status: int, body: object, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {"Content-Type": "application/json", **(headers or {})}


def unauthorized() -> RefusedError:
    """A token that nobody has (lib/api/helpers.rb, unauthorized!)."""
    return RefusedError(401, {"message": "401 Unauthorized"})


def expired() -> RefusedError:
    """A token that was good once (lib/api/api_guard.rb, TokenExpired)."""
    told = "Token is expired. You can either do re-authorization or token refresh."
    return RefusedError(401, {"error": "invalid_token", "error_description": told})


def insufficient_scope() -> RefusedError:
    """A token without the scope (lib/api/api_guard.rb, InsufficientScope)."""
    told = "The request requires higher privileges than provided by the access token."
    return RefusedError(403, {"error": "insufficient_scope", "error_description": told, "scope": "api"})


def forbidden() -> RefusedError:
    """Somebody who may not (lib/api/helpers.rb, forbidden!)."""
    return RefusedError(403, {"message": "403 Forbidden"})


def not_found(what: str) -> RefusedError:
    """What is not there, and what one may not know of (lib/api/helpers.rb, not_found!)."""
    return RefusedError(404, {"message": f"404 {what} Not Found"})


def ambiguous() -> RefusedError:
    """Several variables of one name (lib/api/helpers/variables_helpers.rb, and conflict! of lib/api/helpers.rb)."""
    told = "409 There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"
    return RefusedError(409, {"message": told})


def invalid(**faults: str) -> RefusedError:
    """What fails a validation (lib/api/helpers.rb, render_validation_error!)."""
    return RefusedError(400, {"message": {name: [fault] for name, fault in faults.items()}})


def malformed(told: str) -> RefusedError:
    """A parameter that is missing or of another type (Grape, lib/api/api.rb)."""
    return RefusedError(400, {"error": told})


def throttled(*, retry_after: int | None = None, reset: int | None = None) -> RefusedError:
    """Too much at once: doc/administration/settings/user_and_ip_rate_limits.md, with its plain text."""
    headers = {"Content-Type": "text/plain", "RateLimit-Limit": "60", "RateLimit-Remaining": "0"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if reset is not None:
        headers["RateLimit-Reset"] = str(reset)
    return RefusedError(429, b"Retry later\n", headers=headers)


def moved(url: str) -> RefusedError:
    """A project that has another path now: doc/api/rest, "Redirects"."""
    told = f"This resource has been moved permanently to {url}".encode()
    return RefusedError(301, told, headers={"Location": url, "Content-Type": "text/plain"})
