"""One request to a vault, by the client of the SDK: it logs in and answers challenges, and repeats nothing."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import aiohttp
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.policies import AsyncRedirectPolicy, AsyncRetryPolicy
from azure.core.rest import HttpRequest
from azure.keyvault.secrets.aio import SecretClient

from secretsync_core.endurance import too_large
from secretsync_core.errors import StoreError
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.azure_key_vault.answers import error_of, is_absent, is_under_way, refusal_of
from secretsync_core.stores.azure_key_vault.exchange import Answer, Refused
from secretsync_core.stores.azure_key_vault.logins import Login
from secretsync_core.stores.azure_key_vault.quiet import quiet
from secretsync_core.stores.azure_key_vault.transport import CONNECT_SECONDS, READ_SECONDS, VaultTransport, origin_of
from secretsync_core.stores.connecting import connection_failure
from secretsync_core.stores.http import refuses, undecided, unreachable
from secretsync_core.stores.tls import context_for
from secretsync_core.stores.unanswered import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from secretsync_core.stores.azure_key_vault.answers import Refusal, Request
    from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
    from secretsync_core.stores.base import StoreContext

    T = TypeVar("T")

API_VERSION = "7.4"
"""The oldest that has all that is used here, so that sovereign clouds have it too."""

_FOR_THE_CALLER = frozenset({404, 409})


class Connection:
    """The requests of one store."""

    def __init__(self, config: AzureKeyVaultConfig, context: StoreContext) -> None:
        self.store = context.name
        self.endurance = context.endurance
        self.address = config.vault_url.rstrip("/")
        self._gate = context.gate
        tls = context_for(config.vault_url, config.tls, context.name)
        self._login = Login(config, context, tls)
        self._transport = VaultTransport(config.vault_url, context, tls, server_name=config.tls.server_name)
        credential: Any = self._login
        self._client = SecretClient(
            self.address,
            credential,
            api_version=API_VERSION,
            transport=self._transport,
            retry_policy=AsyncRetryPolicy.no_retries(),
            redirect_policy=AsyncRedirectPolicy.no_redirects(),
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            logging_enable=False,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.close()
        await self._transport.close()
        await self._login.close()

    def is_here(self, url: str) -> bool:
        """Whether an address is one of this vault."""
        return origin_of(url) == origin_of(self.address)

    async def call(
        self,
        kind: str,
        method: str,
        path: str,
        request: Request,
        read: Callable[[Answer], T],
        payload: Mapping[str, Any] | None = None,
        *,
        known: Callable[[Refusal], bool] = lambda _: False,
        absent: Callable[[], StoreError] | None = None,
        empty: bool = False,
    ) -> T | Refused:
        """One request; gives what ``read`` makes of the answer, and Refused for a 404 or 409 of Key Vault's own.

        ``known`` tells what else whoever asks knows how to take; ``absent`` gives the error that an absent secret is.
        ``empty``: the answer to be read has no content, and is HTTP 204.
        ``read`` is called within the attempt: an answer that it finds malformed is asked for again.
        """

        async def attempt() -> T | Refused:
            with quiet():
                session = self._login.begun
                status, headers, body = await self._sent(kind, method, path, request, payload)
                if status == 401 and self._login.forget(session):
                    status, headers, body = await self._sent(kind, method, path, request, payload)
            if empty and status == 204:
                return read(Answer(Part.of(request, "", {}), headers.get("Date", "")))
            if status == 200:
                return read(Answer(Part.of_body(request, body), headers.get("Date", "")))
            if not refuses(status):
                raise undecided(request, status)
            found = refusal_of(status, body)
            taken = status in _FOR_THE_CALLER and not is_under_way(found)
            if absent is not None and is_absent(found):
                raise absent()
            if found.is_vaults and (taken or known(found)):
                return Refused(found, headers)
            raise error_of(request, found, headers)

        answered, unanswered = await ask(self._gate, kind, attempt, lambda found: isinstance(found, Refused))
        return answered._replace(unanswered=unanswered) if isinstance(answered, Refused) else answered

    async def _sent(
        self, kind: str, method: str, path: str, request: Request, payload: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        message = HttpRequest(method, path, json=payload, headers={"Accept": "application/json"})
        failure: StoreError
        try:
            response = await self._client.send_request(message, stream=True)
            try:
                body = b"" if response.status_code == 401 else await self._body(response, kind, request)
            finally:
                await response.close()
        except StoreError:
            raise
        except (ServiceRequestError, ServiceResponseError) as error:
            inner = error.inner_exception or error
            cause = inner if isinstance(inner, Exception) else error
            failure = connection_failure(cause, request, proxied=self._transport.proxy is not None)
        except (AzureError, aiohttp.ClientError, OSError):
            failure = unreachable(self.store, "the connection was cut")
        except zlib.error:
            failure = malformed(request, "it cannot be decompressed")
        except ValueError:  # a challenge that is none of Key Vault's, or of another domain
            failure = malformed(request, "it asks us to log in for another service than this vault")
        else:
            return response.status_code, response.headers, body
        raise failure

    async def _body(self, response: Any, kind: str, request: Request) -> bytes:
        most, parts, size = self.endurance.most(kind), [], 0
        async for chunk in response.iter_bytes():
            size += len(chunk)
            if size > most:
                raise too_large(self.store, request.action, most)
            parts.append(chunk)
        return b"".join(parts)
