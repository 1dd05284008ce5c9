"""The operations of the service that the store uses, one request each, and each answer by its types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.endurance import Progress
from secretsync_core.errors import SecretFails, SecretNotFound, StoreError
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.azure_key_vault.answers import Request, is_absent, is_disabled
from secretsync_core.stores.azure_key_vault.exchange import Refused
from secretsync_core.stores.azure_key_vault.seen import About, about, disabled_one_of, may_be_followed, named_in
from secretsync_core.stores.unanswered import Doubt
from secretsync_core.stores.unseen import Odd, one_by_one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.azure_key_vault.connection import Connection
    from secretsync_core.stores.azure_key_vault.exchange import Answer

PAGE = 25
"""The most that a page of a listing may have, by the specification."""


class Page(NamedTuple):
    """A part of a listing, and where it goes on: what each name stands for, and those that can be no key.

    ``odd`` are the names whose entries make no sense.
    """

    found: list[About]
    nameless: list[str]
    odd: list[tuple[str, Odd]]
    next: str | None


class Calls:
    """One request each; ``key`` is what a person calls the secret, and what errors name."""

    def __init__(self, connection: Connection) -> None:
        self.store = connection.store
        self._connection = connection

    # -- reading

    async def get(self, key: str, version: str = "") -> Secret:
        """One value: the current one, or of the version with this id."""
        request = self._request("read", key, "get")

        def read(answer: Answer) -> Secret:
            seen = self._one(answer.part, key)
            if version and seen.id != version.lower():
                raise answer.part.wrong("id", "that of the version that was asked for")
            if not version:
                self._check_settled(seen, answer)
            value = answer.part.text_or_none("value")
            if value is None:
                raise answer.part.wrong("value", "a text")
            return Secret(SecretValue(value.encode(errors="surrogatepass")), seen.token)

        path = f"/secrets/{key}/{version}"
        found = await self._connection.call("read", "GET", path, request, read)
        if not isinstance(found, Refused):
            return found
        if not is_absent(found.found):
            raise found.error(request)
        what = f"{key} has no such version in {self.store}" if version else f"{key} does not exist in {self.store}"
        raise SecretNotFound(what, store=self.store, key=key)

    async def current(self, key: str) -> About | None:
        """What stands at a key, by way of its value, which is let go at once: it alone tells the current version for
        sure where two were made within one second. None where it is disabled, or absent."""
        request = self._request("look at", key, "get")
        read = self._reading(key)
        found = await self._connection.call("stat", "GET", f"/secrets/{key}/", request, read, known=is_disabled)
        if isinstance(found, Refused) and is_disabled(found.found):
            return None
        return self._or_none(request, found)

    async def look(self, key: str, *, settled: bool = False) -> About | None:
        """The current version of a secret, without its value: the last one of all that it has.

        ``settled``: no other version can be made any more that has the same token. Until then it is asked again.
        """
        versions = [each async for each in self.versions(key, settled=settled)]
        if not versions:
            return None
        last = max(each.created for each in versions)
        latest = [each for each in versions if each.created == last]
        if len(latest) == 1:
            return latest[0]
        return await self.current(key) or disabled_one_of(latest)

    async def versions(self, key: str, *, settled: bool = False) -> AsyncIterator[About]:
        """Every version of a secret, in no order; none where it is absent."""
        request = self._request("look at", key, "list")
        path = f"/secrets/{key}/versions?maxresults={PAGE}"
        async for page in self._pages("stat", path, request, key=key, settled=settled):
            for each in page.found:
                yield each

    async def deleted(self, key: str, *, surely: bool = False) -> About | None:
        """What there is of a secret that is deleted; None where there is nothing.

        Of one that is disabled too only a listing tells. ``surely``: it was just deleted. Where the service does not
        show that yet, it is asked again.
        """
        request = self._request("look at what is deleted of", key, "get")
        found = await self._connection.call(
            "stat",
            "GET",
            f"/deletedsecrets/{key}",
            request,
            self._reading(key),
            known=is_disabled,
            absent=(lambda: self._under_way(key, "deleting")) if surely else None,
        )
        if isinstance(found, Refused) and is_disabled(found.found):
            listed = [each async for page in self.all_deleted() for each in page.found if each.key == key]
            return listed[0] if listed else None
        return self._or_none(request, found)

    def all(self) -> AsyncIterator[Page]:
        """Every secret, page by page."""
        request = Request(self.store, "list its secrets", "list")
        return self._pages("list", f"/secrets?maxresults={PAGE}", request)

    def all_deleted(self) -> AsyncIterator[Page]:
        """Every secret that is deleted and can be recovered."""
        request = Request(self.store, "list its deleted secrets", "list")
        return self._pages("list", f"/deletedsecrets?maxresults={PAGE}", request)

    # -- changing

    async def put(self, key: str, value: str, beside: Mapping[str, Any]) -> About | Refused:
        """Make a new version, with these tags and attributes and no others."""
        request = self._request("write", key, "set")
        return await self._connection.call(
            "write", "PUT", f"/secrets/{key}", request, self._reading(key), {"value": value, **beside}
        )

    async def patch(self, key: str, version: str, beside: Mapping[str, Any]) -> None:
        """Change what stands beside the value of one version. Raises SecretNotFound."""
        request = self._request("set what stands beside", key, "set")
        found = await self._connection.call(
            "metadata", "PATCH", f"/secrets/{key}/{version}", request, self._reading(key), beside
        )
        if isinstance(found, Refused):
            if is_absent(found.found):
                gone = SecretNotFound(f"{key} does not exist in {self.store}", store=self.store, key=key)
                raise Doubt(unanswered=found.unanswered).on(gone)
            raise found.error(request)

    async def delete(self, key: str) -> About | None:
        """Delete a secret; gives the version that was the current one. None where there was no such secret."""
        request = self._request("delete", key, "delete")
        read = self._reading(key)
        found = await self._connection.call("delete", "DELETE", f"/secrets/{key}", request, read)
        if isinstance(found, Refused) and found.unanswered and is_absent(found.found):
            # An attempt that got no answer may have done it, and which version that was has to be known.
            return await Doubt(unanswered=True).of(self.deleted(key, surely=True))
        return self._or_none(request, found)

    async def recover(self, key: str, *, surely: bool = False) -> About | None:
        """Have a deleted secret recovered, which takes the service a moment; gives what is recovered.

        None where it is not deleted any more after an attempt that got no answer: that may have done it, or somebody
        else. Raises SecretNotFound where it is not deleted. ``surely``: it was just deleted. Where the service does not
        know of that yet, it is asked again.
        """
        request = self._request("recover", key, "recover")
        found = await self._connection.call(
            "restore",
            "POST",
            f"/deletedsecrets/{key}/recover",
            request,
            self._reading(key),
            absent=(lambda: self._under_way(key, "deleting")) if surely else None,
        )
        if not isinstance(found, Refused):
            return found
        if not is_absent(found.found):
            raise found.error(request)
        if not found.unanswered:
            raise SecretNotFound(f"{key} is not deleted in {self.store}", store=self.store, key=key)
        return None

    async def recovered(self, key: str) -> About:
        """What was recovered. Until the service shows it, it is asked again, as after any failure."""
        if (seen := await self.look(key, settled=True)) is not None:
            return seen
        request = self._request("look at", key, "list")

        def read(answer: Answer) -> None:
            if not answer.part.items("value"):
                raise self._under_way(key, "recovering")

        found = await self._connection.call("stat", "GET", f"/secrets/{key}/versions?maxresults=1", request, read)
        seen = await self.look(key, settled=True)
        if isinstance(found, Refused) or seen is None:
            raise self._under_way(key, "recovering")
        return seen

    async def purge(self, key: str) -> bool:
        """Remove for good what is deleted, with all its versions. False where there was nothing deleted of that name.

        What is still being deleted is waited for, as after any failure.
        """
        request = self._request("purge", key, "purge")
        found = await self._connection.call(
            "delete", "DELETE", f"/deletedsecrets/{key}", request, lambda _: True, empty=True
        )
        if not isinstance(found, Refused):
            return True
        if not is_absent(found.found):
            raise found.error(request)
        return found.unanswered  # an attempt that got no answer has done it

    # -- in common

    def _check_settled(self, seen: About, answer: Answer) -> None:
        if may_be_followed(seen.created, answer.date):
            raise SecretFails(
                f"{self.store} has a version of {seen.key} from this very second, which another one may follow",
                store=self.store,
                key=seen.key,
                hint="sync again in a second",
            )

    def _under_way(self, key: str, what: str) -> StoreError:
        text = f"{self.store} is still {what} {key}"
        return SecretFails(text, store=self.store, key=key, hint="sync again in a minute")

    def _request(self, action: str, key: str, right: str) -> Request:
        return Request(self.store, f"{action} {key}", right, key)

    def _reading(self, key: str) -> Callable[[Answer], About]:
        return lambda answer: self._one(answer.part, key)

    def _one(self, part: Part, key: str) -> About:
        """The secret that an answer is about. Raises MalformedAnswer where it is another one than was asked for."""
        seen = self._about(part)
        if not isinstance(seen, About) or seen.key != key or not seen.id:
            raise part.wrong("id", "that of a version of the secret that was asked for")
        return seen

    def _or_none(self, request: Request, found: About | Refused) -> About | None:
        if not isinstance(found, Refused):
            return found
        if is_absent(found.found):
            return None
        raise found.error(request)

    async def _pages(
        self, kind: str, path: str, request: Request, *, key: str = "", settled: bool = False
    ) -> AsyncIterator[Page]:
        def read(answer: Answer) -> Page:
            return self._page(answer, key, settled=settled)

        progress = Progress(self.store, self._connection.endurance)
        where: str | None = path
        while where is not None:
            found = await self._connection.call(kind, "GET", where, request, read)
            if isinstance(found, Refused):
                if key and is_absent(found.found):
                    return
                raise found.error(request)
            progress.showed([each.id or each.key for each in found.found] + found.nameless + [*dict(found.odd)])
            yield found
            if found.next == where:
                raise StoreError(f"{self.store} gives the same page again and again", store=self.store)
            where = found.next

    def _page(self, answer: Answer, key: str, *, settled: bool) -> Page:
        """A page; ``key``: of the versions of this one."""
        part, found, nameless, odd = answer.part, list[About](), list[str](), list[tuple[str, Odd]]()
        entries = part.parts("value")  # also of an empty vault there is a list, which is empty
        if key:  # which of its versions is the current one only all of them tell
            found = [self._version(each, key, answer, settled=settled) for each in entries]
        else:
            for name, seen in one_by_one(entries, self._name, self._about):
                if isinstance(seen, About):
                    found.append(seen)
                elif isinstance(seen, Odd):
                    odd.append((name, seen))
                else:
                    nameless.append(seen)
        link = part.text_or_none("nextLink") or None
        if link is not None and not self._connection.is_here(link):
            raise part.wrong("nextLink", "an address of this vault")
        return Page(found, nameless, odd, link)

    def _version(self, part: Part, key: str, answer: Answer, *, settled: bool) -> About:
        seen = self._about(part)
        if isinstance(seen, str) or seen.key != key or not seen.id:
            raise part.wrong("id", "that of a version of the secret that was asked for")
        if settled:
            self._check_settled(seen, answer)
        return seen

    def _about(self, part: Part) -> About | str:
        return about(part, self._connection.is_here, deleted=True)

    def _name(self, part: Part) -> str:
        return named_in(part, self._connection.is_here, deleted=True)[0]
