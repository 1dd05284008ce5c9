"""Refusals of Google become the errors that fit, say what to do, and show nothing of what they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.google.statuses import Refused, denied, disabled, error_info, slow_down

from secretsync_core.errors import (
    AccessDenied,
    MalformedAnswer,
    RateLimited,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.secret import SecretValue
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.google.discovery import Asked
    from support.google.server import Google

    from gcp.conftest import OpenStore


def refused(status: str, reason: str) -> Refused:
    """A refusal with a reason, whose text is something that nobody may see."""
    return Refused(status, "canary", error_info(reason))


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (denied("secretmanager.versions.access", "canary"), AccessDenied, "roles/secretmanager.secretAccessor"),
        (
            disabled("acme-test"),
            AccessDenied,
            "enable secretmanager.googleapis.com --project acme-test",
        ),
        (refused("PERMISSION_DENIED", "BILLING_DISABLED"), AccessDenied, "billing account"),
        (refused("PERMISSION_DENIED", "CONSUMER_INVALID"), AccessDenied, "is there a project acme-test"),
        (refused("PERMISSION_DENIED", "SECURITY_POLICY_VIOLATED"), AccessDenied, "perimeter"),
        (refused("PERMISSION_DENIED", "USER_PROJECT_DENIED"), AccessDenied, "serviceUsageConsumer"),
        (refused("PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), CredentialsRefused, "cloud-platform"),
        (Refused("PERMISSION_DENIED", "Permission denied on Cloud KMS key canary"), AccessDenied, "cryptoKeyEncrypter"),
        (refused("UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED"), CredentialsRefused, "access token"),
        (Refused("UNAVAILABLE", "canary"), StoreUnavailable, ""),
        (Refused("INTERNAL", "canary"), StoreUnavailable, ""),
        (Refused("ABORTED", "canary"), StoreUnavailable, "somebody changes it"),
        (Refused("INVALID_ARGUMENT", "canary"), StoreError, "INVALID_ARGUMENT"),
    ],
)
async def test_each_refusal_has_its_error(
    google: Google, open_gcp: OpenStore, answer: Refused, error: type[StoreError], told: str
) -> None:
    """By its status and its reason; the text of the answer is not copied."""
    google.secrets.put("db", b"v")
    store = await open_gcp()

    def before(asked: Asked) -> None:
        raise answer

    google.before = before
    with pytest.raises(error) as caught:
        await store.read("db")
    shown = f"{caught.value!r} {caught.value} {caught.value.hint}"
    assert told in shown
    assert "canary" not in shown
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "answer",
    [
        Refused("NOT_FOUND", "Project 'acme-test' not found or deleted. canary"),
        Refused("NOT_FOUND", "Requested project canary was not found."),
    ],
)
async def test_a_project_that_is_not_there_is_no_absent_secret(
    google: Google, open_gcp: OpenStore, answer: Refused
) -> None:
    """Nothing is gone because of it, and the error says what to look at."""
    store = await open_gcp()

    def before(asked: Asked) -> None:
        raise answer

    google.before = before
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: store.read("db"),
        lambda: anext(store.stat(["db"])),
        lambda: anext(store.list("", recursive=True, metadata=False)),
        lambda: store.write_if("db", SecretValue(b"v"), None),
        lambda: store.delete("db"),
    ]
    for ask in asked:
        with pytest.raises(StoreError, match="refuses to") as caught:
            await ask()
        assert not isinstance(caught.value, SecretNotFound)
        assert "project acme-test" in caught.value.hint
        assert "canary" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("key", ["project", "my-project-db"])
async def test_a_secret_may_be_called_project(open_gcp: OpenStore, key: str) -> None:
    """It is absent where Google says so."""
    store = await open_gcp()
    with pytest.raises(SecretNotFound):
        await store.read(key)
    assert [each async for each in store.stat([key])] == []


async def test_a_wrong_project_is_told_of(google: Google, open_gcp: OpenStore) -> None:
    """Google says no more of a project that we may not see than that a right is missing, or the project."""
    store = await open_gcp(project="acme-tset")
    for found in (store.list("", recursive=True, metadata=False), store.stat(["db"])):
        try:
            told = (await anext(found)).message
        except AccessDenied as error:
            told = error.hint
            assert "is there no project acme-tset" in told
    with pytest.raises(AccessDenied) as caught:
        await store.write_if("db", SecretValue(b"v"), None)
    assert "is there no project acme-tset" in caught.value.hint


async def test_a_token_that_no_header_holds_is_told_by_where_it_stands(open_gcp: OpenStore) -> None:
    """In one article."""
    with pytest.raises(StoreError, match=r"^the value in the document holds characters that no token can have"):
        await open_gcp(auth={"accessToken": {"value": "a b"}})


async def test_a_used_up_quota_says_when_to_come_back(google: Google, open_gcp: OpenStore) -> None:
    """The delay of a RetryInfo is waited for."""
    store = await open_gcp()

    def before(asked: Asked) -> None:
        raise slow_down(3.5)

    google.before = before
    with pytest.raises(RateLimited) as caught:
        await store.read("db")
    assert caught.value.retry_after == 3.5


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>", "names no error"),
        (b"[]", "names no error"),
        (b'{"error": "canary"}', "not the protocol of Secret Manager"),
        (b'{"error": {"status": "canary", "details": [7]}}', "not the protocol of Secret Manager"),
    ],
)
async def test_a_refusal_that_is_none_of_googles(
    google: Google, open_gcp: OpenStore, monkeypatch: pytest.MonkeyPatch, body: bytes, told: str
) -> None:
    """Something in between answers: nothing is concluded."""
    store = await open_gcp()
    real = google.answer

    def answer(*asked: object) -> tuple[int, object]:
        real(*asked)  # type: ignore[arg-type]
        return 404, body

    monkeypatch.setattr(google, "answer", answer)
    with pytest.raises(StoreUnavailable, match=told) as caught:
        await store.read("db")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "ask"),
    [
        *((status, "delete") for status in (201, 204, 300, 301, 303, 304, 307, 308, 399)),
        *((302, ask) for ask in ("delete", "write", "list", "mark", "read")),
    ],
)
async def test_only_200_is_success(
    google: Google, open_gcp: OpenStore, monkeypatch: pytest.MonkeyPatch, status: int, ask: str
) -> None:
    """A redirect is not followed, and says nothing of what was asked, whatever stands in it."""
    store = await open_gcp(mark="job.1")
    google.secrets.put("db", b"v")
    real = google.answer

    def answer(*asked: Any) -> tuple[int, Any]:
        told = real(*asked)[1] if asked[0] == "GET" else {}
        return status, told

    monkeypatch.setattr(google, "answer", answer)
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "delete": lambda: store.delete("db"),
        "write": lambda: store.write("db", SecretValue(b"v")),
        "list": lambda: anext(store.list("", recursive=True, metadata=False)),
        "mark": lambda: store.mark("db"),
        "read": lambda: store.read("db"),
    }
    with pytest.raises(MalformedAnswer, match=f"HTTP {status}"):
        await asked[ask]()


async def test_a_login_follows_no_redirect(
    google: Google, open_gcp: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a token taken from one."""
    token = {"access_token": google.logins.token_of("a"), "expires_in": 3600, "token_type": "Bearer"}
    monkeypatch.setattr(google, "answer", lambda *_: (307, token))
    key = json.dumps(google.logins.key_of("a@b.iam.gserviceaccount.com"))
    with pytest.raises(MalformedAnswer, match="HTTP 307"):
        await open_gcp(environ={"KEY": key}, auth={"serviceAccountKey": {"env": "KEY"}})
