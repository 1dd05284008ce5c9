"""Who we are at Google, by every way that a document or a machine has for it, and what a login may lead to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.google.logins import ACCOUNT, POOL, SUBJECT
from support.google.statuses import Refused

from secretsync_core.errors import AccessDenied, PolicyDenied, StoreError, StoreUnavailable
from secretsync_core.schema.named import Kind
from secretsync_core.schema.uses import uses_of
from secretsync_core.secret import SecretValue
from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig
from secretsync_core.stores.gcp_secret_manager.way import Way
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


def ruled(tmp_path: Path, spec: str) -> dict[str, str]:
    """The environment of an operator with a policy."""
    place = tmp_path / "policy"
    place.mkdir(mode=0o700, exist_ok=True)
    (place / "policy.yaml").write_text(
        f"apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
    (place / "policy.yaml").chmod(0o600)
    return {"SECRETSYNC_POLICY": str(place)}


HERE = "{hosts: [127.0.0.1]}"
"""What an operator says who means the fake to have credentials that no document gives."""


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
    machine = {"CLOUDSDK_CONFIG": str(home), "GCE_METADATA_HOST": google.machine, **ruled(tmp_path, HERE)}
    assert await who(google, await open_gcp(environ=machine, auth={})) == google.logins.machine
    (home / "application_default_credentials.json").write_text(json.dumps(PERSON))
    assert await who(google, await open_gcp(environ=machine, auth={})) == "person@acme.test"
    path = written(tmp_path, google.logins.key_of(ACCOUNT))
    environ = {**machine, "GOOGLE_APPLICATION_CREDENTIALS": path}
    assert await who(google, await open_gcp(environ=environ, auth={})) == ACCOUNT
    with pytest.raises(CredentialsRefused, match="no Google credentials were found"):
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


@pytest.mark.parametrize(
    ("code", "told", "hint"),
    [
        ("invalid_grant", "invalid_grant", "issuer, audience and subject"),
        ("invalid_target", "invalid_target", "check audience in the file"),
        ("invalid_request", "invalid_request", "subject_token_type"),
        ("unauthorized_client", "unauthorized_client", "attribute condition"),
        ("invalid_client", "invalid_client", "client_id"),
        ("canary", "OAuthError", "check the audience in the file"),
    ],
)
async def test_a_refused_federation_says_where_and_what_to_do(
    google: Google,
    open_gcp: OpenStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    told: str,
    hint: str,
) -> None:
    """By the field of the document and OAuth's word for it; neither the answer's text nor the token is shown."""
    refused = {"error": code, "error_description": f"canary {SUBJECT} generate token", "error_uri": "https://canary"}
    monkeypatch.setattr(google.logins, "_exchange", lambda _: (400, refused))
    with pytest.raises(CredentialsRefused, match=rf"log us in by auth.credentialConfiguration \({told}\)") as caught:
        await open_gcp(auth={"credentialConfiguration": written(tmp_path, federated(tmp_path))})
    shown = f"{caught.value!r} {caught.value.hint}"
    assert hint in shown
    assert "canary" not in shown
    assert SUBJECT not in shown
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ({"file": "/nowhere/canary"}, "is not there"),
        ({"file": "folder"}, "who may read that file"),
        ({"file": "empty"}, "is empty"),
        (
            {"file": "subject", "format": {"type": "json", "subject_token_field_name": "canary"}},
            "no token under the name",
        ),
        ({"file": "subject", "format": {"type": "json", "subject_token_field_name": "t"}}, "no token under the name"),
        ({"url": "machine"}, "refuses to give a token"),
    ],
)
async def test_a_federation_without_a_token_says_what_is_missing(
    google: Google, open_gcp: OpenStore, tmp_path: Path, source: dict[str, Any], hint: str
) -> None:
    """Google is not asked for anything; neither the path nor what stands in the file is shown."""
    told = federated(tmp_path, credential_source=source)
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_text("")
    if "file" in source:
        source["file"] = str(tmp_path / source["file"])
    else:
        source["url"] = f"http://{google.machine}/computeMetadata/v1/canary"
    with pytest.raises(CredentialsRefused, match=r"log in (with )?by auth.credentialConfiguration") as caught:
        await open_gcp(auth={"credentialConfiguration": written(tmp_path, told)}, environ=ruled(tmp_path, HERE))
    shown = f"{caught.value!r} {caught.value.hint}"
    assert hint in shown
    assert "canary" not in shown
    assert SUBJECT not in shown
    assert "sts" not in google.logins.asked


@pytest.mark.parametrize("missing", ["token_url", "audience", "credential_source"])
async def test_a_configuration_that_lacks_a_field_is_told(
    google: Google, open_gcp: OpenStore, tmp_path: Path, missing: str
) -> None:
    """By where it stands, before anybody is asked."""
    told = {name: each for name, each in federated(tmp_path).items() if name != missing}
    with pytest.raises(CredentialsRefused, match=f"lacks (a field|{missing})"):
        await open_gcp(auth={"credentialConfiguration": written(tmp_path, told)})
    assert google.logins.asked == []


async def test_who_cannot_be_acted_as_is_told_apart(
    google: Google, open_gcp: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that is not there needs no role."""
    monkeypatch.setattr(google.logins, "_impersonate", lambda *_: (404, Refused("NOT_FOUND", "canary").body))
    auth = {"accessToken": {"value": google.logins.token_of("a")}, "impersonate": {"serviceAccount": ACCOUNT}}
    with pytest.raises(CredentialsRefused, match=r"act as the service account \(NOT_FOUND\)") as caught:
        await open_gcp(auth=auth)
    assert "no such service account" in caught.value.hint


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/token",
        "http://oauth2.googleapis.com/token",
        "https://www.googleapis.com/token",
        "https://www.googleapis.com/storage/v1/b",
        "https://www.googleapis.com/oauth2/../upload/storage/v1/b",
        "https://oauth2.googleapis.com/token?to=evil",
        "https://oauth2.googleapis.com/token#evil",
        "https://oauth2.googleapis.com@evil.example/token",
        "https://oauth2.googleapis.com:8443/token",
        "https://storage.googleapis.com/token",
    ],
)
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
    environ = ruled(tmp_path, policy) if policy else {}
    path = written(tmp_path, federated(tmp_path, **told_of))
    with pytest.raises(PolicyDenied, match=told):
        await open_gcp(environ=environ, auth={"credentialConfiguration": path})


# -- credentials that no document gives

EVIL = "https://collector.evil.example"
WAYS = ("variable", "gcloud", "machine", "aws", "url", "impersonate")
REGIONAL = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
AWS: dict[str, Any] = {"environment_id": "aws1", "regional_cred_verification_url": REGIONAL}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address that a store would have asked; none is."""
    addresses: list[str] = []

    def request(self: object, method: str, url: str, *args: object, **kwargs: object) -> None:
        addresses.append(url)
        raise requests.exceptions.ConnectionError

    monkeypatch.setattr(Way, "request", request)
    return addresses


@pytest.mark.parametrize(
    ("elsewhere", "way"),
    [
        *(({field: EVIL}, way) for field in ("endpointUrl", "authEndpointUrl") for way in WAYS),
        ({"endpointUrl": "http://secretmanager.googleapis.com"}, "machine"),
        ({"endpointUrl": "https://secretmanager.googleapis.com.evil.example"}, "machine"),
        ({"endpointUrl": "https://evil.googleapis.com"}, "machine"),
        ({"endpointUrl": "https://storage.googleapis.com"}, "machine"),
        ({"authEndpointUrl": "https://sts.googleapis.com.evil.example"}, "machine"),
        ({"authEndpointUrl": "https://www.googleapis.com"}, "machine"),
        ({"endpointUrl": "https://127.0.0.1:9"}, "machine"),
    ],
)
async def test_what_the_environment_gives_goes_to_google_alone(
    google: Google, open_gcp: OpenStore, tmp_path: Path, asked: list[str], elsewhere: dict[str, str], way: str
) -> None:
    """Who writes a document gets no token of whoever runs it: not at its endpoint, nor where it says to log in."""
    environ = {"CLOUDSDK_CONFIG": str(tmp_path), "GCE_METADATA_HOST": google.machine}
    auth: dict[str, Any] = {}
    if way == "variable":
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = written(tmp_path, google.logins.key_of(ACCOUNT))
    elif way == "gcloud":
        (tmp_path / "application_default_credentials.json").write_text(json.dumps(PERSON))
    elif way in ("aws", "url"):
        source = AWS if way == "aws" else {"url": f"http://{google.machine}/computeMetadata/v1/token"}
        auth = {"credentialConfiguration": written(tmp_path, federated(tmp_path, credential_source=source))}
    elif way == "impersonate":
        auth = {"impersonate": {"serviceAccount": ACCOUNT}}
    fields: dict[str, Any] = {"endpointUrl": None, "authEndpointUrl": None, "tls": {}, "auth": auth, **elsewhere}
    with pytest.raises(StoreError, match="leads to another server than Google's, and auth does not say") as caught:
        await open_gcp(environ=environ, **fields)
    assert "spec.hosts" in caught.value.hint
    assert asked == []


@pytest.mark.parametrize(
    "address",
    [
        "https://secretmanager.googleapis.com",
        "https://secretmanager.googleapis.com:443/",
        "https://secretmanager.europe-west3.rep.googleapis.com",
        "https://secretmanager.europe-west3.p.rep.googleapis.com",
        "https://secretmanager-hub.p.googleapis.com",
        "https://secretmanager.mtls.googleapis.com",
    ],
)
async def test_google_may_have_what_the_environment_gives(
    google: Google, open_gcp: OpenStore, tmp_path: Path, asked: list[str], address: str
) -> None:
    """By whichever of its names."""
    environ = {"CLOUDSDK_CONFIG": str(tmp_path), "GCE_METADATA_HOST": google.machine}
    with pytest.raises(CredentialsRefused, match="no Google credentials were found"):
        await open_gcp(endpointUrl=address, authEndpointUrl=None, tls={}, environ=environ, auth={})
    assert asked == [f"http://{google.machine}/computeMetadata/v1/instance/service-accounts/default/token"]


@pytest.mark.parametrize(
    "spec",
    [
        "{hosts: ['*.acme.test']}",
        "{deny: {kinds: [vault]}}",
        "{hosts: [127.0.0.1], exec: Nope}",
        "{hosts: [127.0.0.1], deny: {hosts: [127.0.0.1]}}",
    ],
)
async def test_only_a_host_that_the_operator_lists_may_have_it_too(
    google: Google, open_gcp: OpenStore, tmp_path: Path, spec: str
) -> None:
    """A policy that lists other hosts, or bounds none, says nothing of this one; nor does one that is broken."""
    environ = {"CLOUDSDK_CONFIG": str(tmp_path), "GCE_METADATA_HOST": google.machine, **ruled(tmp_path, spec)}
    with pytest.raises(StoreError, match="endpointUrl leads to another server"):
        await open_gcp(environ=environ, auth={})
    assert google.logins.asked == []


@pytest.mark.parametrize(
    "changed",
    [
        {"regional_cred_verification_url": "https://iam.amazonaws.com?Action=CreateAccessKey&Version=2010-05-08"},
        {"regional_cred_verification_url": REGIONAL + "#"},
        {"regional_cred_verification_url": REGIONAL.replace("{region}", "evil.example/{region}")},
        {"regional_cred_verification_url": None},
        {"environment_id": "aws2"},
        {"url": "http://169.254.169.254.evil.example/latest/meta-data/iam/security-credentials"},
        {"region_url": "http://169.254.169.254@evil.example/latest/meta-data"},
        {"imdsv2_session_token_url": "https://evil.example/latest/api/token"},
    ],
)
async def test_a_login_from_aws_signs_nothing_else(
    open_gcp: OpenStore, tmp_path: Path, asked: list[str], changed: dict[str, Any]
) -> None:
    """The keys of AWS sign the one request that says who has them, and a machine there is asked by its own address."""
    path = written(tmp_path, federated(tmp_path, credential_source={**AWS, **changed}))
    with pytest.raises(StoreError, match="credential_source in the credentials is not the one of a login from AWS"):
        await open_gcp(auth={"credentialConfiguration": path}, endpointUrl=None, authEndpointUrl=None)
    assert asked == []


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
async def test_variables_of_aws_are_bounded_as_any_other(
    open_gcp: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str], name: str
) -> None:
    """Google's library reads them for a login from AWS; where the policy does not permit one, there is no login."""
    for each in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(each, "x")
    path = written(tmp_path, federated(tmp_path, credential_source=AWS))
    environ = ruled(tmp_path, f"{{deny: {{env: [{name}]}}}}")
    with pytest.raises(PolicyDenied, match=f"denies the variable {name}"):
        await open_gcp(auth={"credentialConfiguration": path}, endpointUrl=None, authEndpointUrl=None, environ=environ)
    assert asked == []


# -- whom one may act as

ADMIN = "admin@acme-test.iam.gserviceaccount.com"
AS = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{}:generateAccessToken"
ONLY = f"{{credentials: {{gcpServiceAccounts: [{ACCOUNT}]}}, hosts: [127.0.0.1]}}"


@pytest.mark.parametrize(
    "address",
    [
        AS.format(ADMIN) + f"#/{ACCOUNT}:generateAccessToken",
        AS.format(ADMIN) + f"?x=/{ACCOUNT}:generateAccessToken",
        AS.format(f"{ADMIN}:generateAccessToken/{ACCOUNT}"),
        AS.format(ADMIN.replace("@", "%40")),
        AS.format("123456789012345678901"),
        AS.format(ACCOUNT).replace("/-/", "/other/../-/"),
        AS.format(ACCOUNT).replace("AccessToken", "IdToken"),
        AS.format(ACCOUNT).replace("iamcredentials.", "iamcredentials.evil."),
    ],
)
@pytest.mark.parametrize("elsewhere", [True, False])
async def test_an_address_says_exactly_whom_one_acts_as(
    google: Google, open_gcp: OpenStore, tmp_path: Path, address: str, elsewhere: bool
) -> None:
    """What a policy judges is the account that Google is asked for, and no address has two readings."""
    path = written(tmp_path, federated(tmp_path, service_account_impersonation_url=address))
    where: dict[str, Any] = {} if elsewhere else {"authEndpointUrl": None}
    with pytest.raises(StoreError, match="service_account_impersonation_url in the credentials leads to another"):
        await open_gcp(environ=ruled(tmp_path, ONLY), auth={"credentialConfiguration": path}, **where)
    assert google.logins.asked == []


def acting(*accounts: Any, **inner: Any) -> dict[str, Any]:
    """What `gcloud auth application-default login --impersonate-service-account` writes."""
    return {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": AS.format(ACCOUNT),
        "delegates": list(accounts),
        "source_credentials": {**PERSON, **inner},
    }


@pytest.mark.parametrize("delegate", [ADMIN, f"projects/-/serviceAccounts/{ADMIN}"])
async def test_every_delegate_is_judged(google: Google, open_gcp: OpenStore, tmp_path: Path, delegate: str) -> None:
    """Each account in between is one that is acted as."""
    environ = ruled(tmp_path, ONLY)
    environ["GOOGLE_APPLICATION_CREDENTIALS"] = written(tmp_path, acting(ACCOUNT, delegate))
    with pytest.raises(PolicyDenied, match="does not permit this Google service account"):
        await open_gcp(environ=environ, auth={})
    environ["GOOGLE_APPLICATION_CREDENTIALS"] = written(tmp_path, acting(ACCOUNT))
    assert await who(google, await open_gcp(environ=environ, auth={})) == ACCOUNT
    assert google.logins.delegates == [f"projects/-/serviceAccounts/{ACCOUNT}"]


@pytest.mark.parametrize(
    "delegate", ["123456789012345678901", f"projects/x/serviceAccounts/{ACCOUNT}", f"{ACCOUNT}?", 7]
)
async def test_a_delegate_that_is_no_account_is_refused(
    google: Google, open_gcp: OpenStore, tmp_path: Path, delegate: Any
) -> None:
    """A number or a path may be anybody."""
    environ = ruled(tmp_path, ONLY)
    environ["GOOGLE_APPLICATION_CREDENTIALS"] = written(tmp_path, acting(delegate))
    with pytest.raises(CredentialsRefused, match="delegates in the credentials has something else"):
        await open_gcp(environ=environ, auth={})


@pytest.mark.parametrize(
    ("inner", "told"),
    [
        ({"token_uri": "https://evil.example/token"}, "token_uri in the credentials leads to another server"),
        ({"universe_domain": "evil.example"}, "another universe"),
        ({"type": "external_account", "credential_source": {"file": "/etc/hostname"}}, "does not permit files there"),
        (
            {"type": "impersonated_service_account", "service_account_impersonation_url": AS.format(ADMIN)},
            "does not permit this Google service account",
        ),
        ({"type": "impersonated_service_account", "delegates": [ADMIN]}, "does not permit this Google service account"),
    ],
)
async def test_what_credentials_stand_in_credentials_is_checked_too(
    google: Google, open_gcp: OpenStore, tmp_path: Path, asked: list[str], inner: dict[str, Any], told: str
) -> None:
    """The source of an impersonation is held by all that holds any other credentials."""
    spec = f"{{credentials: {{gcpServiceAccounts: [{ACCOUNT}], directories: [/run/secrets]}}}}"
    environ = ruled(tmp_path, spec)
    environ["GOOGLE_APPLICATION_CREDENTIALS"] = written(tmp_path, acting(**inner))
    with pytest.raises(StoreError, match=told):
        await open_gcp(environ=environ, auth={}, endpointUrl=None, authEndpointUrl=None)
    assert asked == []


@pytest.mark.parametrize(
    ("spec", "error", "told"),
    [
        (HERE, CredentialsRefused, "there is no token to log in with"),
        ("{hosts: [127.0.0.1], exec: Deny}", PolicyDenied, "does not let the executable of the credentials run"),
        ("{hosts: [127.0.0.1], exec: Nope}", PolicyDenied, "cannot be used"),
    ],
)
async def test_the_operators_own_program_is_run_unless_a_policy_denies_it(
    open_gcp: OpenStore, tmp_path: Path, spec: str, error: type[StoreError], told: str
) -> None:
    """As that of a profile of AWS; and only where Google's own variable permits it too."""
    source = {"executable": {"command": "/bin/true", "timeout_millis": 5000}}
    path = written(tmp_path, federated(tmp_path, credential_source=source))
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": path, **ruled(tmp_path, spec)}
    with pytest.raises(error, match=told) as caught:
        await open_gcp(environ=environ, auth={})
    if error is CredentialsRefused:
        assert "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1" in caught.value.hint


def test_delegates_of_a_document_are_told_to_the_policy() -> None:
    """As the account itself."""
    auth = {"impersonate": {"serviceAccount": ACCOUNT, "delegates": [ADMIN]}}
    config = GcpSecretManagerConfig.model_validate({"project": "acme-test", "auth": auth}, strict=False)
    assert [use.text for use in uses_of(config) if use.kind is Kind.GCP_SERVICE_ACCOUNT] == [ACCOUNT, ADMIN]


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
