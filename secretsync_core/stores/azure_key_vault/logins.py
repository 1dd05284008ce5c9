"""Who we are at Azure: the credentials of azure-identity that a document, or the environment, asks for.

Never the login of a developer's tools or a browser: what runs at night must not depend on who sat there last. The
credential that is chosen is the only one that is tried.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.identity.aio import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)

from secretsync_core.credentials import resolve
from secretsync_core.errors import StoreError
from secretsync_core.schema.base import Credential
from secretsync_core.stores.azure_key_vault.answers import Request
from secretsync_core.stores.azure_key_vault.clouds import authority_of
from secretsync_core.stores.azure_key_vault.transport import LoginTransport, origin_of
from secretsync_core.stores.connecting import connection_failure
from secretsync_core.stores.http import CredentialsRefused, RefusedLogin, sendable, unreachable

if TYPE_CHECKING:
    import ssl

    from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

    from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
    from secretsync_core.stores.base import StoreContext

AUTHORITY = "AZURE_AUTHORITY_HOST"
_TENANT, _CLIENT = "AZURE_TENANT_ID", "AZURE_CLIENT_ID"
_SECRET, _CERTIFICATE, _TOKEN_FILE = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
)
# By what the SDK itself tells where it is.
_POD = (AUTHORITY, _TENANT, _TOKEN_FILE)
_MACHINE = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT")
_PASSWORD = "AZURE_CLIENT_CERTIFICATE_PASSWORD"  # noqa: S105  the name of a variable

_code = re.compile(r"AADSTS([0-9]{4,8})\b")

# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_MEANINGS = {
    "7000215": "the client secret is wrong: is it its value, and not its id?",
    "7000222": "the client secret has expired: make a new one",
    "700016": "this tenant does not know the application: check tenantId and clientId",
    "90002": "there is no such tenant: check tenantId, and the cloud",
    "700027": "the application does not know this certificate, or it has expired",
    "70021": "no federated credential of the identity fits the token: its issuer, subject and audience must be equal",
    "700211": "no federated credential of the identity has the token's issuer",
    "700213": "no federated credential of the identity has the token's subject",
    "700024": "the token in the file has expired: the platform must renew it",
}


class Login:
    """What the SDK asks for tokens. One login at a time: those that wait get the token of the one before."""

    def __init__(self, config: AzureKeyVaultConfig, context: StoreContext, tls: ssl.SSLContext) -> None:
        self._config = config
        self._context = context
        self._authority = _authority(config, context)
        self._check_is_meant()
        self._check_is_a_machine()
        self._logging_in = asyncio.Lock()
        self._tls = tls
        self._transport: LoginTransport | None = None
        self._credential: Any = None
        self._refused_login = RefusedLogin()
        self.begun = 0
        """How many sessions there were so far."""

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """A token. Raises CredentialsRefused where nobody gives one, StoreUnavailable where none can be had now.

        A login that was refused is not tried again.
        """
        async with self._logging_in:
            self._refused_login.check()
            before = self._credential
            try:
                return await self._ask(*scopes, options=options)
            except CredentialsRefused as error:
                if before is None:
                    raise self._refused_login.note(error) from None
            self._credential = None  # a secret or certificate may be another one by now: it is read again
            try:
                return await self._ask(*scopes, options=options)
            except CredentialsRefused as error:
                raise self._refused_login.note(error) from None

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """The same, for those who ask in the older way."""
        kept = {name: value for name, value in options.items() if name in ("claims", "tenant_id", "enable_cae")}
        found = await self.get_token_info(*scopes, options=kept)  # type: ignore[arg-type]
        return AccessToken(found.token, found.expires_on)

    def forget(self, session: int) -> bool:
        """Log in anew the next time, for the vault took no token of this session; whether to ask again.

        Where there is another session by now, somebody else has seen to it.
        """
        if self.begun > max(session, 1):
            return True
        self._credential = None
        return self.begun > 0

    async def close(self) -> None:
        """Close every connection."""
        if self._transport is not None:
            await self._transport.close()

    async def _ask(self, *scopes: str, options: TokenRequestOptions | None) -> AccessTokenInfo:
        request = Request(self._context.name, "log in", "get")
        try:
            if self._credential is None:
                self._credential = self._made()
                self.begun += 1
            found: AccessTokenInfo = await self._credential.get_token_info(*scopes, options=options)
        except StoreError:
            raise
        except (ServiceRequestError, ServiceResponseError) as error:
            inner = error.inner_exception or error
            proxied = self._transport is not None and self._transport.proxy is not None
            failure = connection_failure(inner if isinstance(inner, Exception) else error, request, proxied=proxied)
        except ClientAuthenticationError as error:
            failure = self._refused(error)
        except AzureError:
            failure = self._no_token()
        except Exception:  # noqa: BLE001  the SDK takes a certificate, and an answer, apart as they come
            failure = self._no_token() if self._credential is not None else self._unfit()
        else:
            if isinstance(found.token, str):
                sendable(found.token, self._context.name, where="access token")
                return found
            failure = self._no_token()
        raise failure

    def _no_token(self) -> StoreError:
        return unreachable(self._context.name, "its login service answers with something that is no token")

    def _refused(self, error: ClientAuthenticationError) -> StoreError:
        """Only digits of what the service says are shown."""
        store = self._context.name
        if (cause := _service_error(error)) is not None:
            return connection_failure(cause, Request(store, "log in", "get"), proxied=False)
        text = error.message or ""
        found = _code.search(text)
        if found is not None:
            meaning = _MEANINGS.get(found[1], "https://login.microsoftonline.com/error says what that means")
            return CredentialsRefused(f"{store}: the login is refused (AADSTS{found[1]})", store=store, hint=meaning)
        if "additionally_allowed_tenants" in text:
            return CredentialsRefused(
                f"{store}: the vault is in another tenant than the one that we log in to",
                store=store,
                hint="check tenantId (or AZURE_TENANT_ID): it must be the id of the vault's tenant",
            )
        hint = "check auth in the SecretStore, and proxies on the way to its login service"
        if self._way() == "managed identity":
            hint = "does the machine have a managed identity, and is auth.managedIdentity.clientId one of its own?"
        return CredentialsRefused(f"{store}: there is no login by {self._way()}", store=store, hint=hint)

    def _unfit(self) -> StoreError:
        store = self._context.name
        hint = "a certificate is PEM, with its private key; its password is right"
        return StoreError(f"{store}: the {self._way()} cannot be used for a login", store=store, hint=hint)

    # -- which credential

    def _check_is_meant(self) -> None:
        """Raise StoreError where a document chooses the login service, and leaves credentials to the environment.

        Who writes both could have them sent to a server of theirs. So the environment has to name that service as well.
        """
        known = self._authority == authority_of(self._config.vault_url)
        if known or self._config.auth is not None or self._way() == "managed identity":
            return
        if not self._context.environ.get(AUTHORITY):
            raise StoreError(
                f"{self._context.name}: authorityHost says where one logs in, and auth does not say as whom",
                store=self._context.name,
                hint=f"give auth in the SecretStore, or set {AUTHORITY} to the same address where the sync runs",
            )

    def _check_is_a_machine(self) -> None:
        """Raise StoreError where a managed identity is asked for in a pod that has a workload identity.

        There the SDK would log in by that one, elsewhere than at the machine, and so be refused for what it is not.
        """
        environ, auth = self._context.environ, self._config.auth
        in_pod = all(environ.get(each) for each in _POD) and not any(environ.get(each) for each in _MACHINE)
        if not in_pod or self._way() != "managed identity":
            return
        hint = f"set {_CLIENT}, by the annotation azure.workload.identity/client-id of the service account"
        if auth is not None:
            hint = "give auth.workloadIdentity in its place; without auth the variables of the pod say the same"
        raise StoreError(
            f"{self._context.name}: this pod logs in by workload identity ({_TOKEN_FILE} is set), "
            f"and {'auth asks for a managed identity' if auth is not None else f'{_CLIENT} does not say whose'}",
            store=self._context.name,
            hint=hint,
        )

    def _way(self) -> str:
        auth, environ = self._config.auth, self._context.environ
        if auth is not None:
            for way in ("client_secret", "client_certificate", "workload_identity"):
                if getattr(auth, way) is not None:
                    return way.replace("_", " ")
        elif all(environ.get(each) for each in (_TENANT, _CLIENT)):
            for name, way in ((_SECRET, "client secret"), (_CERTIFICATE, "client certificate")):
                if environ.get(name):
                    return way
            if environ.get(_TOKEN_FILE):
                return "workload identity"
        return "managed identity"

    def _made(self) -> Any:
        auth, way = self._config.auth, self._way()
        if way == "managed identity":
            chosen = auth.managed_identity if auth is not None else None
            client = chosen.client_id if chosen is not None else self._context.environ.get(_CLIENT)
            return ManagedIdentityCredential(client_id=client or None, transport=self._way_out(None), retry_total=0)
        more: dict[str, Any] = {
            "authority": self._authority,
            "transport": self._way_out(self._authority),
            "retry_total": 0,
        }
        if way == "client secret":
            given = auth.client_secret if auth is not None else None
            tenant, client = self._who(given)
            return ClientSecretCredential(
                tenant, client, self._resolved(given.secret if given else Credential(env=_SECRET)), **more
            )
        if way == "client certificate":
            held = auth.client_certificate if auth is not None else None
            tenant, client = self._who(held)
            file = Credential(file=self._context.environ.get(_CERTIFICATE)) if held is None else held.certificate
            password = held.password if held is not None else None
            if held is None and self._context.environ.get(_PASSWORD):
                password = Credential(env=_PASSWORD)
            if password is not None:
                more["password"] = self._resolved(password)
            return CertificateCredential(tenant, client, certificate_data=self._resolved(file).encode(), **more)
        federated = auth.workload_identity if auth is not None else None
        tenant, client = self._who(federated)
        path = federated.token_file if federated is not None else self._context.environ.get(_TOKEN_FILE)
        return ClientAssertionCredential(tenant, client, lambda: self._resolved(Credential(file=path)), **more)

    def _who(self, given: Any) -> tuple[str, str]:
        if given is not None:
            return given.tenant_id.lower(), given.client_id
        return self._context.environ[_TENANT].lower(), self._context.environ[_CLIENT]

    def _resolved(self, credential: Credential) -> str:
        return resolve(credential, self._context.environ, store=self._context.name)

    def _way_out(self, address: str | None) -> LoginTransport:
        self._transport = self._transport or LoginTransport(address, self._context, self._tls)
        return self._transport


def _service_error(error: BaseException) -> Exception | None:
    """Why a service was out of reach, where that is what an error of a managed identity stands for."""
    cause = error.__cause__
    if isinstance(cause, StoreError):
        return cause
    if isinstance(cause, (ServiceRequestError, ServiceResponseError)):
        inner = cause.inner_exception
        return inner if isinstance(inner, Exception) else None
    return None


def _authority(config: AzureKeyVaultConfig, context: StoreContext) -> str:
    """Where one logs in: as the document says. A variable that says otherwise is refused, as it would be ignored."""
    authority = (config.authority_host or authority_of(config.vault_url)).rstrip("/")
    given = context.environ.get(AUTHORITY, "").strip()
    if given and origin_of(given if "://" in given else f"https://{given}") != origin_of(authority):
        raise StoreError(
            f"{context.name}: {AUTHORITY} names another login service than the SecretStore",
            store=context.name,
            hint="unset it, or say it in the SecretStore: authorityHost",
        )
    return authority
