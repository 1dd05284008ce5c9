"""Puts a store together from its parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError
from secretsync_core.stores.github_secrets.answers import Request
from secretsync_core.stores.github_secrets.app import AppLogin
from secretsync_core.stores.github_secrets.place import place_by
from secretsync_core.stores.github_secrets.scope import scope_of
from secretsync_core.stores.github_secrets.secrets import GithubSecrets
from secretsync_core.stores.github_secrets.tokens import TokenAuth
from secretsync_core.stores.github_secrets.transport import Answer, Transport
from secretsync_core.stores.github_secrets.variables import GithubVariables
from secretsync_core.stores.renamed import path_by_number, tellable
from secretsync_core.stores.tls import context_for

if TYPE_CHECKING:
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.github_secrets.config import GithubSecretsConfig
    from secretsync_core.stores.github_secrets.scope import Scope

_BY_NUMBER = re.compile(r"/repositories/[0-9]{1,19}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}(?:/[A-Za-z0-9._-]{1,100})?")


async def open_github(config: GithubSecretsConfig, context: StoreContext) -> GithubSecrets | GithubVariables:
    """See ``open_store``. What was opened halfway is closed again where an error ends it."""
    tls = context_for(config.address, config.tls, context.name)
    scope = scope_of(config)
    transport = Transport(config, context, tls)
    if config.auth.app is not None:
        transport.auth = AppLogin(config.auth.app, context, transport, scope)
    elif config.auth.token is not None:
        transport.auth = TokenAuth(config.auth.token, context)
    try:
        place = place_by(config, await _number(transport, scope.whole))
    except BaseException:
        if transport.auth is not None:
            await transport.auth.aclose()
        await transport.aclose()
        raise
    kind = GithubVariables if config.kind == "Variables" else GithubSecrets
    return kind(config, transport, scope, place)


async def _number(transport: Transport, scope: Scope) -> int:
    """The id of the repository or organization, which it keeps under every name.

    Raises StoreError where it has another name by now. Nothing is written under a name that GitHub only redirects: what
    a policy permits, and who may read the secrets, hangs on whose repository it is.
    """
    request = Request(transport.store, scope, f"show the {scope.holder}")

    found = await transport.ask("stat", "GET", scope.home, request, lambda part: _called(part, scope))
    if isinstance(found, Answer):
        error = found.refusal(request)
        told = await _new_name(transport, scope, found)
    else:
        number, name = found
        if name.lower() == scope.home.partition("/")[2].partition("/")[2].lower():
            return number
        error = StoreError(f"{transport.store}: the {scope.holder} has another name", store=transport.store)
        told = await _tellable(transport, name)
    if told:
        error.hint = (
            f"the {scope.holder} is called {told} now: give that as {scope.field} in the SecretStore, if the "
            "secrets are still to go there"
        )
    raise error


def _called(part: Part, scope: Scope) -> tuple[int, str]:
    return part.number("id", least=1), part.text("full_name" if scope.repository else "login")


async def _new_name(transport: Transport, scope: Scope, answer: Answer) -> str:
    """What a repository is called now, where it has another name; empty where GitHub does not tell.

    Asked for at the very server of the document, and by nothing of the answer but a number.
    """
    path = path_by_number(answer.status, answer.headers.get("Location", ""), transport.address, _BY_NUMBER)
    if not path:
        return ""
    request = Request(transport.store, scope, "tell the new name of its repository")
    try:
        found = await transport.ask("stat", "GET", path, request, lambda part: _called(part, scope))
    except StoreError:
        return ""
    return "" if isinstance(found, Answer) else await _tellable(transport, found[1])


async def _tellable(transport: Transport, name: str) -> str:
    """A name that an answer gives, if it is one; empty where it may be what we sent."""
    assert transport.auth is not None  # noqa: S101  it has just asked
    return tellable(name, _NAME, await transport.auth.token())
