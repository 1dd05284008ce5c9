"""No value and no credential gets into a log, whatever level it is set to, while others hear what they always hear."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from support.slow import one_in

from secretsync_core.secret import SecretValue
from secretsync_core.stores.aws.answers import Request
from secretsync_core.stores.aws.quiet import quiet
from secretsync_core.testing.canaries import Canary, canary, find_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.aws import Microburst, Region

    from aws.conftest import OpenStore


BEGINNING = "ZQXJKVWPZY"


class Ear(logging.Handler):
    """Keeps every record of every library, with its arguments and its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.heard: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.getMessage()} {record.args!r} {record.__dict__!r}"
        if record.exc_info:
            text += "".join(traceback.format_exception(*record.exc_info))
        self.heard.append((record.name, text))

    def names(self) -> set[str]:
        return {name.partition(".")[0] for name, _ in self.heard}


@pytest.fixture
def ear() -> Iterator[Ear]:
    """Hears everything: the root at DEBUG, and each logger by itself."""
    ear = Ear()
    root = logging.getLogger()
    names = [name for name in logging.root.manager.loggerDict if not name.startswith("_pytest")]
    before = {name: logging.getLogger(name).level for name in names}
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield ear
    root.removeHandler(ear)
    root.setLevel(level)
    for name, old in before.items():
        logging.getLogger(name).setLevel(old)


def key(label: str) -> Canary:
    """A canary that can be a credential."""
    return Canary(label, f"xx{canary(label).core.strip('/').replace('+', '')}xxxx")


@pytest.mark.parametrize("provider", one_in(2, ["secrets_manager", "parameter_store"]))
async def test_nothing_is_heard(
    provider: str,
    secrets_manager: OpenStore,
    parameter_store: OpenStore,
    burst: Microburst,
    region: Region,
    ear: Ear,
) -> None:
    """Opened by a role, written, read alone and in batches, listed, refused: no canary, and botocore says nothing."""
    opening = {"secrets_manager": secrets_manager, "parameter_store": parameter_store}[provider]
    # asyncio shows the beginning of what it has at hand, so the value begins with what stands nowhere else.
    value = Canary("value", f"{BEGINNING}{canary().text}")
    secret, token = key("secret"), key("token")
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    environ = {"ID": "AKIATEST", "SECRET": secret.text, "TOKEN": token.text}
    keys = {"id": {"env": "ID"}, "secret": {"env": "SECRET"}, "sessionToken": {"env": "TOKEN"}}
    role = {"roleArn": "arn:aws:iam::123456789012:role/sync"}
    said = []
    refusals: list[list[dict[str, Any]]] = [
        [],
        [{"error": {"code": "ExpiredTokenException"}}],
        [{"error": {"code": "Odd", "status": 500}}],
        [{"error": {"code": "ValidationException", "message": value.text}}],
    ]
    for auth in ({"accessKey": keys}, {"accessKey": keys, "assumeRole": role}):
        store = await opening(auth=auth, environ=environ, endpointUrl=burst.address, stsEndpointUrl=region.address)
        calls = _calls(store, value)
        for rules in refusals:
            burst.rules(*rules)
            for call in calls:
                try:
                    said.append(repr(await call()))
                except Exception as error:  # noqa: BLE001  it must not show anything either
                    said += traceback.format_exception(error)
        burst.rules()
        said += [repr(each) async for each in store.list("", recursive=True, metadata=True)]
    assert "asyncio" in ear.names()
    assert not any(BEGINNING in text for text in (*said, *(text for _, text in ear.heard)))
    assert find_in("\n".join(said), [value, secret, token]) == []
    assert find_in("\n".join(text for _, text in ear.heard), [value, secret, token]) == []
    # (microburst, which stands in for the service here, reads descriptions of services by botocore's loader.)
    assert {name for name, _ in ear.heard if name.startswith(("boto", "urllib3"))} <= {"botocore.loaders"}
    assert "microburst" in ear.names()


def _calls(store: Any, value: Canary) -> list[Any]:
    """Writes and reads of a value that nobody may see."""
    calls = [
        lambda: store.write("a", SecretValue(value.data)),
        lambda: store.write("b", SecretValue(value.data)),
        lambda: store.write("c", SecretValue(value.data + b"\xff")),
        lambda: store.read("a"),
        lambda: store._read_many(["a", "b"]),
    ]
    if hasattr(store, "write_if"):
        calls.append(lambda: store.write_if("a", SecretValue(value.data), "0" * 36))
    if hasattr(store, "create"):
        calls.append(lambda: store.create("a", SecretValue(value.data)))
    return calls


async def test_what_a_thread_gives_has_no_text_form(
    secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers come back through a future, whose text asyncio may log: it shows nothing of them."""
    store = await secrets_manager()
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[Any]] = []
    real = loop.run_in_executor

    def kept(*args: Any) -> asyncio.Future[Any]:
        futures.append(real(*args))
        return futures[-1]

    monkeypatch.setattr(loop, "run_in_executor", kept)
    assert await store._account.in_thread(Request("aws", "x"), lambda: {"SecretString": BEGINNING}) == {
        "SecretString": BEGINNING
    }
    assert "finished result=" in repr(futures[0])
    assert BEGINNING not in repr(futures[0])


def test_others_are_heard(region: Region, ear: Ear) -> None:
    """Somebody else's boto3, in a thread that does not work for us, logs as ever, before and after."""
    with quiet():
        region.secrets.list_secrets()
        assert not ear.names() & {"boto3", "botocore", "urllib3"}
        with quiet():
            pass
        region.secrets.list_secrets()
        assert not ear.names() & {"boto3", "botocore", "urllib3"}
    region.secrets.list_secrets()
    assert {"botocore", "urllib3"} <= ear.names()


def test_the_ear_hears(region: Region, ear: Ear) -> None:
    """Without the silence a value does stand in the log: otherwise these tests would prove nothing."""
    value = canary()
    region.secrets.create_secret(Name="loud", SecretString=value.text)
    assert find_in("\n".join(text for _, text in ear.heard), [value])
