"""Files that documents, the environment and other files name: none of them keeps a store waiting, or grows it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.endurance import Endurance
from secretsync_core.errors import SecretSyncError
from secretsync_core.model.capabilities import Permissions
from secretsync_core.plain_files import fault_of
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.schema.documents import StoreDocument, Where
from secretsync_core.schema.providers import config_model
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.registry import open_store

if TYPE_CHECKING:
    from pathlib import Path

SOON = 8.0
"""Seconds, most of which go for what is imported. What waits does so for twice as long."""

_KUBECONFIG = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "x"}}],
}
_VAULT = {"address": "https://127.0.0.1:1", "kvVersion": 2, "auth": {"token": {"env": "TOKEN"}}}
_AWS = {"region": "eu-central-1", "endpointUrl": "http://127.0.0.1:1"}
_GOOGLE = {"project": "acme-test"}
_FEDERATED = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/x",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
}
_ROLE = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x"}


PLACES = (
    "caFile", "certFile", "kubeconfig", "tokenFile of a kubeconfig", "application default credentials",
    "credential_source", "web identity", "container", "web identity of a profile", "ca_bundle of a profile",
    "AWS_CA_BUNDLE",
)  # fmt: skip


def _document(provider: str, section: dict[str, Any]) -> StoreDocument:
    config = config_model(provider).model_validate_json(json.dumps(section))
    return StoreDocument("s", Permissions.READ_WRITE, provider, config, Where("stores.yaml", 1))


async def _error_of(provider: str, section: dict[str, Any]) -> str:
    """What a store says that is opened and read from."""
    gate = Gate("s", concurrency=1, policy=RetryPolicy(attempts=1, lost_after=100))
    context = StoreContext("s", gate, {**os.environ, "TOKEN": "s.token"}, 1)
    with pytest.raises(SecretSyncError) as caught:
        await _read(_document(provider, section), context)
    return caught.value.message


async def _read(document: StoreDocument, context: StoreContext) -> None:
    store: Any = await open_store(document, context)
    try:
        await store.read("a")
    finally:
        await store.aclose()


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of this machine."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)


def _named(path: str, directory: Path) -> dict[str, tuple[str, dict[str, Any], dict[str, str]]]:
    """Every place that names a file: the provider, its section, and variables."""
    kubeconfig = directory / "kubeconfig"
    with_file = {**_KUBECONFIG, "users": [{"name": "u", "user": {"tokenFile": path}}]}
    kubeconfig.write_text(json.dumps(with_file))
    federated = directory / "federated.json"
    federated.write_text(json.dumps({**_FEDERATED, "credential_source": {"file": path}}))
    profile = directory / "config"
    role = "role_arn = arn:aws:iam::123456789012:role/x"
    keys = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x"
    profile.write_text(
        f"[profile p]\n{role}\nweb_identity_token_file = {path}\n[profile q]\n{keys}\nca_bundle = {path}\n"
    )
    config = {"AWS_CONFIG_FILE": str(profile)}
    pair = {"certFile": path, "keyFile": path}
    return {
        "caFile": ("vault", {**_VAULT, "tls": {"caFile": path}}, {}),
        "certFile": ("vault", {**_VAULT, "tls": pair}, {}),
        "kubeconfig": ("kubernetes", {"auth": {"kubeconfig": {"file": path}}}, {}),
        "tokenFile of a kubeconfig": ("kubernetes", {"auth": {"kubeconfig": {"file": str(kubeconfig)}}}, {}),
        "application default credentials": ("gcpSecretManager", _GOOGLE, {"GOOGLE_APPLICATION_CREDENTIALS": path}),
        "credential_source": (
            "gcpSecretManager", {**_GOOGLE, "auth": {"credentialConfiguration": str(federated)}}, {},
        ),
        "web identity": ("awsSecretsManager", _AWS, {**_ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": path}),
        "container": (
            "awsSecretsManager",
            _AWS,
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": path,
            },
        ),
        "web identity of a profile": ("awsSecretsManager", {**_AWS, "auth": {"profile": "p"}}, config),
        "ca_bundle of a profile": ("awsSecretsManager", {**_AWS, "auth": {"profile": "q"}}, config),
        "AWS_CA_BUNDLE": ("awsSecretsManager", _AWS, {"AWS_CA_BUNDLE": path}),
    }  # fmt: skip


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("what", ["a named pipe", "a device", "larger"])
async def test_no_file_that_is_named_is_waited_for(
    where: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody writes into, a device without end and a file of gigabytes are refused by what they are."""
    path = tmp_path / "file"
    if what == "a named pipe":
        os.mkfifo(path)
        timer = threading.Timer(2 * SOON, lambda: _write(path))  # else a test that fails would never end
        timer.daemon = True
        timer.start()
    elif what == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 2**31)
    provider, section, variables = _named(str(path), tmp_path)[where]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    began = time.monotonic()
    assert f"is {what}" in await _error_of(provider, section)
    assert time.monotonic() - began < SOON


def _write(pipe: Path) -> None:
    with suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


@pytest.mark.parametrize(
    "text",
    [
        "9" * 5000,
        "[" * 3000 + "]" * 3000,
        "2026-13-45",
        "!!timestamp x",
        "!!int ''",
        "{<<: [*a, *a]}",
    ],
)
async def test_no_kubeconfig_is_an_unexpected_one(text: str, tmp_path: Path) -> None:
    """Numbers, depth, dates, tags and merges that a reader of YAML stumbles over are refused in words, or read."""
    path = tmp_path / "kubeconfig"
    lines = "\n".join(f"{name}: {json.dumps(each)}" for name, each in _KUBECONFIG.items())
    path.write_text(f"a: &a {{b: 1}}\n{lines}\nextra: {text}\n")
    said = await _error_of("kubernetes", {"auth": {"kubeconfig": {"file": str(path)}}, "namespace": "a"})
    assert "unexpected" not in said
    assert "kubeconfig" in said or "cannot be reached" in said


def test_a_regular_file_has_no_fault(tmp_path: Path) -> None:
    """Nor has what is not there, or a pipe that a shell handed over: whoever reads it says what is wrong."""
    (tmp_path / "file").write_text("x")
    assert fault_of(tmp_path / "file", 10) == ""
    assert fault_of(tmp_path / "file", 0) == "is larger than 0 KiB"
    assert fault_of(tmp_path / "none", 10) == fault_of("a\0b", 10) == ""
    reader, writer = os.pipe()
    try:
        assert fault_of(f"/dev/fd/{reader}", 10) == ""
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
class TestPrograms:
    """Programs that give credentials end with the run that waits for them, and print no more than a credential."""

    @pytest.mark.parametrize("who", ["kubernetes", "aws", "aws by a source profile"])
    @pytest.mark.parametrize("how", ["it sleeps", "it prints"])
    async def test_a_program_that_never_ends(
        self, who: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its store is given up, and neither it nor what it has started is left."""
        monkeypatch.setenv("SECRETSYNC_ALLOW_EXEC", "1")
        mark = tmp_path / "pids"
        script = tmp_path / "program"
        work = "sleep 600 & echo $! >> %s; wait" if how == "it sleeps" else "echo $$ >> %s; exec cat /dev/zero"
        script.write_text(f"#!/bin/sh\necho $$ >> {mark}\n{work % mark}\n")
        script.chmod(0o700)
        if who == "kubernetes":
            plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)}
            path = tmp_path / "kubeconfig"
            path.write_text(json.dumps({**_KUBECONFIG, "users": [{"name": "u", "user": {"exec": plugin}}]}))
            document = _document("kubernetes", {"auth": {"kubeconfig": {"file": str(path)}}, "namespace": "a"})
        else:
            path = tmp_path / "config"
            source = f"[profile s]\ncredential_process = {script}\n"
            path.write_text(source + "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = s\n")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
            auth = {"profile": "s" if who == "aws" else "p"}
            document = _document("awsSecretsManager", {**_AWS, "stsEndpointUrl": "http://127.0.0.1:1", "auth": auth})
        # Long enough for it to begin, on a machine with much else to do.
        tiny = Endurance(request=0.4, listing=5.0)
        gate = Gate("s", concurrency=1, policy=RetryPolicy(attempts=1, lost_after=100), endurance=tiny)
        context = StoreContext("s", gate, {**os.environ, "SECRETSYNC_ALLOW_EXEC": "1"}, 1)
        with pytest.raises(SecretSyncError):
            await _read(replace(document, endurance=tiny), context)
        for _ in range(200):
            left = [pid for pid in (mark.read_text().split() if mark.exists() else ["?"]) if _runs(pid)]
            if not left:
                break
            await asyncio.sleep(0.02)
        assert mark.exists()
        assert left == []


def _runs(pid: str) -> bool:
    """Whether a process is there, and no zombie."""
    with suppress(OSError), open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False
