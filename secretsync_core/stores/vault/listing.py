"""Lists folders, by the verbs that the server and whatever stands before it understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import orjson

from secretsync_core.stores.answers import Part
from secretsync_core.stores.bodies import body_of
from secretsync_core.stores.vault.answers import Request, is_vaults, refusal, says_nothing, without_a_word
from secretsync_core.stores.vault.keys import encoded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from secretsync_core.endurance import Endurance
    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.stores.vault.scan import Details
    from secretsync_core.stores.vault.transport import Transport

    T = TypeVar("T")
    Receive: TypeAlias = Callable[[Request, aiohttp.ClientResponse], Awaitable[T]]

_UNKNOWN_VERB = (400, 405, 501)


def _refuses_verb(status: int, body: bytes) -> bool:
    """Whether an answer may be a refusal of the verb alone: a proxy's, or of a server that does not know it."""
    return status in _UNKNOWN_VERB or (400 <= status < 500 and not is_vaults(body))


class Verb:
    """LIST or SCAN, in the form that gets through: some proxies refuse the verb, and let ``?list=true`` pass."""

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport = transport
        self._name = name
        self._as_query: bool | None = None  # not known before the first answer

    async def ask(self, path: str, request: Request, receive: Receive[T]) -> tuple[int, T | None, bytes]:
        """List ``path`` (not encoded, below the mount); gives what ``Transport.stream`` gives."""
        path = encoded(path)
        if not self._as_query:
            answer = await self._transport.stream(self._name, path, request, receive)
            if self._as_query is False or not _refuses_verb(answer[0], answer[2]):
                self._as_query = False
                return answer
        answer = await self._transport.stream("GET", f"{path}?{self._name.lower()}=true", request, receive)
        if not _refuses_verb(answer[0], answer[2]):
            self._as_query = True
        return answer


class Folder(NamedTuple):
    """What is in one folder: the keys of its secrets and its sub-folders, both whole, the latter ending in ``/``."""

    keys: list[str]
    folders: list[str]


class Listing:
    """The listings of one store. ``root`` is what stands before a folder in the API: ``metadata/`` for version 2."""

    def __init__(self, transport: Transport, root: str) -> None:
        self._transport = transport
        self._root = root
        self._list = Verb(transport, "LIST")
        self._scan = Verb(transport, "SCAN")
        self._without_scan = False  # the server does not know it
        self._scan_denied: set[str] = set()
        self._without_details = False
        self._details_denied: set[str] = set()
        self._with_folders: set[str] = set()

    @property
    def store(self) -> str:
        """The SecretStore's name."""
        return self._transport.store

    @property
    def endurance(self) -> Endurance:
        """How much of the server is put up with."""
        return self._transport.endurance

    def scan_is_closed(self, folder: str) -> bool:
        """Whether a SCAN of this folder is known to be of no use, because the server has none or denies it."""
        return self._without_scan or folder in self._scan_denied

    def details_are_closed(self, folder: str) -> bool:
        """The same of a listing with details."""
        return self._without_details or folder in self._details_denied

    def _request(self, folder: str) -> Request:
        transport = self._transport
        action = f"list {folder}" if folder else "list its top folder"
        return Request(transport.store, transport.mount, action, namespace=transport.namespace)

    async def _names_of_list(self, request: Request, response: aiohttp.ClientResponse) -> list[str]:
        """The names in the answer to a LIST. For an empty folder that is a 404: a 200 always has the list."""
        return _names(await self._root_of(request, response))

    async def _names_of_scan(self, request: Request, response: aiohttp.ClientResponse) -> list[str]:
        """The names in the answer to a SCAN."""
        root = await self._root_of(request, response)
        return [] if says_nothing(root) else _names(root)

    async def _root_of(self, request: Request, response: aiohttp.ClientResponse) -> Part:
        return Part.of_body(request, await body_of(response, self.endurance.most("list"), request))

    async def folder(self, folder: str) -> Folder:
        """What is in ``folder``; nothing where it does not exist.

        Raises AccessDenied where we may not list it, and StoreError where the answer does not say what is there.
        """
        request = self._request(folder)
        status, names, body = await self._list.ask(self._root + folder, request, self._names_of_list)
        if status == 404 and absent(body):
            return Folder([], [])
        if status != 200 or names is None:
            raise refusal(request, status, body, {})
        keys = [folder + name for name in names if not name.endswith("/")]
        folders = [folder + name for name in names if name.endswith("/")]
        self._note(folder, has_folders=bool(folders))
        return Folder(keys, folders)

    async def all_keys(self, prefix: str) -> list[str] | None:
        """Every key below ``prefix`` by one SCAN; ``None`` where the server has none or denies it."""
        names = await self._scanned(self._root + prefix, prefix, self._names_of_scan)
        return None if names is None else [prefix + name for name in names if not name.endswith("/")]

    async def all_details(self, prefix: str, details: Details) -> list[Entry | Gap] | None:
        """Every entry below ``prefix``, last first, by one SCAN; ``None`` where the server has none or denies it."""
        return await self._scanned(f"detailed-{self._root}{prefix}", prefix, details.receive)

    async def level_details(self, folder: str, details: Details) -> list[Entry | Gap] | None:
        """The entries directly in ``folder``, last first, in one request; ``None`` where that is not to be had."""
        if self._without_details or folder in self._details_denied:
            return None
        path = f"detailed-{self._root}{folder}"
        status, found, _ = await self._list.ask(path, self._request(folder), details.receive)
        if status == 403:
            self._details_denied.add(folder)
        elif found is not None:
            self._note(folder, has_folders=details.has_folders)
        elif status not in (200, 404):  # a 404 may be an empty folder as well: a plain LIST will tell
            self._without_details = True
        return found

    def shows_folders(self, folder: str) -> bool:
        """Whether the last listing of ``folder`` alone showed folders in it."""
        return folder in self._with_folders

    def _note(self, folder: str, *, has_folders: bool) -> None:
        (self._with_folders.add if has_folders else self._with_folders.discard)(folder)

    async def _scanned(self, path: str, prefix: str, receive: Receive[T]) -> T | None:
        if self._without_scan or prefix in self._scan_denied:
            return None
        status, found, _ = await self._scan.ask(path, self._request(prefix), receive)
        if status == 403:
            self._scan_denied.add(prefix)
        elif status != 200:
            # A 404 too: LIST will tell an empty folder from a server (HashiCorp Vault) that has no such path.
            self._without_scan = True
        return found


def _names(root: Part) -> list[str]:
    names = root.part("data").texts("keys")
    if not names:  # a policy may leave out every name
        without_a_word(root)
    return names


def absent(body: bytes) -> bool:
    """Whether a 404 says that there is nothing at that path, and not that the API has no such path.

    The latter comes with a warning.
    """
    try:
        answer = orjson.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("errors") == [] and not answer.get("warnings")
