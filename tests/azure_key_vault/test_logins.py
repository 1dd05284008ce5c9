"""Who we are at Azure: each way to log in, which one is chosen, and that nothing of it is shown or sent elsewhere."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from support.azure.entra import CLIENT, TENANT, Identity
from support.tunnel import Proxy

from secretsync_core.errors import RateLimited, StoreError, StoreUnavailable
from secretsync_core.secret import SecretValue
from secretsync_core.stores.azure_key_vault.clouds import authority_of
from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from pathlib import Path

    from support.azure.service import KeyVault
    from support.azure.trust import Trust

    from azure_key_vault.conftest import OpenStore

WHO = {"tenantId": TENANT, "clientId": CLIENT}
ENVIRON = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT}
TOKEN = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"RS256"}', b"{}", b"sig"))


async def works(store: Any) -> bool:
    """Whether a store gets through."""
    await store.write("a", SecretValue(b"v"))
    return True


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """The key of an application."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Its certificate, which it signed itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(day).not_valid_after(day.replace(year=2046))
    return made.sign(key, hashes.SHA256())


def pem(key: rsa.RSAPrivateKey, certificate: x509.Certificate, password: str = "") -> str:
    """The two, as files have them."""
    how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    return (private + certificate.public_bytes(Encoding.PEM)).decode()


@pytest.mark.parametrize("password", ["", "canary-password"])
async def test_a_certificate(
    azure: KeyVault,
    opened: OpenStore,
    tmp_path: Path,
    key: rsa.RSAPrivateKey,
    certificate: x509.Certificate,
    password: str,
) -> None:
    """It signs what says who we are; by the document, and by the variables of Azure's own tools."""
    azure.entra.identities[:] = [Identity(certificate=certificate)]
    file = tmp_path / "app.pem"
    file.write_text(pem(key, certificate, password))
    given = {**WHO, "certificate": {"file": str(file)}, **({"password": {"value": password}} if password else {})}
    assert await works(await opened(auth={"clientCertificate": given}))
    environ = {**ENVIRON, "AZURE_CLIENT_CERTIFICATE_PATH": str(file), "AZURE_CLIENT_CERTIFICATE_PASSWORD": password}
    environ["AZURE_AUTHORITY_HOST"] = azure.entra.address
    assert await works(await opened(auth=None, environ=environ))
    file.write_text("no certificate, and canary-4711")
    with pytest.raises(StoreError, match="client certificate cannot be used") as caught:
        await works(await opened(auth={"clientCertificate": given}))
    assert "canary" not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r}"


async def test_a_workload_identity(azure: KeyVault, opened: OpenStore, tmp_path: Path) -> None:
    """Its token is read anew for each login, for the platform renews it; by the document, and by AKS's variables."""
    azure.entra.identities[:] = [Identity(federated=TOKEN)]
    azure.entra.lifetime = 1
    file = tmp_path / "token"
    file.write_text("an old one")
    store = await opened(auth={"workloadIdentity": {**WHO, "tokenFile": str(file)}})
    with pytest.raises(CredentialsRefused, match="AADSTS700213"):
        await works(store)
    file.write_text(TOKEN)
    assert await works(await opened(auth={"workloadIdentity": {**WHO, "tokenFile": str(file)}}))
    environ = {**ENVIRON, "AZURE_FEDERATED_TOKEN_FILE": str(file), "AZURE_AUTHORITY_HOST": f"{azure.entra.address}/"}
    assert await works(await opened(auth=None, environ=environ))


async def test_a_managed_identity(azure: KeyVault, opened: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own, or one that it was given; also where nothing says anything else."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", azure.entra.machine_address)
    ways: list[Any] = [{"managedIdentity": {}}, {"managedIdentity": {"clientId": CLIENT}}, None]
    for auth in ways:
        azure.entra.machine = None
        with pytest.raises(CredentialsRefused, match="no login by managed identity"):
            await works(await opened(auth=auth))
        azure.entra.machine = Identity()
        assert await works(await opened(auth=auth))
    other = CLIENT.replace("6", "1")
    with pytest.raises(CredentialsRefused):
        await works(await opened(auth={"managedIdentity": {"clientId": other}}))


async def test_a_machines_identity_is_asked_of_the_machine_alone(
    azure: KeyVault, opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that names a host elsewhere gets no request."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://192.0.2.1")
    with pytest.raises(StoreError, match="another host"):
        await works(await opened(auth={"managedIdentity": {}}))


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ({"managedIdentity": {}}, "give auth.workloadIdentity"),
        ({"managedIdentity": {"clientId": CLIENT}}, "give auth.workloadIdentity"),
        (None, "azure.workload.identity/client-id"),
    ],
    ids=["system", "user", "no client"],
)
async def test_a_pod_with_a_workload_identity_is_sent_there(
    azure: KeyVault, opened: OpenStore, auth: Any, said: str
) -> None:
    """Its variables would have the SDK log in elsewhere than at a machine; one that has an endpoint is a machine."""
    pod = {"AZURE_TENANT_ID": TENANT, "AZURE_AUTHORITY_HOST": azure.entra.address, "AZURE_FEDERATED_TOKEN_FILE": "/t"}
    with pytest.raises(StoreError, match="this pod logs in by workload identity") as caught:
        await opened(auth=auth, environ=pod)
    assert said in caught.value.hint
    for missing in pod:
        await opened(auth=auth, environ={name: text for name, text in pod.items() if name != missing})
    for endpoint in ("IDENTITY_ENDPOINT", "MSI_ENDPOINT"):
        await opened(auth=auth, environ={**pod, endpoint: "http://169.254.169.254/"})
    assert azure.entra.logins == 0


async def test_a_client_secret_of_the_environment(azure: KeyVault, opened: OpenStore) -> None:
    """Where the document has no auth. It goes to no login service that only the document names."""
    environ = {**ENVIRON, "AZURE_CLIENT_SECRET": "a client secret of tests"}
    with pytest.raises(StoreError, match="auth does not say as whom"):
        await opened(auth=None, environ=environ)
    assert azure.entra.logins == 0
    assert await works(await opened(auth=None, environ={**environ, "AZURE_AUTHORITY_HOST": azure.entra.address}))


async def test_it_goes_through_the_proxy(
    azure: KeyVault, opened: OpenStore, azure_trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which learns the vault's name and neither a token nor a value. Pages go on at that name, with or without a port,
    and tls.serverName says what stands in the certificate."""
    async with Proxy(int(azure.address.rpartition(":")[2])) as proxy:
        azure.known_as = "https://unit.vault.test"
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        tls = {"caFile": str(azure_trust.ca), "serverName": "127.0.0.1"}
        store = await opened(vaultUrl=azure.known_as, tls=tls)
        for number in range(30):
            azure.vault.set(f"k{number}", {"value": "1"})
        assert await works(store)
        assert len([each async for each in store.list("", recursive=True, metadata=False)]) == 31
        assert proxy.heads
        for head in proxy.heads:
            assert head.startswith(b"CONNECT unit.vault.test:443 ")
            assert b"\r\nauthorization" not in head.lower()


async def test_a_secret_is_read_again_when_it_is_refused(azure: KeyVault, opened: OpenStore, tmp_path: Path) -> None:
    """Somebody rotated it while the run went on."""
    file = tmp_path / "secret"
    file.write_text("a client secret of tests\n")
    store = await opened(auth={"clientSecret": {**WHO, "secret": {"file": str(file)}}})
    assert await works(store)
    azure.entra.identities[0].secret = "the new one"
    file.write_text("the new one\n")
    azure.entra.revoke()
    assert await works(store)


async def test_a_refused_login_says_why_and_shows_nothing(
    azure: KeyVault, opened: OpenStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the answer only the number is shown: the fake, as a proxy might, echoes the secret."""
    caplog.set_level(logging.DEBUG)
    store = await opened(auth={"clientSecret": {**WHO, "secret": {"value": "canary-4711"}}})
    with pytest.raises(CredentialsRefused, match="AADSTS7000215") as caught:
        await works(store)
    assert "is it its value" in caught.value.hint
    error = caught.value
    shown = f"{error!r} {error.hint} {error.__cause__!r} {error.__context__!r} {caplog.text}"
    assert "canary" not in shown
    tenants = {"tenantId": TENANT.replace("1", "9"), "clientId": CLIENT, "secret": {"value": "x"}}
    with pytest.raises(CredentialsRefused) as caught:
        await works(await opened(auth={"clientSecret": tenants}))
    assert "tenant" in caught.value.message + caught.value.hint


async def test_nothing_of_a_run_is_logged(azure: KeyVault, opened: OpenStore, caplog: pytest.LogCaptureFixture) -> None:
    """Neither tokens nor values, nor the SDK's own words about requests."""
    caplog.set_level(logging.DEBUG)
    store = await opened()
    await works(store)
    await store.read("a")
    assert not [each for each in caplog.records if each.name.startswith(("azure", "msal"))]


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (500, {}, StoreUnavailable),
        (302, {"Location": "https://127.0.0.1:1/"}, StoreUnavailable),
        (429, {"Retry-After": "3"}, RateLimited),
        (200, {}, StoreError),
    ],
)
async def test_a_login_service_that_fails(
    azure: KeyVault, opened: OpenStore, status: int, headers: dict[str, str], kind: type[StoreError]
) -> None:
    """It is out of reach, and no matter of the credentials; a redirect is not followed."""
    told = {"Content-Type": "application/json", **headers}
    for body in (
        b"<html> canary",
        b"{}",
        b'{"access_token": 7, "expires_in": 5}',
        b'{"access_token": "x", "expires_in": []}',
        b'{"access_token": "x", "expires_in": 1e999}',
        b'{"access_token": ' + b"[" * 9000 + b"]" * 9000 + b', "expires_in": 5}',
    ):
        azure.entra.answer = (status, told, body)
        with pytest.raises(kind) as caught:
            await works(await opened())
        assert "canary" not in f"{caught.value!r} {caught.value.hint}"


async def test_a_login_that_is_redirected_is_sent_on_to_nobody(azure: KeyVault, opened: OpenStore) -> None:
    """Not even at the same host; and who reads that is told what to check, for trying again does not help."""
    asked: list[str] = []
    headers = {"Location": f"{azure.entra.address}/elsewhere"}

    def answer() -> tuple[int, dict[str, str], bytes]:
        asked.append("once")
        return 307, headers, b""

    azure.entra.before = answer
    with pytest.raises(StoreUnavailable, match=r"redirect \(HTTP 307\)") as caught:
        await works(await opened())
    assert "authorityHost" in caught.value.hint
    assert (asked, caught.value.retryable) == (["once"], False)


async def test_another_authority_in_the_environment_is_refused(azure: KeyVault, opened: OpenStore) -> None:
    """Ignoring it would log in elsewhere than whoever set it means."""
    with pytest.raises(StoreError, match="AZURE_AUTHORITY_HOST") as caught:
        await opened(environ={"AZURE_AUTHORITY_HOST": "https://login.evil.example"})
    assert "evil" not in caught.value.message + caught.value.hint


async def test_an_untrusted_vault_gets_no_request(azure: KeyVault, opened: OpenStore) -> None:
    """Nor does an untrusted login service, and it is said which certificate is not trusted."""
    with pytest.raises(StoreUnavailable, match="certificate is not trusted"):
        await works(await opened(tls=None))
    assert azure.requests == []


@pytest.mark.parametrize(
    ("vault", "authority"),
    [
        ("https://acme.vault.azure.net", "https://login.microsoftonline.com"),
        ("https://ACME.vault.azure.net:443/", "https://login.microsoftonline.com"),
        ("https://acme.vault.azure.cn", "https://login.chinacloudapi.cn"),
        ("https://acme.vault.usgovcloudapi.net", "https://login.microsoftonline.us"),
        ("https://acme.vault.azure.net.evil.example", ""),
        ("https://vault.azure.net.example", ""),
    ],
)
def test_the_cloud_is_the_vaults(vault: str, authority: str) -> None:
    """Where one logs in goes by the address of the vault; of an unknown one the document has to say it."""
    assert authority_of(vault) == authority
    document = json.dumps({"vaultUrl": vault})
    if authority:
        AzureKeyVaultConfig.model_validate_json(document)
    else:
        with pytest.raises(ValueError, match="authorityHost"):
            AzureKeyVaultConfig.model_validate_json(document)


@pytest.mark.parametrize(
    "fields",
    [
        {"vaultUrl": "http://acme.vault.azure.net"},
        {"vaultUrl": "https://acme.vault.azure.net/secrets"},
        {"authorityHost": "http://login.example"},
        {"expires": "tomorrow"},
        {"expires": "2027-01-01T00:00:00"},
        {"notBefore": "2027-01-01T00:00:00Z", "expires": "2026-01-01T00:00:00Z"},
        {"auth": {"managedIdentity": {}, "clientSecret": {**WHO, "secret": {"env": "X"}}}},
        {"auth": {"azureCli": {}}},
        {"auth": {"managedIdentity": {"clientId": "me"}}},
    ],
    ids=str,
)
def test_documents_that_are_wrong(fields: dict[str, Any]) -> None:
    """They are refused when they are loaded."""
    with pytest.raises(ValueError, match="validation error"):
        AzureKeyVaultConfig.model_validate_json(json.dumps({"vaultUrl": "https://acme.vault.azure.net", **fields}))
