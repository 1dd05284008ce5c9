"""Which of our errors each refusal of AWS is, and that nothing of an answer is copied into one."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from support.faulty_http import FaultyHttp
from support.slow import one_in

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    MalformedAnswer,
    QuotaReached,
    RateLimited,
    SecretFails,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.secret import SecretValue
from secretsync_core.stores.aws.answers import Refusal, Request, refusal, refusal_of
from secretsync_core.stores.http import CredentialsRefused, Unhealable
from secretsync_core.testing.canaries import canary, find_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.aws import Region

    from aws.conftest import OpenStore

REQUEST = Request("aws", "read a", "a", "secretsmanager:GetSecretValue")


@pytest.mark.parametrize(
    ("code", "status", "error", "retried"),
    [
        ("ThrottlingException", 400, RateLimited, True),
        ("TooManyRequestsException", 429, RateLimited, True),
        ("TooManyUpdates", 400, RateLimited, True),
        ("Anything", 429, RateLimited, True),
        ("ExpiredTokenException", 400, CredentialsRefused, False),
        ("UnrecognizedClientException", 400, CredentialsRefused, False),
        ("InvalidSignatureException", 400, CredentialsRefused, False),
        ("AccessDeniedException", 400, AccessDenied, False),
        ("Anything", 403, AccessDenied, False),
        ("DecryptionFailure", 400, AccessDenied, False),
        ("ResourceNotFoundException", 400, SecretNotFound, False),
        ("ParameterNotFound", 400, SecretNotFound, False),
        ("ParameterVersionNotFound", 400, SecretNotFound, False),
        ("ResourceExistsException", 400, Conflict, False),
        ("ParameterAlreadyExists", 400, Conflict, False),
        ("ValidationException", 400, InvalidSecret, False),
        ("HierarchyTypeMismatchException", 400, InvalidSecret, False),
        ("LimitExceededException", 400, QuotaReached, False),
        ("ParameterLimitExceeded", 400, QuotaReached, False),
        ("InternalServiceError", 500, SecretFails, True),
        ("Anything", 503, StoreUnavailable, True),
        ("Anything", 400, StoreError, False),
        ("404", 404, MalformedAnswer, True),
    ],
)
def test_each_code_has_its_error(code: str, status: int, error: type[StoreError], retried: bool) -> None:
    """An unknown code goes by the HTTP status, and a plain 404 is no answer of AWS."""
    found = refusal(REQUEST, Refusal(code, status))
    assert type(found) is error or (error in (AccessDenied, InvalidSecret) and isinstance(found, error))
    assert found.retryable is retried
    assert found.store == "aws"


def test_without_a_secret_nothing_is_absent() -> None:
    """A listing that is refused is never an absent secret, nor an invalid one."""
    request = Request("aws", "list secrets", None, "secretsmanager:ListSecrets")
    for code in ("ResourceNotFoundException", "ValidationException", "InvalidNextTokenException"):
        found = refusal(request, Refusal(code))
        assert type(found) is StoreError
        assert code in found.message


def test_nothing_of_an_answer_is_copied() -> None:
    """Code and text may be anything where a proxy answers, and neither gets out; a wait is a number or nothing."""
    answer = {
        "Error": {"Code": "CANARY", "Message": "CANARY"},
        "ResponseMetadata": {"HTTPStatusCode": 400, "HTTPHeaders": {"retry-after": "CANARY"}},
    }
    found = refusal(REQUEST, refusal_of(answer))
    assert "CANARY" not in f"{found!r} {vars(found)}"
    told = {"ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "7"}}}
    waiting = refusal(REQUEST, refusal_of(told))
    assert isinstance(waiting, RateLimited)
    assert waiting.retry_after == 7.0


@pytest.fixture
async def proxy(region: Region) -> AsyncIterator[FaultyHttp]:
    """A proxy that answers in the service's place."""
    async with FaultyHttp(region.address) as proxy:
        yield proxy


@pytest.mark.parametrize("status", one_in(3, [200, 302, 400, 403, 404, 500, 503]))
@pytest.mark.parametrize("kind", one_in(3, ["html", "json", "echo"]))
async def test_a_proxy_in_the_place_of_the_service(
    secrets_manager: OpenStore, proxy: FaultyHttp, status: int, kind: str
) -> None:
    """Whatever a proxy answers is an error that shows nothing of it, and never an absence or a success."""
    secret = canary()
    store = await secrets_manager(endpointUrl=proxy.address)
    shown = secret.text.encode()
    body = {
        "html": b"<html>" + shown + b"</html>",
        "json": b'{"__type": "x#' + secret.core.encode() + b'", "message": "' + secret.core.encode() + b'"}',
        "echo": b"",
    }[kind]
    proxy.answer("POST", status, body, echo=kind == "echo")
    value = SecretValue(secret.data)
    calls: list[Any] = [
        lambda: store.read("a"),
        lambda: store.read("a", "AWSCURRENT"),
        lambda: store.write("a", value),
        lambda: store.write_if("a", value, None),
        lambda: store.write_if("a", value, "0" * 36),
    ]
    if status != 200:
        calls.append(lambda: store.delete("a"))
    for call in calls:
        with pytest.raises(StoreError) as caught:
            await call()
        assert not isinstance(caught.value, SecretNotFound)
        assert find_in(f"{caught.value!r} {vars(caught.value)} {caught.value.__context__!r}", [secret]) == []
    for found in (store.stat(["a"]), store.list("", recursive=True, metadata=True)):
        try:
            seen = [each async for each in found]
        except StoreError as error:
            assert find_in(f"{error!r} {vars(error)}", [secret]) == []  # noqa: PT017
        else:
            assert seen, "the answer is taken for absence"


async def test_a_server_that_nobody_trusts(secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of an unknown authority is told as that, and not tried again."""
    import asyncio

    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        store = await secrets_manager(endpointUrl=f"https://127.0.0.1:{port}")
        with pytest.raises(Unhealable, match=re.escape(f"the certificate of https://127.0.0.1:{port} is not trusted")):
            await store.read("a")


@pytest.mark.parametrize("after", [0, 40])
async def test_a_connection_that_breaks(secrets_manager: OpenStore, proxy: FaultyHttp, after: int) -> None:
    """An answer that is cut off is unavailability."""
    store = await secrets_manager(endpointUrl=proxy.address)
    proxy.cut("POST", after=after)
    with pytest.raises(StoreUnavailable):
        await store.read("a")
