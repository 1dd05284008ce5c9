"""Deletes of a version of KV version 2, by a real OpenBao: with the right to it, and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.gate import CountingGate

from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from conftest import MakeToken, Mount, VaultStores

    from secretsync_core.demo.openbao import OpenBaoServer

DATA = 'path "{0}/data/*" {{ capabilities = ["create", "read", "update", "delete"] }}'
VERSIONS = 'path "{0}/delete/*" {{ capabilities = ["update"] }}'
NOT_OF_A = 'path "{0}/delete/a" {{ capabilities = ["deny"] }}'


@pytest.mark.parametrize(
    ("rules", "theirs_goes"),
    [(DATA + VERSIONS, [False, False]), (DATA, [True, True]), (DATA + VERSIONS + NOT_OF_A, [True, False])],
    ids=["all", "none", "not of a"],
)
async def test_a_version_is_deleted_by_its_number(
    vault_store_factory: VaultStores,
    openbao: OpenBaoServer,
    make_token: MakeToken,
    mount: Mount,
    rules: str,
    theirs_goes: list[bool],
) -> None:
    """Who may, deletes the version that was seen and none that was written since; who may not deletes the latest, of
    that key alone."""
    name, gate = mount(openbao), CountingGate()
    auth = {"token": {"value": make_token(openbao, rules.format(name))}}
    store = await vault_store_factory(mount=name, auth=auth, gate=gate, kvVersion=2)
    for key in ("a", "b"):
        seen = await store.write(key, SecretValue({"x": "ours"}))
        assert seen is not None
        await store.write(key, SecretValue({"x": "theirs"}))
        await store.delete_if(key, seen)
    found = [entry async for entry in (await vault_store_factory(mount=name)).stat(["a", "b"])]
    assert {entry.key: entry.deleted for entry in found} == dict(zip(("a", "b"), theirs_goes, strict=True))
    assert gate.counts["delete"] == 2 + sum(theirs_goes)
