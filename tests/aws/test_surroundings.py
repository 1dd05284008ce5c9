"""What boto3 finds by itself and cannot use: each is told by the name of the variable or the line that is wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import get_session
from support.faulty_http import FaultyHttp

from secretsync_core.errors import StoreError, StoreUnavailable
from secretsync_core.secret import SecretValue
from secretsync_core.stores.aws.surroundings import configured_endpoint
from secretsync_core.stores.http import CredentialsRefused, Unhealable

if TYPE_CHECKING:
    from pathlib import Path

    from support.aws import Region

    from aws.conftest import OpenStore

ROLE = "arn:aws:iam::123456789012:role/sync"
CANARY = "wJalrXUtnFEMI-canary"


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which only a key is found, by variables."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


async def _told(opening: OpenStore, **section: Any) -> StoreError:
    """What a first read of a store says that boto3's own chain logs in."""
    with pytest.raises(StoreError) as caught:
        await (await opening(**{"auth": {}, **section})).read("a")
    assert CANARY not in f"{caught.value!r} {caught.value.hint} {caught.value.__context__!r}"
    return caught.value


@pytest.mark.parametrize(
    ("name", "end"), [("AWS_ACCESS_KEY_ID", "\n"), ("AWS_SECRET_ACCESS_KEY", " "), ("AWS_SESSION_TOKEN", "é")]
)
async def test_a_variable_with_a_character_that_no_key_has(
    secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch, name: str, end: str
) -> None:
    """A key that ends in a newline or a blank is told by its variable, before any request is made."""
    monkeypatch.setenv(name, CANARY + end)
    error = await _told(secrets_manager, endpointUrl="http://127.0.0.1:9")
    assert isinstance(error, CredentialsRefused)
    assert error.message == f"aws: {name} holds characters that no AWS key has"
    assert "newline" in error.hint


async def test_a_key_of_a_file_with_a_character_that_no_key_has(secrets_manager: OpenStore, tmp_path: Path) -> None:
    """A key from ~/.aws is looked at as one from a variable is."""
    (tmp_path / "credentials").write_text(f"[work]\naws_access_key_id = AKIA\naws_secret_access_key = {CANARY} x\n")
    error = await _told(secrets_manager, auth={"profile": "work"})
    assert "the AWS key that boto3 finds holds characters that no AWS key has" in error.message


@pytest.mark.parametrize("text", ["eu-central-1 ", "eu-central-1\n", "eu_central_1"])
async def test_a_region_that_is_none(
    secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    """A region with a blank or another character that none has is told by where it was found."""
    error = await _told(secrets_manager, region=None, environ={"AWS_REGION": text})
    assert error.message == "aws: AWS_REGION names no region"
    monkeypatch.setenv("AWS_DEFAULT_REGION", text)
    for auth in ({}, {"accessKey": {"id": {"value": "A"}, "secret": {"value": "x"}}}):
        error = await _told(secrets_manager, region=None, auth=auth)
        assert error.message == "aws: AWS_DEFAULT_REGION names no region"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    (tmp_path / "config").write_text("[profile work]\nregion = eu central\n")
    assert (await _told(secrets_manager, region=None, auth={"profile": "work"})).message.startswith("aws: the AWS pro")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("AWS_ENDPOINT_URL", "localhost:4566"),
        ("AWS_ENDPOINT_URL", "http://localhost:4566\n"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "ftp://host"),
    ],
)
async def test_an_address_in_a_variable_that_is_none(
    secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    """An address without http:// is told by its variable; where the document gives one, nobody asks for it."""
    monkeypatch.setenv(name, address)
    error = await _told(secrets_manager, endpointUrl=None)
    assert error.message == f"aws: {name} is not the address of a service"
    assert "http://" in error.hint
    with pytest.raises(StoreUnavailable):
        await (await secrets_manager(auth={}, endpointUrl="http://127.0.0.1:9")).read("a")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    await secrets_manager(region="test-region-1", endpointUrl=None, stsEndpointUrl="http://127.0.0.1:9")


async def test_a_setting_that_boto3_does_not_take(secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where boto3 does not say which setting it dislikes, those that are set are named, and nothing that they hold."""
    monkeypatch.setenv("AWS_DEFAULTS_MODE", CANARY)
    error = await _told(secrets_manager)
    assert "a setting of AWS cannot be used" in error.message
    assert "AWS_DEFAULTS_MODE" in error.hint
    assert "AWS_SECRET" not in error.hint


async def test_a_pod_without_its_token(
    secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable that names the missing file is named, and not what it holds, which might be the token itself."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / CANARY))
    error = await _told(secrets_manager)
    assert error.message == "aws: the file that AWS_WEB_IDENTITY_TOKEN_FILE names is not there"
    assert "service account" in error.hint
    assert error.exit_code == 3
    monkeypatch.delenv("AWS_WEB_IDENTITY_TOKEN_FILE")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / CANARY))
    error = await _told(secrets_manager)
    assert error.message == "aws: the file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names is not there"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (f"/bin/echo {CANARY}", "does not print what AWS asks for"),
        ("/bin/echo []", "does not print what AWS asks for"),
        ('/bin/echo {"Version":2}', "does not print what AWS asks for"),
        ("/bin/false", "fails, or does not print"),
        (f"/nowhere/{CANARY}", "credential_process of the AWS profile cannot be run"),
    ],
)
async def test_a_program_that_gives_no_key(
    secrets_manager: OpenStore, tmp_path: Path, command: str, words: str
) -> None:
    """A credential_process that fails, or prints something else, is told as that, without what it printed."""
    (tmp_path / "config").write_text(f"[profile work]\ncredential_process = {command}\n")
    error = await _told(secrets_manager, auth={"profile": "work"}, environ={"SECRETSYNC_ALLOW_EXEC": "1"})
    assert words in error.message
    assert isinstance(error, CredentialsRefused)


async def test_nobody_is_asked_for_a_code(
    secrets_manager: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A profile with MFA fails with a way out, and nothing waits at the terminal for a person."""
    keys = "aws_access_key_id = A\naws_secret_access_key = x"
    role = f"role_arn = {ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/joe"
    (tmp_path / "config").write_text(f"[profile base]\n{keys}\n[profile work]\n{role}\n")
    for section in ({"auth": {"profile": "work"}}, {}):
        error = await _told(secrets_manager, **section)
        assert "asks for an MFA code" in error.message
        assert "log in first" in error.hint
        monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
        monkeypatch.setenv("AWS_PROFILE", "work")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.", "3600"),
        ("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", "maximum session duration"),
    ],
)
async def test_a_session_that_is_too_long(secrets_manager: OpenStore, region: Region, said: str, hint: str) -> None:
    """A role that does not give so long a session points to durationSeconds."""
    body = f"<ErrorResponse><Error><Code>ValidationError</Code><Message>{said}</Message></Error></ErrorResponse>"
    async with FaultyHttp(region.address) as sts:
        sts.answer("POST", 400, body.encode())
        role = {"roleArn": ROLE, "durationSeconds": 7200}
        error = await _told(secrets_manager, auth={"assumeRole": role}, stsEndpointUrl=sts.address)
    assert error.message == f"aws refuses to let us assume the role {ROLE} for so long"
    assert "durationSeconds" in error.hint
    assert hint in error.hint


async def test_certificates_that_are_not_there(
    secrets_manager: OpenStore, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle of certificates that does not exist is told as that, at once, and not as a server out of reach."""
    monkeypatch.setenv("AWS_CA_BUNDLE", f"/nowhere/{CANARY}")
    error = await _told(secrets_manager, endpointUrl=region.address.replace("http:", "https:"))
    assert isinstance(error, Unhealable)
    assert "AWS_CA_BUNDLE" in error.hint


async def test_a_proxy_that_is_not_there(secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that does not answer is named as the proxy, without its address, which may hold a password."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{CANARY}@127.0.0.1:9")
    error = await _told(secrets_manager, endpointUrl="https://secretsmanager.example.com")
    assert "the proxy does not let us through" in error.message
    assert "HTTPS_PROXY" in error.hint


async def test_what_boto3_finds_still_does(
    secrets_manager: OpenStore, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that are as they should be log in as before; a session token may look like anything."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "FwoGZXIvYXdzE+/=")
    store = await secrets_manager(auth={}, region=None, environ={"AWS_REGION": region.name})
    await store.write("a", SecretValue(b"text"))
    assert (await store.read("a")).value.reveal() == b"text"


@pytest.mark.parametrize(
    "address", ["https://secrets.example.com", "http://127.0.0.1:4566", "http://sts.amazonaws.com"]
)
async def test_a_variable_that_leads_elsewhere(
    secrets_manager: OpenStore, region: Region, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    """A document says where secrets go: a variable or profile that says otherwise is refused, by its name alone."""
    wherever: dict[str, Any] = {"endpointUrl": None}
    keys = "aws_access_key_id = A\naws_secret_access_key = x\n"
    (tmp_path / "config").write_text(
        f"[profile work]\n{keys}services = local\n[services local]\nsecrets_manager =\n  endpoint_url = {address}\n"
        f"[profile all]\n{keys}endpoint_url = {address}\n"
    )
    for profile in ("work", "all"):
        error = await _told(secrets_manager, **wherever, auth={"profile": profile})
        assert error.message == "aws: endpoint_url of the AWS profile leads to another server than the SecretStore says"
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"):
        with monkeypatch.context() as patch:
            patch.setenv(name, address)
            error = await _told(secrets_manager, **wherever)
            assert error.message == f"aws: {name} leads to another server than the SecretStore says"
            assert "set endpointUrl in the SecretStore" in error.hint
            assert address not in error.hint
            store = await secrets_manager()  # which names its endpoint
            await store.write("a", SecretValue(b"text"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
    error = await _told(secrets_manager, auth={"assumeRole": {"roleArn": ROLE}}, stsEndpointUrl=None)
    assert error.message == "aws: AWS_ENDPOINT_URL_STS leads to another server than the SecretStore says"
    assert "set stsEndpointUrl in the SecretStore" in error.hint


def test_addresses_that_are_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VPC endpoint, FIPS and the like may come from a variable; what a customer of AWS can call his own may not."""
    session = get_session()

    def is_taken(address: str) -> bool:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        try:
            return configured_endpoint("aws", "secretsmanager", session) == address
        except StoreError:
            return False

    assert [address for address in OF_AWS if not is_taken(address)] == []
    assert [address for address in NOT_OF_AWS if is_taken(address)] == []


OF_AWS = (
    "https://secretsmanager.eu-central-1.amazonaws.com",
    "https://vpce-0a1-b2.secretsmanager.eu-central-1.vpce.amazonaws.com/",
    "https://secretsmanager-fips.us-gov-west-1.amazonaws.com",
    "https://secretsmanager.cn-north-1.amazonaws.com.cn",
    "https://secretsmanager.eu-west-1.api.aws:443",
    "https://sts.amazonaws.com",
    "https://iam.global.api.aws",
)
NOT_OF_AWS = (
    "http://secretsmanager.eu-central-1.amazonaws.com",
    "https://secretsmanager.eu-central-1.amazonaws.com.example.com",
    "https://secretsmanager.s3.amazonaws.com",
    "https://abcdef.execute-api.eu-central-1.amazonaws.com",
    "https://user@secretsmanager.eu-central-1.amazonaws.com",
    "https://ec2-1-2-3-4.eu-central-1.compute.amazonaws.com",
)


async def test_a_machine_is_asked_for_its_role_without_a_proxy(
    secrets_manager: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer holds keys, and comes by http://, so that a proxy would read them."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    async with FaultyHttp() as proxy, FaultyHttp() as machine:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.address)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.address)
        assert isinstance(await _told(secrets_manager), CredentialsRefused)
        assert machine.requests
        assert proxy.requests == []
