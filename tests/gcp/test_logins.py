"""Who we are at Google, by every way that a document or a machine has for it, and what a login may lead to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.google.logins import ACCOUNT, POOL, SUBJECT

from secretsync_core.errors import AccessDenied, PolicyDenied, StoreError, StoreUnavailable
from secretsync_core.secret import SecretValue
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from pathlib import Path

    from support.google.server import Google

    from gcp.conftest import OpenStore
    from secretsync_core.testing.gates import CountingGate

PERSON = {"type": "authorized_user", "client_id": "c", "client_secret": "canary-secret", "refresh_token": "1//refresh"}


def federated(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    """What `gcloud iam workload-identity-pools create-cred-config` writes."""
    (tmp_path / "subject").write_text(SUBJECT)
    return {
        "type": "external_account",
        "audience": POOL,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(tmp_path / "subject")},
        **fields,
    }


def written(tmp_path: Path, told: dict[str, Any]) -> str:
    """The path of a file that holds this."""
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(told))
    return str(path)


async def who(google: Google, store: Any) -> str:
    """Whom the service takes us for."""
    await store.write("db", SecretValue(b"v"))
    identity = await store._connection.identity()
    return google.logins.tokens[identity.proof["Authorization"].removeprefix("Bearer ")]


# -- the ways


async def test_a_service_accounts_key(google: Google, open_gcp: OpenStore) -> None:
    """The key signs a grant for Google's audience, and the login is one request that the gate counts."""
    key = json.dumps(google.logins.key_of(ACCOUNT))
    store = await open_gcp(environ={"KEY": key}, auth={"serviceAccountKey": {"env": "KEY"}})
    assert await who(google, store) == ACCOUNT
    assert google.logins.asked == ["oauth2"]


async def test_a_federated_login(google: Google, open_gcp: OpenStore, tmp_path: Path) -> None:
    """A token of somebody else's, in a file, is exchanged for one of Google's."""
    path = written(tmp_path, federated(tmp_path))
    store = await open_gcp(auth={"credentialConfiguration": path})
    assert await who(google, store) == "principal://ci"


async def test_a_federated_login_that_acts_as_a_service_account(
    google: Google, open_gcp: OpenStore, tmp_path: Path
) -> None:
    """The file may name a service account, and so may the document."""
    address = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    path = written(tmp_path, federated(tmp_path, service_account_impersonation_url=address))
    assert await who(google, await open_gcp(auth={"credentialConfiguration": path})) == ACCOUNT
    path = written(tmp_path, federated(tmp_path))
    auth = {"credentialConfiguration": path, "impersonate": {"serviceAccount": ACCOUNT}}
    assert await who(google, await open_gcp(auth=auth)) == ACCOUNT


async def test_application_default_credentials(google: Google, open_gcp: OpenStore, tmp_path: Path) -> None:
    """Without auth: the variable's file, else gcloud's, else the metadata server, without a proxy."""
    home = tmp_path / "gcloud"
    home.mkdir()
    machine = {"CLOUDSDK_CONFIG": str(home), "GCE_METADATA_HOST": google.machine}
    assert await who(google, await open_gcp(environ=machine, auth={})) == google.logins.machine
    (home / "application_default_credentials.json").write_text(json.dumps(PERSON))
    assert await who(google, await open_gcp(environ=machine, auth={})) == "person@acme.test"
    path = written(tmp_path, google.logins.key_of(ACCOUNT))
    environ = {**machine, "GOOGLE_APPLICATION_CREDENTIALS": path}
    assert await who(google, await open_gcp(environ=environ, auth={})) == ACCOUNT
    with pytest.raises(CredentialsRefused, match="no credentials of Google's are found"):
        await open_gcp(environ={"CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true"}, auth={})


async def test_a_refused_token_is_got_anew(google: Google, open_gcp: OpenStore, gate: CountingGate) -> None:
    """Where Google refuses a token, we log in again, once, and make the request again."""
    key = json.dumps(google.logins.key_of(ACCOUNT))
    store = await open_gcp(environ={"KEY": key}, auth={"serviceAccountKey": {"env": "KEY"}})
    google.secrets.put("db", b"v")
    google.logins.tokens.clear()
    assert (await store.read("db")).value.reveal() == b"v"
    assert gate.counts["login"] == 2


async def test_an_ageing_token_is_renewed(google: Google, open_gcp: OpenStore) -> None:
    """Before it expires, and not for each request."""
    google.logins.seconds = 1
    key = json.dumps(google.logins.key_of(ACCOUNT))
    try:
        store = await open_gcp(environ={"KEY": key}, auth={"serviceAccountKey": {"env": "KEY"}})
    finally:
        google.logins.seconds = 3600
    google.secrets.put("db", b"v")
    identity = await store._connection.identity()
    identity._old_at = identity._old_at.replace(year=2000)
    await store.read("db")
    await store.read("db")
    assert google.logins.asked == ["oauth2", "oauth2"]


async def test_a_token_that_lives_is_used_though_it_cannot_be_renewed(
    google: Google, open_gcp: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that fails for a while, in one attempt and without waiting, stops nothing before the token expires."""
    key = json.dumps(google.logins.key_of(ACCOUNT))
    store = await open_gcp(environ={"KEY": key}, auth={"serviceAccountKey": {"env": "KEY"}})
    google.secrets.put("db", b"v")
    identity = await store._connection.identity()
    identity._old_at = identity._old_at.replace(year=2000)
    asked: list[str] = []

    def fails(form: object) -> tuple[int, dict[str, str]]:
        asked.append("oauth2")
        return 503, {}

    monkeypatch.setattr(google.logins, "_oauth2", fails)
    assert (await store.read("db")).value.reveal() == b"v"
    assert asked == ["oauth2"]
    identity._dead_at = identity._old_at
    store._connection._look_at = 0.0
    with pytest.raises(StoreUnavailable, match="the login at Google fails"):
        await store.read("db")


# -- what is refused


async def test_who_may_not_act_as_an_account_is_told_what_to_grant(google: Google, open_gcp: OpenStore) -> None:
    """The error names the role; the answer's text, which may hold anything, is not in it."""
    google.logins.impersonable = set()
    token = google.logins.token_of("somebody")
    auth = {"accessToken": {"value": token}, "impersonate": {"serviceAccount": ACCOUNT}}
    try:
        with pytest.raises(AccessDenied, match="refuses to let us act as the service account") as caught:
            await open_gcp(auth=auth)
    finally:
        google.logins.impersonable = {ACCOUNT}
    assert "serviceAccountTokenCreator" in caught.value.hint
    assert token not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("{", "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        (json.dumps(PERSON), "is of another type than service_account"),
        (json.dumps({"type": "service_account", "private_key": "canary-key"}), "lacks a field"),
        (
            json.dumps({"type": "service_account", "client_email": "a", "token_uri": "x", "private_key": "canary-key"}),
            "another server",
        ),
    ],
)
async def test_a_key_that_is_none_is_not_shown(open_gcp: OpenStore, told: str, why: str) -> None:
    """What is wrong with it is told, by where it stands, and nothing of what it holds."""
    with pytest.raises(StoreError, match=why) as caught:
        await open_gcp(environ={"KEY": told}, auth={"serviceAccountKey": {"env": "KEY"}}, authEndpointUrl=None)
    assert "canary" not in f"{caught.value!r} {caught.value.hint}"
    assert caught.value.__cause__ is None


async def test_a_wrong_key_is_told(google: Google, open_gcp: OpenStore) -> None:
    """A signature that is not the account's is a matter of its key."""
    from support.google.logins import Logins

    key = json.dumps(Logins().key_of(ACCOUNT))
    with pytest.raises(CredentialsRefused, match="refuses to log us in") as caught:
        await open_gcp(environ={"KEY": key}, auth={"serviceAccountKey": {"env": "KEY"}})
    assert "key was deleted" in caught.value.hint


@pytest.mark.parametrize("address", ["https://evil.example/token", "http://oauth2.googleapis.com/token"])
async def test_credentials_lead_to_google_alone(google: Google, open_gcp: OpenStore, address: str) -> None:
    """A file may not send a login elsewhere; a document may, by authEndpointUrl."""
    key = json.dumps({**google.logins.key_of(ACCOUNT), "token_uri": address})
    with pytest.raises(StoreError, match="token_uri in the credentials leads to another server"):
        await open_gcp(environ={"KEY": key}, auth={"serviceAccountKey": {"env": "KEY"}}, authEndpointUrl=None)


@pytest.mark.parametrize(
    ("source", "policy", "told"),
    [
        ({}, "{credentials: {gcpServiceAccounts: ['*@acme.example']}}", "does not permit this Google service account"),
        ({"executable": {"command": "/bin/true"}}, "", "would run a program"),
        ({"file": "/proc/self/environ"}, "", "the file"),
        ({"url": "https://tokens.evil.example/"}, "{hosts: ['*.acme.test', 127.0.0.1]}", "does not permit this host"),
        ({"file": "/etc/hostname"}, "{credentials: {directories: [/run/secrets]}}", "does not permit files there"),
    ],
)
async def test_a_federated_login_is_held_by_the_policy(
    open_gcp: OpenStore, tmp_path: Path, source: dict[str, Any], policy: str, told: str
) -> None:
    """What the file names is bounded as what a document names is: programs, files, hosts."""
    address = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    told_of = {"credential_source": source} if source else {"service_account_impersonation_url": address}
    environ = dict[str, str]()
    if policy:
        place = tmp_path / "policy"
        place.mkdir(mode=0o700)
        (place / "policy.yaml").write_text(
            f"apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {{name: p}}\nspec: {policy}\n"
        )
        (place / "policy.yaml").chmod(0o600)
        environ["SECRETSYNC_POLICY"] = str(place)
    path = written(tmp_path, federated(tmp_path, **told_of))
    with pytest.raises(PolicyDenied, match=told):
        await open_gcp(environ=environ, auth={"credentialConfiguration": path})


# -- the environment


async def test_the_environment_does_not_say_where_the_service_is(
    google: Google, open_gcp: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of Google's libraries and of requests change neither the address, nor the trust, nor who we are."""
    for name, value in {
        "GOOGLE_CLOUD_UNIVERSE_DOMAIN": "evil.example",
        "GOOGLE_API_USE_MTLS_ENDPOINT": "always",
        "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true",
        "CLOUDSDK_CORE_PROJECT": "evil",
        "GOOGLE_CLOUD_PROJECT": "evil",
        "GOOGLE_CLOUD_QUOTA_PROJECT": "evil",
        "REQUESTS_CA_BUNDLE": "/nowhere",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",  # which loopback never needs
    }.items():
        monkeypatch.setenv(name, value)
    store = await open_gcp()
    assert await who(google, store) == ACCOUNT


async def test_a_proxy_that_is_none_is_told(open_gcp: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the variable holds is not shown, which may have a password in it."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:canary@127.0.0.1:9")
    store = await open_gcp(endpointUrl="https://secretmanager.example.com")
    with pytest.raises(StoreError, match="HTTPS_PROXY is not the address of an HTTP proxy") as caught:
        await store.read("db")
    assert "canary" not in str(caught.value)


async def test_whom_nobody_vouches_for_is_not_trusted(open_gcp: OpenStore) -> None:
    """Without the certificate of the server's authority nothing is sent."""
    store = await open_gcp(tls={})
    with pytest.raises(StoreError, match="its certificate is not trusted"):
        await store.read("db")
