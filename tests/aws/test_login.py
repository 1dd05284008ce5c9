"""Who a store is at AWS: keys, roles, what boto3 finds by itself, and what is told where none of it works."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from support.aws import KEYS
from support.faulty_http import FaultyHttp

from secretsync_core.errors import AccessDenied, PolicyDenied, StoreError, StoreUnavailable
from secretsync_core.secret import SecretValue
from secretsync_core.stores.aws import connection
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from pathlib import Path

    from support.aws import Microburst, Region

    from aws.conftest import OpenStore
    from secretsync_core.stores.aws.session import Identity
    from secretsync_core.testing.gates import CountingGate

ROLE = "arn:aws:iam::123456789012:role/sync"
TEXT = SecretValue(b"text")


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that boto3 finds by itself comes from the machine that the tests run on."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def ruled(tmp_path: Path, spec: str) -> dict[str, str]:
    """The environment of an operator with a policy."""
    place = tmp_path / "policy"
    place.mkdir(mode=0o700, exist_ok=True)
    (place / "policy.yaml").write_text(
        f"apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
    (place / "policy.yaml").chmod(0o600)
    return {"SECRETSYNC_POLICY": str(place)}


def refusing(key: str, code: str = "ExpiredTokenException") -> dict[str, Any]:
    """A rule that refuses whoever signs with an access key."""
    return {"service": "secretsmanager", "headers": {"authorization": f"Credential={key}/"}, "error": {"code": code}}


# -- keys


async def test_keys_from_the_environment(secrets_manager: OpenStore, burst: Microburst) -> None:
    """Each part of a key is looked up where the document points, and the request is signed with it."""
    auth = {"accessKey": {"id": {"env": "ID"}, "secret": {"env": "SECRET"}, "sessionToken": {"env": "TOKEN"}}}
    environ = {"ID": "AKIAENV", "SECRET": "secret", "TOKEN": "the-token"}
    store = await secrets_manager(auth=auth, environ=environ, endpointUrl=burst.address)
    burst.rules({"headers": {"authorization": "Credential=AKIAENV/", "x-amz-security-token": "the-token"},
                 "error": {"code": "AccessDeniedException"}})  # fmt: skip
    with pytest.raises(AccessDenied):
        await store.write("a", TEXT)


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"])
async def test_rotated_key_files_are_read_again(
    secrets_manager: OpenStore, burst: Microburst, tmp_path: Path, gate: CountingGate, code: str
) -> None:
    """Where the service refuses a key, its files are read again, and the request goes through with the new one."""
    for name, text in {"id": "AKIAOLD", "secret": "old", "token": "old-token"}.items():
        (tmp_path / name).write_text(f"{text}\n")
    where = {"id": "id", "secret": "secret", "sessionToken": "token"}
    auth = {"accessKey": {part: {"file": str(tmp_path / name)} for part, name in where.items()}}
    store = await secrets_manager(auth=auth, endpointUrl=burst.address)
    burst.rules(refusing("AKIAOLD", code))
    (tmp_path / "id").write_text("AKIANEW")
    found = await asyncio.gather(*(store.write(f"k{number}", TEXT) for number in range(8)))
    assert len(set(found)) == 8
    assert gate.counts["write"] <= 8 * 3  # each was refused at most once: put, put, create
    await store.write("b", TEXT)
    assert burst.fired() <= 8


async def test_a_key_that_has_expired_for_good(
    secrets_manager: OpenStore, burst: Microburst, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing new in the files the error says so; many refusals read them once in a while, not each time."""
    (tmp_path / "id").write_text("AKIAOLD")
    auth = {"accessKey": {"id": {"file": str(tmp_path / "id")}, "secret": {"value": "x"}}}
    store = await secrets_manager(auth=auth, endpointUrl=burst.address)
    burst.rules(refusing("AKIAOLD"))
    logins = 0
    real = connection.Account._log_in

    async def counted(self: connection.Account) -> Identity:
        nonlocal logins
        logins += 1
        return await real(self)

    monkeypatch.setattr(connection.Account, "_log_in", counted)
    found = await asyncio.gather(*(store.read(f"k{number}") for number in range(8)), return_exceptions=True)
    found += await asyncio.gather(*(store.delete(f"k{number}") for number in range(8)), return_exceptions=True)
    assert {type(each) for each in found} == {CredentialsRefused}
    assert logins == 1
    error = found[0]
    assert isinstance(error, CredentialsRefused)
    assert error.message == "aws refuses our credentials"
    assert "expired" in error.hint
    assert error.__context__ is None
    with pytest.raises(CredentialsRefused):  # nobody's listing is taken for empty, nor a refusal for a gap
        [each async for each in store.stat(["a"])]
    with pytest.raises(CredentialsRefused):
        [each async for each in store.list("", recursive=True, metadata=False)]


@pytest.mark.parametrize("text", ["two words", "ümlaut", "tab\tbed"])
async def test_what_can_be_no_key(secrets_manager: OpenStore, text: str) -> None:
    """A file with something else in it is told as that, without what is in it."""
    with pytest.raises(StoreError, match="holds characters that no AWS key can have") as caught:
        await secrets_manager(auth={"accessKey": {"id": {"value": "AKIA"}, "secret": {"value": text}}})
    assert text not in str(caught.value)


async def test_a_key_that_is_missing(secrets_manager: OpenStore) -> None:
    """The variable that is not set is named."""
    with pytest.raises(StoreError, match="environment variable NO_SUCH"):
        await secrets_manager(auth={"accessKey": {"id": {"env": "NO_SUCH"}, "secret": {"value": "x"}}})


# -- roles


async def test_a_role_on_top_of_keys(
    secrets_manager: OpenStore, burst: Microburst, gate: CountingGate, region: Region
) -> None:
    """assumeRole logs in when the store opens, through the gate; requests are signed with what the role gives."""
    role = {"roleArn": ROLE, "externalId": "ext-1", "sessionName": "nightly", "durationSeconds": 900}
    burst.rules(refusing("AKIATEST", "AccessDeniedException"))
    store = await secrets_manager(
        auth={"accessKey": KEYS, "assumeRole": role}, endpointUrl=burst.address, stsEndpointUrl=region.address
    )
    assert gate.counts == {"login": 1}
    await store.write("a", TEXT)
    assert gate.counts["login"] == 1


async def test_what_a_role_is_asked_with(secrets_manager: OpenStore, burst: Microburst) -> None:
    """Role, external id, session name and duration reach STS."""
    role = {"roleArn": ROLE, "externalId": "ext-1", "sessionName": "nightly", "durationSeconds": 900}
    asked = f"RoleArn == '{ROLE}' && ExternalId == 'ext-1' && RoleSessionName == 'nightly' && DurationSeconds == '900'"
    burst.rules({"operation": "AssumeRole", "body": asked, "error": {"code": "AccessDenied", "status": 403}})
    with pytest.raises(AccessDenied, match=f"refuses to let us assume the role {ROLE}") as caught:
        await secrets_manager(auth={"accessKey": KEYS, "assumeRole": role}, stsEndpointUrl=burst.address)
    assert "trust policy" in caught.value.hint
    assert caught.value.__context__ is None


async def test_a_role_by_a_web_identity(
    secrets_manager: OpenStore, gate: CountingGate, region: Region, tmp_path: Path
) -> None:
    """The token is read from its file for every login, and a role may be assumed on top."""
    token = tmp_path / "token"
    token.write_text("eyJ.jwt.one")
    web = {"roleArn": ROLE, "tokenFile": str(token), "sessionName": "pod"}
    store = await secrets_manager(auth={"webIdentity": web}, stsEndpointUrl=region.address)
    await store.write("a", TEXT)
    assert gate.counts["login"] == 1
    other = {"roleArn": f"{ROLE}-2"}
    again = await secrets_manager(auth={"webIdentity": web, "assumeRole": other}, stsEndpointUrl=region.address)
    assert (await again.read("a")).value.reveal() == b"text"
    token.unlink()
    with pytest.raises(StoreError, match=f"the credential file {token} does not exist"):
        await secrets_manager(auth={"webIdentity": web}, stsEndpointUrl=region.address)


async def test_a_web_identity_that_is_refused(secrets_manager: OpenStore, region: Region, tmp_path: Path) -> None:
    """STS does not accept the token: the error says where it comes from, and not what it is."""
    token = tmp_path / "token"
    token.write_text("eyJ.jwt.two")
    web = {"roleArn": ROLE, "tokenFile": str(token)}
    async with FaultyHttp(region.address) as sts:
        sts.answer("POST", 400, b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>")
        with pytest.raises(CredentialsRefused) as caught:
            await secrets_manager(auth={"webIdentity": web}, stsEndpointUrl=sts.address)
    assert "tokenFile" in caught.value.hint
    assert "eyJ" not in repr(vars(caught.value))


async def test_a_role_is_renewed_in_time(
    secrets_manager: OpenStore, gate: CountingGate, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporary credentials that grow old are replaced through the gate before they expire, and not at every call."""
    store = await secrets_manager(
        auth={"accessKey": KEYS, "assumeRole": {"roleArn": ROLE}}, stsEndpointUrl=region.address
    )
    identity = await store._account.identity()
    before = identity._credentials.get_frozen_credentials()
    assert not identity.is_ageing()
    monkeypatch.setattr(identity._credentials, "_advisory_refresh_timeout", 4000)
    assert identity.is_ageing()
    for _ in range(3):
        await store.write("a", TEXT)
    assert gate.counts["login"] == 2
    assert identity._credentials.get_frozen_credentials() != before


async def test_a_role_that_the_service_does_not_know_any_more(
    secrets_manager: OpenStore, burst: Microburst, gate: CountingGate, region: Region
) -> None:
    """Temporary credentials that are refused are replaced once by a new login."""
    store = await secrets_manager(
        auth={"accessKey": KEYS, "assumeRole": {"roleArn": ROLE}},
        endpointUrl=burst.address,
        stsEndpointUrl=region.address,
    )
    identity = await store._account.identity()
    burst.rules(refusing(identity._credentials.access_key))
    await store.write("a", TEXT)
    assert gate.counts["login"] == 2


# -- what boto3 finds by itself


async def test_the_default_is_what_boto3_finds(
    secrets_manager: OpenStore, burst: Microburst, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without auth, the environment's AWS_ACCESS_KEY_ID and AWS_REGION do as with any other tool."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACHAIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    store = await secrets_manager(
        auth={}, region=None, environ={"AWS_REGION": "test-region-of-env"}, endpointUrl=burst.address
    )
    burst.rules({**refusing("AKIACHAIN", "AccessDeniedException"), "region": "test-region-of-env"})
    with pytest.raises(AccessDenied):
        await store.write("a", TEXT)


async def test_a_profile(secrets_manager: OpenStore, burst: Microburst, tmp_path: Path) -> None:
    """A profile of the AWS configuration brings keys and region."""
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = x\n")
    (tmp_path / "config").write_text("[profile work]\nregion = test-region-of-profile\n")
    store = await secrets_manager(auth={"profile": "work"}, region=None, endpointUrl=burst.address)
    burst.rules({**refusing("AKIAPROFILE", "AccessDeniedException"), "region": "test-region-of-profile"})
    with pytest.raises(AccessDenied):
        await store.write("a", TEXT)


async def test_nobody(secrets_manager: OpenStore) -> None:
    """No credentials anywhere, a profile that there is not, half of a key: each is told as what it is."""
    with pytest.raises(CredentialsRefused, match="there are no AWS credentials") as caught:
        await secrets_manager(auth={})
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
    with pytest.raises(StoreError, match="there is no such AWS profile"):
        await secrets_manager(auth={"profile": "nobody"})


async def test_half_a_key(secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An access key without its secret is told as half of the credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    with pytest.raises(CredentialsRefused, match="half of the AWS credentials"):
        await secrets_manager(auth={})


async def test_configuration_files_that_are_broken(secrets_manager: OpenStore, tmp_path: Path) -> None:
    """A file that is not INI is told without what stands in it."""
    (tmp_path / "config").write_text("[profile\nCANARY = \n")
    with pytest.raises(StoreError, match="configuration files cannot be used") as caught:
        await secrets_manager(auth={})
    assert "CANARY" not in repr(vars(caught.value))


async def test_no_region(secrets_manager: OpenStore) -> None:
    """A region that nobody gives is asked for, when the store is opened."""
    with pytest.raises(StoreError, match="no region is given") as caught:
        await secrets_manager(region=None, endpointUrl=None)
    assert "AWS_REGION" in caught.value.hint


# -- addresses


async def test_an_address_where_nobody_listens(secrets_manager: OpenStore) -> None:
    """A refused connection is unavailability, which is retried, and names the address and what to check."""
    store = await secrets_manager(endpointUrl="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match=re.escape("the connection to http://127.0.0.1:9 fails")) as caught:
        await store.read("a")
    assert caught.value.retryable
    assert "endpointUrl" in caught.value.hint


async def test_a_region_that_there_is_not(secrets_manager: OpenStore) -> None:
    """A name that resolves to no address points to the region."""
    store = await secrets_manager(endpointUrl="http://secretsmanager.eu-cental-1.invalid")
    with pytest.raises(StoreUnavailable, match=r"eu-cental-1\.invalid has no address") as caught:
        await store.read("a")
    assert "region" in caught.value.hint


async def test_a_closed_store(secrets_manager: OpenStore) -> None:
    """A store that is closed says so."""
    store = await secrets_manager()
    await store.aclose()
    with pytest.raises(StoreError, match="is closed"):
        await store.write("a", TEXT)


async def test_the_role_of_a_pod(
    secrets_manager: OpenStore, region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What EKS puts into a pod's environment is enough; a role whose trust policy leaves us out is said to be that."""
    (token := tmp_path / "token").write_text("eyJ.jwt.one")
    for name, value in (("ROLE_ARN", ROLE), ("WEB_IDENTITY_TOKEN_FILE", str(token)), ("ROLE_SESSION_NAME", "pod")):
        monkeypatch.setenv(f"AWS_{name}", value)
    environ = ruled(tmp_path, "{hosts: [127.0.0.1]}")
    store = await secrets_manager(auth={}, stsEndpointUrl=region.address, environ=environ)
    await store.write("a", TEXT)
    assert (await store.read("a")).value.reveal() == b"text"
    async with FaultyHttp(region.address) as sts:
        sts.answer("POST", 403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
        with pytest.raises(CredentialsRefused, match="refuses to let us assume the role") as caught:
            await (await secrets_manager(auth={}, stsEndpointUrl=sts.address, environ=environ)).read("a")
    assert "trust policy" in caught.value.hint


@pytest.mark.parametrize("where", ["variables", "profile", "named profile"])
@pytest.mark.parametrize("policy", ["", "{hosts: ['*.acme.test']}", "{deny: {kinds: [vault]}}"])
async def test_a_token_that_no_document_gives_goes_to_aws_alone(
    secrets_manager: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, policy: str
) -> None:
    """Who writes a document gets no pod's token at its stsEndpointUrl: whoever has it can be the pod's role."""
    (token := tmp_path / "token").write_text("eyJ.jwt.one")
    name = "work" if where == "named profile" else "default"
    if where == "variables":
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    else:
        section = "profile work" if name == "work" else name
        (tmp_path / "config").write_text(f"[{section}]\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n")
    async with FaultyHttp() as sts:
        auth, environ = {"profile": "work"} if name == "work" else {}, ruled(tmp_path, policy) if policy else {}
        with pytest.raises(StoreError, match="stsEndpointUrl leads to another server than AWS") as caught:
            await (await secrets_manager(auth=auth, stsEndpointUrl=sts.address, environ=environ)).read("a")
        assert "spec.hosts" in caught.value.hint
        assert sts.requests == []


@pytest.mark.parametrize("where", ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL", "services", "profile"])
async def test_a_token_goes_to_no_server_that_the_surroundings_name(
    secrets_manager: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A login that botocore makes by itself sends its token nowhere but to AWS, or where the document says."""
    (token := tmp_path / "token").write_text("eyJ.jwt.one")
    async with FaultyHttp() as sts:
        profile = f"[default]\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n"
        if where == "services":
            profile += f"services = far\n[services far]\nsts =\n  endpoint_url = {sts.address}\n"
        elif where == "profile":
            profile += f"endpoint_url = {sts.address}\n"
        else:
            monkeypatch.setenv(where, sts.address)
        (tmp_path / "config").write_text(profile)
        with pytest.raises(StoreError, match="leads to another server than the SecretStore says") as caught:
            await (await secrets_manager(auth={}, stsEndpointUrl=None)).read("a")
        assert "set stsEndpointUrl in the SecretStore" in caught.value.hint
        assert sts.requests == []


async def test_the_profile_that_boto3_finds_runs_no_program_that_a_policy_denies(
    secrets_manager: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no profile is named, the default one, or that of AWS_PROFILE, is looked at before it is used."""
    policy = "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: p}\nspec: {exec: Deny}\n"
    (tmp_path / "p.yaml").write_text(policy)
    keys = '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"x"}'
    program = f"credential_process = sh -c 'touch {tmp_path}/ran; echo \"$0\"' '{keys}'\n"
    (tmp_path / "config").write_text(f"[default]\n{program}[profile other]\n{program}")
    for name in ("", "other"):
        if name:
            monkeypatch.setenv("AWS_PROFILE", name)
        with pytest.raises(PolicyDenied, match="credential_process"):
            await secrets_manager(auth={}, environ={"SECRETSYNC_POLICY": str(tmp_path / "p.yaml")})
    assert not (tmp_path / "ran").exists()
