"""Neither values nor credentials reach a log, whatever Google's libraries log."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

import pytest
from support.google.logins import ACCOUNT

from secretsync_core.secret import SecretValue
from secretsync_core.stores.gcp_secret_manager import connection
from secretsync_core.testing.canaries import canary, find_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.google.server import Google

    from gcp.conftest import OpenStore


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that is logged at DEBUG, also by Google's libraries, which keep it to themselves where nobody asks."""
    base = logging.getLogger("google")
    before = (base.propagate, base.level)
    caplog.set_level(logging.DEBUG)
    base.propagate = True
    base.setLevel(logging.DEBUG)
    yield caplog
    base.propagate = before[0]
    base.setLevel(before[1])


@pytest.mark.parametrize("quiet", [True, False])
async def test_what_goes_over_the_wire_is_not_logged(
    google: Google,
    open_gcp: OpenStore,
    heard: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    quiet: bool,
) -> None:
    """The SDK logs whole requests and answers at DEBUG, with values in base64; none of that is heard."""
    if not quiet:  # so that the test is known to find something
        monkeypatch.setattr(connection, "quieted", lambda _: contextlib.nullcontext())
    secret = canary()
    key = google.logins.key_of(ACCOUNT)
    store = await open_gcp(environ={"KEY": json.dumps(key)}, auth={"serviceAccountKey": {"env": "KEY"}})
    await store.write("db", SecretValue(secret.text.encode()))
    await store.read("db")
    told = [heard.text, *(str(record.__dict__) for record in heard.records)]
    shown = [text for text in told if find_in(text, [secret]) or any(token in text for token in google.logins.tokens)]
    assert bool(shown) is not quiet
