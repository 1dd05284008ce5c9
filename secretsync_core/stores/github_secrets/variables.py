"""Variables of Actions, which whoever may see the repository can read: they are no secrets to GitHub."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.errors import SecretNotFound, StoreError
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.fit import check_key
from secretsync_core.stores.github_secrets.names import KEY_LIMITS
from secretsync_core.stores.github_secrets.shelf import MAX_BYTES, Shelf
from secretsync_core.stores.github_secrets.transport import CREATED, DONE, Answer

if TYPE_CHECKING:
    from secretsync_core.stores.answers import Part


class GithubVariables(Shelf):
    """Reads, lists, writes, creates only what is absent, and deletes. There is no compare-and-set."""

    LIMITS = replace(KEY_LIMITS, max_bytes=MAX_BYTES, text_only=True, empty=False)

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The variable's value. A ``version`` is a StoreError: GitHub keeps none but the last."""
        check_key(key, self.facts.name, KEY_LIMITS)
        if version is not None:
            raise StoreError(f"{self.facts.name} keeps no older versions", store=self.facts.name, key=key)
        request = self._request("read", key, level="read")
        found = await self._transport.ask("read", "GET", self._path(key), request, lambda part: _secret(part, key))
        if not isinstance(found, Answer):
            return found
        if found.status != 404:
            raise found.refusal(request)
        await self._listing.confirm()
        raise SecretNotFound(f"{key} does not exist in {self.facts.name}", store=self.facts.name, key=key)

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace the variable; gives when that was, which takes a request of its own."""
        text = self._blob(key, value).decode()
        fields = {"name": key, "value": text, **await self._selected.fields()}
        request = self._request("write", key)
        answer = await self._transport.call("write", "PATCH", self._path(key), request, DONE, fields)
        if answer.status == 404:
            created = await self._transport.call("write", "POST", self._scope.base, request, CREATED, fields)
            answer = created.after(answer)
        if not answer.done:
            raise await self._refused(request, answer)

        async def holds() -> bool:
            return (await self.read(key)).value.reveal() == text.encode()

        return await self._version(key, answer, holds)

    async def create(self, key: str, value: SecretValue) -> str | None:
        """Create the variable. Raises Conflict where it is there."""
        text = self._blob(key, value).decode()
        fields = {"name": key, "value": text, **await self._selected.fields()}
        request = self._request("write", key)
        answer = await self._transport.call("write", "POST", self._scope.base, request, CREATED, fields)
        if not answer.done:
            raise await self._refused(request, answer)
        return await self._version(key, answer)


def _secret(part: Part, key: str) -> Secret:
    if part.text("name") != key:
        raise part.wrong("name", "the name that was asked for")
    value = part.text_or_none("value")
    if value is None:
        raise part.wrong("value", "a text")
    return Secret(SecretValue(value.encode()), part.time("updated_at"))
