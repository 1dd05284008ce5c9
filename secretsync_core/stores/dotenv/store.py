"""The store: what a secret's file holds, read, changed, and put in place by what all stores of files share."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret, SecretNotFound
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.field_names import listed
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.directory.changing import ANY, Changing, check_token
from secretsync_core.stores.directory.listing import BATCH, Listing
from secretsync_core.stores.directory.place import place_of_directory
from secretsync_core.stores.directory.reading import Reading
from secretsync_core.stores.directory.store import DirectoryStore, open_folders
from secretsync_core.stores.directory.writing import Writing
from secretsync_core.stores.dotenv.layout import LIMITS, MAX_BYTES, PerFolder
from secretsync_core.stores.dotenv.lines import Lines
from secretsync_core.stores.dotenv.quoting import Unquotable
from secretsync_core.stores.fit import check_folder, check_size, json_fields_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping
    from typing import TypeVar

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.dotenv.layout import Layout

    T = TypeVar("T")

_ENCODE = "change it at the source, or send its base64 by a template: {{ NAME | b64encode }}"


class DotenvStore(DirectoryStore):
    """The store of ``.env`` files: see the package."""

    LIMITS = LIMITS

    def __init__(self, root: str, layout: Layout, context: StoreContext) -> None:
        folders = open_folders(root, context, layout.only)
        self._root = folders.root
        self._layout = layout
        self._reading = Reading(folders, MAX_BYTES)
        self._listing = Listing(folders)
        self._writing = Writing(folders, deep=not layout.only)
        self._changing = Changing(folders, self._reading, self._writing)
        place = place_of_directory(folders.root)
        facts = StoreFacts(context.name, "dotenv", Shape.FIELDS, versioned=True, limits=layout.limits, place=place)
        super().__init__(context, facts, self._writing.sweeping)

    async def read(self, key: str, version: str | None = None) -> Secret:
        """Read a file's variables. Raises InvalidSecret for a ``version``, and for what is no such file."""
        if version is not None:
            raise InvalidSecret("a dotenv store keeps no old versions", store=self._name, key=key)
        path = self._layout.path_of(key, self._name)

        def step() -> Secret:
            try:
                data, token = self._reading.content(path)
            except SecretNotFound:
                raise SecretNotFound(f"there is no secret {key}", store=self._name, key=key) from None
            return Secret(SecretValue(dict(self._lines(path, data).variables)), token)

        return await self._run_for(key, "read", step)

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that has a file, and a Gap for one whose file is anything else."""
        paths = []
        for key in keys:
            try:
                paths.append(self._layout.path_of(key, self._name))
            except InvalidSecret as error:
                yield Gap(key, error.code, error.message)
        remaining = iter(paths)
        while batch := tuple(itertools.islice(remaining, BATCH)):
            for found in await self._stat(batch):
                if isinstance(found, Entry):
                    yield found._replace(key=self._layout.key_of(found.key))
                else:
                    yield found._replace(prefix=self._layout.key_of(found.prefix))

    async def _stat(self, paths: tuple[str, ...]) -> Collection[Entry | Gap]:
        return await self._run("stat", lambda: self._reading.stat(paths))

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield the secrets of a folder in no order; ``metadata`` changes nothing, since files carry none."""
        check_folder(prefix, self._name)
        if isinstance(self._layout, PerFolder):
            async for found in self._walk(self._listing, self._layout.files(prefix, recursive=recursive)):
                for each in self._layout.told(found):
                    yield each
        elif not prefix:
            for each in await self._run("list", lambda: self._reading.stat((self._layout.only,))):
                yield each

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create the file or change its lines; gives its version token. Creates the folders that it needs."""
        return await self._write(key, value, ANY)

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        """The same, if the file's token is ``expected`` (``None``: there is none). Raises Conflict."""
        return await self._write(key, value, expected)

    async def create(self, key: str, value: SecretValue) -> str | None:
        """The same, if there is no such file. Raises Conflict where there is."""
        return await self._write(key, value, None)

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being written: its names, its texts, or what stands in the file's place."""
        path, wanted = self._layout.path_of(key, self._name), self._texts(key, value)

        def step() -> None:
            data = None
            self._writing.check(path)
            if os.path.lexists(self._root):
                with contextlib.suppress(SecretNotFound):
                    data, _ = self._reading.content(path)
            self._made(key, path, data, wanted)

        await self._run_for(key, "stat", step)

    async def delete(self, key: str) -> None:
        """Remove the file, its comments with it, and the folders above it that are empty then."""
        path = self._layout.path_of(key, self._name)
        await self._run_for(key, "delete", lambda: self._changing.remove(path))

    async def delete_if(self, key: str, expected: str) -> None:
        """The same if its token is ``expected``; else raises Conflict."""
        path = self._layout.path_of(key, self._name)
        await self._run_for(key, "delete", lambda: self._changing.remove(path, expected))

    async def _write(self, key: str, value: SecretValue, expected: object) -> str:
        path, wanted = self._layout.path_of(key, self._name), self._texts(key, value)

        def make(data: bytes | None, token: str | None) -> bytes:
            check_token(self._name, key, token, expected)
            return self._made(key, path, data, wanted)

        return await self._run_for(key, "write", lambda: self._changing.change(path, make))

    def _texts(self, key: str, value: SecretValue) -> dict[str, str]:
        """The variables that a value comes to. Raises InvalidSecret."""
        fields = json_fields_of(value, self._facts, key)
        return {name: field for name, field in fields.items() if isinstance(field, str)}

    def _lines(self, path: str, data: bytes) -> Lines:
        """A file taken apart. Raises InvalidSecret where that cannot be done for sure."""
        try:
            lines = Lines(data.decode())
        except UnicodeDecodeError:
            raise InvalidSecret(f"{path} is not text in UTF-8", store=self._name) from None
        if (broken := lines.broken_line) is not None:
            raise InvalidSecret(
                f"{path} is no .env file: line {broken} is neither NAME=VALUE nor a comment",
                store=self._name,
                hint="correct that line: a quote is not closed, or something follows the closing one",
            )
        self._check_alone(path, lines, lines.variables)
        return lines

    def _check_alone(self, path: str, lines: Lines, names: Collection[str]) -> None:
        """Raise InvalidSecret where one of ``names`` stands somewhere without a value, too."""
        both = sorted(lines.alone.keys() & set(names))
        if both:
            raise InvalidSecret(
                f"{path} has {listed(both)} without a value in line {lines.alone[both[0]]}: some programs take the "
                "value back there, and others do not",
                store=self._name,
                hint="remove that line; to export a variable, write export NAME=value",
            )

    def _made(self, key: str, path: str, data: bytes | None, wanted: Mapping[str, str]) -> bytes:
        """What the file is to hold. Raises InvalidSecret, which shows no value."""
        lines = self._lines(path, data or b"")
        self._check_alone(path, lines, wanted)
        made, why = "", ""
        try:
            made = lines.changed(wanted)
        except Unquotable as error:
            why = f"{listed([error.name])} cannot be written so that all programs read the same: {error}"
        if why:  # out here, where nothing that knows the value hangs on to it
            raise InvalidSecret(f"{self._name} cannot hold {key}: {why}", store=self._name, key=key, hint=_ENCODE)
        if Lines(made).variables != wanted:  # rather nothing than something else
            raise InvalidSecret(f"{key} cannot be written: its file would be read as something else", store=self._name)
        encoded = made.encode()
        check_size(len(encoded), self._facts, key)
        return encoded
