"""A write or a delete is done when the server says so in its own protocol; whatever else it says, a look settles it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.altered import REMOTE, altered, codes

from secretsync_core.run.settling import CODE

if TYPE_CHECKING:
    from pathlib import Path

WRITES = {
    "vault-v1": "^POST .*/k4",
    "vault-v2": "^POST .*/data/k4",
    "kubernetes": "^PUT .*/secrets/k4",
    "secrets-manager": "secretsmanager.PutSecretValue",
    "parameter-store": "AmazonSSM.PutParameter",
    "github-variables": "^PATCH .*/K4",
    "gitlab": "^PUT .*/variables/K4",
    "http": "^PUT .*/secrets/k4",
}
DELETES = {
    "vault-v1": "^DELETE .*/k4",
    "vault-v2": "^(POST .*/delete|DELETE .*/data)/k4",
    "kubernetes": "^DELETE .*/secrets/k4",
    "secrets-manager": "secretsmanager.DeleteSecret",
    "parameter-store": "AmazonSSM.DeleteParameter",
    "github-variables": "^DELETE .*/K4",
    "gitlab": "^DELETE .*/variables/K4",
    "http": "^DELETE .*/secrets/k4",
}
NOTHING = [
    (200, b"<html>welcome</html>"),
    (200, b"{}"),
    (202, b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}'),
    (204, b""),
]
"""Answers of proxies, and promises."""

WRITTEN = {"vault-v1": {204}, "vault-v2": {204}, "github-variables": {204}}
DELETED = {**WRITTEN, "gitlab": {204}, "http": {200, 204}}
"""What some have for done, and which body goes along does not matter then; with ``http`` it is the document's word."""


def test_every_store_is_tried() -> None:
    """Google Cloud Secret Manager has tests of its own for this, and so has Azure Key Vault."""
    assert WRITES.keys() == DELETES.keys() == REMOTE.keys() - {"google"}


@pytest.mark.parametrize("peer", WRITES)
async def test_what_says_nothing_is_uncertain_until_a_look(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peer: str
) -> None:
    """Nothing was done in truth: neither run nor ledger have it for done, and the next run does it."""
    written = [each for each in NOTHING if each[0] not in WRITTEN.get(peer, ())]
    deleted = [each for each in NOTHING if each[0] not in DELETED.get(peer, ())]
    async with altered(request, monkeypatch, tmp_path, peer, role="dst") as it:
        await it.start()
        await it.put("k4", "new")
        for status, body in written:
            it.relay.answer(WRITES[peer], status, body)
            assert codes(await it.world.sync()) == {CODE}, (status, body)
        assert (await it.contents())["k4"] == "k4-old"
        it.relay.heal()
        assert (await it.world.sync()).ok
        assert (await it.contents())["k4"] == "new"
        await it.remove("k4")
        for status, body in deleted:
            it.relay.answer(DELETES[peer], status, body)
            assert codes(await it.world.sync()) == {CODE}, (status, body)
        assert (await it.contents())["k4"] == "new"
        it.relay.heal()
        assert (await it.world.sync()).ok
        assert "k4" not in await it.contents()
