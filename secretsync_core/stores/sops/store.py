"""The store: what a file holds, opened, changed, and put in place by what all stores of files share."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import itertools
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from secretsync_core.credentials import describe, resolve
from secretsync_core.errors import AccessDenied, InvalidSecret, SecretFails, SecretNotFound, StoreError
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.field_names import listed
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.directory.changing import ANY, Changing, check_token
from secretsync_core.stores.directory.listing import Listing
from secretsync_core.stores.directory.place import place_of_directory
from secretsync_core.stores.directory.reading import Reading
from secretsync_core.stores.directory.store import DirectoryStore, open_folders
from secretsync_core.stores.directory.writing import Writing
from secretsync_core.stores.fit import check_folder, check_size, json_fields_of
from secretsync_core.stores.sops import ini_text
from secretsync_core.stores.sops.document import DOTENV, INI, InPlainText, Sealed, new_file, same
from secretsync_core.stores.sops.dotenv_text import PREFIX
from secretsync_core.stores.sops.kms import Kms
from secretsync_core.stores.sops.layout import LIMITS, MAX_BYTES, FilePerSecret, form_of, is_secret
from secretsync_core.stores.sops.metadata import (
    CHECKSUM,
    SCOPE,
    KmsEntry,
    KmsKey,
    NoKey,
    Scope,
    Wrapped,
    data_key_of,
    identities_of,
    kms_entries_of,
    new_key,
    new_key_for,
    others_than_age,
    person_of,
    recipients_of,
)
from secretsync_core.stores.sops.rules import FILE as RULES
from secretsync_core.stores.sops.rules import rule_for, rule_for_new
from secretsync_core.stores.sops.values import Broken, leaves
from secretsync_core.stores.sops.yaml_text import SECTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.sops.config import SopsConfig
    from secretsync_core.stores.sops.document import Opened
    from secretsync_core.stores.sops.layout import Layout
    from secretsync_core.stores.sops.metadata import NewKey

T = TypeVar("T")

_MOST_ASKED = 10  # how often a file may be another one by the time that KMS has answered
_MOST_NOTES = 20  # files of which a plan tells that their recipients change
_BATCH = 100  # files that one step of a listing or a look reads


class _Asks(Exception):
    """KMS has to be asked first: to open one of ``entries``, or where there are none for a data key for ``keys``."""

    def __init__(self, entries: Sequence[KmsEntry] = (), keys: Sequence[KmsKey] = ()) -> None:
        super().__init__()
        self.entries, self.keys = entries, tuple(keys)


class _AsItIs(Exception):
    """There is nothing to be changed; ``token`` is what the secret has, if there is one."""

    def __init__(self, token: str | None) -> None:
        super().__init__()
        self.token = token


class SopsStore(DirectoryStore):
    """The store of sops files: see the package."""

    LIMITS = LIMITS

    def __init__(self, root: str, layout: Layout, config: SopsConfig, context: StoreContext) -> None:
        folders = open_folders(root, context, layout.only)
        self._root = folders.root
        self._layout = layout
        self._recipients = config.recipients
        self._rotate = config.rotate
        self._notes = context.notes
        self._told_of: set[str] = set()  # files of which a note says for whom they are
        self._identities = _identities(config, context)
        self._kms = Kms(config.kms, context) if config.kms is not None else None
        self._kms_keys = _kms_keys(config)
        self._by_kms: dict[KmsEntry, bytes] = {}  # the data keys that it has decrypted; empty for what is none
        self._wrapped: dict[tuple[KmsKey, ...], list[Wrapped]] = {}  # what it has encrypted, and no file has yet
        self._last: tuple[bytes, Sealed] | None = None  # of the one file; there is nothing in it in plain text
        self._sound: Sealed | None = None  # what of it has the right checksum
        self._moved: dict[object, str] = {}  # tokens of secrets in it to those they have by a new data key of ours
        self._reading = Reading(folders, MAX_BYTES)
        self._listing = Listing(folders)
        self._writing = Writing(folders, deep=not layout.only)
        self._changing = Changing(folders, self._reading, self._writing)
        place = place_of_directory(str(Path(folders.root, layout.only)))
        facts = StoreFacts(
            context.name, "sops", Shape.FIELDS, versioned=True, idle_writes=True, limits=layout.limits, place=place
        )
        super().__init__(context, facts, self._writing.sweeping)

    async def opened(self) -> SopsStore:
        """The store, once it is sure that KMS could be asked, if it is to be. Raises StoreError, and closes it then."""
        if self._kms is not None:
            try:
                await self._kms.open()
            except BaseException:
                await self.aclose()
                raise
        return self

    async def aclose(self) -> None:
        """Wait for what is under way, and close every connection."""
        await super().aclose()
        if self._kms is not None:
            await self._kms.aclose()

    async def _run_for(self, key: str, kind: str, step: Callable[[], T]) -> T:
        """Do this for a key; where it turns out that KMS is needed, ask it, and begin again.

        It is not asked in the middle, where a thread, a lock and a turn at the gate are held.
        """

        def guarded() -> T | _Asks:
            try:
                return step()
            except _Asks as asks:
                return asks.with_traceback(None)  # or it would keep what is to be written

        for _ in range(_MOST_ASKED):
            done = await super()._run_for(key, kind, guarded)
            if not isinstance(done, _Asks):
                return done
            try:
                await self._ask(key, done)
            except StoreError as error:
                error.unanswered = False  # whatever KMS did, nothing of the file has been written
                raise
        raise SecretFails(f"the file of {key} keeps changing", store=self._name, key=key)

    async def _ask(self, key: str, asks: _Asks) -> None:
        """Ask KMS. Raises what the last key raises where none of several can be used."""
        assert self._kms is not None  # noqa: S101  without it nothing of it is needed
        if not asks.entries:
            data_key = os.urandom(32)
            made = Wrapped(data_key, await self._kms.encrypt(data_key, key, asks.keys))
            self._wrapped.setdefault(asks.keys, []).append(made)
            return
        failed: StoreError | None = None
        for entry in asks.entries:
            try:
                found = self._by_kms[entry] = await self._kms.decrypt(entry, key)
            except AccessDenied as error:
                failed = error
                continue
            if found:
                return
        if failed is not None:
            raise failed

    # -- Reading

    async def read(self, key: str, version: str | None = None) -> Secret:
        """Read a secret. Raises InvalidSecret for a ``version`` and a file that is none of sops', AccessDenied without
        a key for it."""
        if version is not None:
            raise InvalidSecret("a sops store keeps no old versions", store=self._name, key=key)
        path, names = self._layout.place_of(key, self._name)

        def step() -> Secret:
            file = self._file(path)
            token = _token(file, names)
            if file is None or token is None:
                raise SecretNotFound(f"there is no secret {key}", store=self._name, key=key)
            plain: Any = self._told(path, key, lambda: self._plain(file, path))
            for name in names:
                plain = plain[name]
            return Secret(SecretValue(plain), token)

        return await self._run_for(key, "read", step)

    def _opened(self, file: Sealed, path: str) -> Opened:
        """A file with its values. Raises NoKey, and _Asks where KMS may open it."""
        known = self._arns_for(path)
        try:
            return file.opened(self._identities, self._by_kms, known)
        except NoKey:
            entries = kms_entries_of(file.section)
            wanted = [each for each in entries if each.arn in known and each not in self._by_kms]
            if not wanted:
                raise
        raise _Asks(wanted)

    def _plain(self, file: Sealed, path: str) -> dict[str, Any]:
        plain = self._opened(file, path).plain
        return ini_text.fields_of(plain) if file.form == INI and not self._layout.only else plain

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that is there, and a Gap for one whose file cannot be used."""
        remaining = iter(keys)
        while batch := tuple(itertools.islice(remaining, _BATCH)):
            for found in await self._stat(batch):
                yield found

    async def _stat(self, keys: Sequence[str]) -> Sequence[Entry | Gap]:
        return await self._run("stat", lambda: self._look(keys))

    def _look(self, keys: Sequence[str]) -> list[Entry | Gap]:
        if not os.path.lexists(self._root):
            self._reading.stat(())  # which says that it is not there
        found: list[Entry | Gap] = []
        files: dict[str, Sealed | StoreError | None] = {}
        for key in keys:
            try:
                path, names = self._layout.place_of(key, self._name)
                if path not in files:
                    files[path] = self._looked_at_or_why(path)
            except StoreError as error:
                found.append(Gap(key, error.code, error.message))
                continue
            file = files[path]
            if isinstance(file, StoreError):
                found.append(Gap(key, file.code, file.message))
                continue
            token = _token(file, names)
            if token is not None:
                found.append(Entry(key, token))
        return found

    def _looked_at_or_why(self, path: str) -> Sealed | StoreError | None:
        """A file for which no key is needed, or why it cannot be used: once for all of its secrets."""
        try:
            return self._looked_at(path)
        except StoreError as error:
            return error

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield the secrets of a folder in no order; ``metadata`` changes nothing, since there is none."""
        check_folder(prefix, self._name)
        if not isinstance(self._layout, FilePerSecret):
            for each in await self._run("list", lambda: (*self._inside(prefix, recursive=recursive),)):
                yield each
            return
        keys: list[str] = []
        async for found in self._walk(self._listing, self._layout.files(prefix, recursive=recursive)):
            if isinstance(found, Gap):
                yield found._replace(prefix=self._layout.key_of(found.prefix)) if found.is_key else found
                continue
            keys.append(self._layout.key_of(found.key))
            if len(keys) == _BATCH:
                for each in await self._listed(keys):
                    yield each
                keys = []
        for each in await self._listed(keys) if keys else ():
            yield each

    async def _listed(self, keys: Sequence[str]) -> Sequence[Entry | Gap]:
        looked = await self._run("list", lambda: self._look(keys))
        return [each._replace(is_key=True) if isinstance(each, Gap) else each for each in looked]

    def _inside(self, prefix: str, *, recursive: bool) -> Iterator[Entry | Gap]:
        """The secrets in the one file."""
        file = self._looked_at(self._layout.only)
        for names in self._layout.secrets_in(file.data) if file is not None else ():
            key = "/".join(names)
            if not key.startswith(prefix) or (not recursive and "/" in key[len(prefix) :]):
                continue
            try:
                reached = self._layout.place_of(key, self._name)[1] == names
            except InvalidSecret:
                reached = False
            if reached:
                yield Entry(key, _token(file, names))
            else:
                yield Gap(key, InvalidSecret.code, f"{key} has a name in it that no key can have", is_key=True)

    # -- Writing

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or change a secret; gives its version token, which stays where nothing changes."""
        return await self._write(key, value, ANY)

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        """The same, if the secret's token is ``expected`` (``None``: there is none). Raises Conflict."""
        return await self._write(key, value, expected)

    async def create(self, key: str, value: SecretValue) -> str | None:
        """The same, if there is no such secret. Raises Conflict where there is."""
        return await self._write(key, value, None)

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being written: the file, its rules, its recipients, our key for it."""
        path, names = self._layout.place_of(key, self._name)
        wanted = json_fields_of(value, self._facts, key)

        def step() -> None:
            self._writing.check(path)
            file = self._file(path) if os.path.lexists(self._root) else None
            with contextlib.suppress(_AsItIs):
                self._made(key, path, names, file, wanted, wrap=self._only_planned)

        await self._run_for(key, "stat", step)

    async def delete(self, key: str) -> None:
        """Remove a secret: its file, or the object in the file; and what is empty above it then."""
        await self._delete(key, ANY)

    async def delete_if(self, key: str, expected: str) -> None:
        """The same if its token is ``expected``; else raises Conflict."""
        await self._delete(key, expected)

    async def _write(self, key: str, value: SecretValue, expected: object) -> str | None:
        path, names = self._layout.place_of(key, self._name)
        wanted = json_fields_of(value, self._facts, key)
        token: str | None = None

        def make(data: bytes | None, _: str | None) -> bytes:
            nonlocal token
            file = None if data is None else self._sealed(path, data)
            self._check_token(key, names, file, expected)
            text, token = self._made(key, path, names, file, wanted)
            return text

        def step() -> str | None:
            try:
                self._changing.change(path, make)
            except _AsItIs as same_as_before:
                return same_as_before.token
            return token

        return await self._run_for(key, "write", step)

    async def _delete(self, key: str, expected: object) -> None:
        path, names = self._layout.place_of(key, self._name)

        def check(data: bytes) -> None:
            self._check_token(key, names, self._sealed(path, data), expected)

        def make(data: bytes | None, _: str | None) -> bytes:
            file = None if data is None else self._sealed(path, data)
            if _token(file, names) is None:
                raise _AsItIs(None)
            self._check_token(key, names, file, expected)
            return self._made(key, path, names, file, None)[0]

        def step() -> None:
            if not names:
                self._changing.remove(path, check=check)
            elif self._file(path) is not None:
                with contextlib.suppress(_AsItIs):
                    self._changing.change(path, make)

        await self._run_for(key, "delete", step)

    def _check_token(self, key: str, names: tuple[str, ...], file: Sealed | None, expected: object) -> None:
        token = _token(file, names)
        if expected not in self._moved or self._moved[expected] != token:
            check_token(self._name, key, token, expected)

    def _made(
        self,
        key: str,
        path: str,
        names: tuple[str, ...],
        file: Sealed | None,
        wanted: dict[str, Any] | None,
        wrap: Callable[[Sequence[KmsKey]], Wrapped] | None = None,
    ) -> tuple[bytes, str | None]:
        """What the file is to hold, and the secret's token then. ``wanted`` is None where the secret is to go.

        Raises InvalidSecret, which shows no value, AccessDenied without a key, and _AsItIs.
        """
        self._check_names(key, path, names, wanted)
        if wanted is not None and form_of(path) == INI and not names:
            wanted = ini_text.sections_of(wanted)
        now = datetime.now(UTC)

        def make() -> tuple[bytes, str | None]:
            if file is None:
                new = self._key_for_new(path, wrap or self._by_kms_wrapped)
                changed = new_file(form_of(path), new, _nested(names, wanted or {}), now)
            else:
                opened = self._opened(file, path)
                whole = self._with(key, opened.plain, names, wanted)
                beyond = self._is_beyond(file, path)
                if same(whole, opened.plain) and not beyond:
                    raise _AsItIs(_token(file, names))
                new_key = self._key_for(file, path, wrap or self._by_kms_wrapped) if beyond or self._rotate else None
                anew = names if wanted is not None else ()
                changed = opened.with_values(whole, now, anew=anew, new_key=new_key)
                if new_key is not None:
                    self._note_moves(file, changed)
            made = changed.text.encode()
            check_size(len(made), self._facts, key)
            self._last = made, changed
            return made, _token(changed, names)

        return self._told(path, key, make)

    def _with(
        self, key: str, plain: dict[str, Any], names: tuple[str, ...], wanted: dict[str, Any] | None
    ) -> dict[str, Any]:
        """All values of a file, with those of one secret."""
        if not names:
            return dict(wanted or {})
        whole = copy.deepcopy(plain)
        above: Any = whole
        passed: list[tuple[dict[str, Any], str]] = []
        for name in names[:-1]:
            passed.append((above, name))
            new = name not in above
            above = above.setdefault(name, {})
            if not isinstance(above, dict) or (is_secret(above) and not new):
                self._in_the_way(key, "/".join(names[: len(passed)]), "is a secret or a value already")
        there = above.get(names[-1])
        if names[-1] in above and (not isinstance(there, dict) or not is_secret(there)):
            self._in_the_way(key, key, "is a folder or a value already")
        if wanted is not None:
            above[names[-1]] = wanted
            return whole
        del above[names[-1]]
        for holder, name in reversed(passed):
            if not holder[name]:
                del holder[name]
        return whole

    def _in_the_way(self, key: str, what: str, why: str) -> None:
        hint = "a file holds a secret or a folder of one name: map the key to another one by a keyTransform"
        raise InvalidSecret(f"{self._name} cannot hold {key}: {what} {why}", store=self._name, key=key, hint=hint)

    def _check_names(self, key: str, path: str, names: tuple[str, ...], wanted: dict[str, Any] | None) -> None:
        """Raise InvalidSecret for fields that would not be read as what they are."""
        why = "" if wanted is None else _fault_of(form_of(path), names, wanted)
        if why:
            hint = "change its fields by a valueTransform: rename them, or make texts of them (asText: true)"
            raise InvalidSecret(f"{self._name} cannot hold {key}: {why}", store=self._name, key=key, hint=hint)

    # -- For whom files are

    def _arns_for(self, path: str) -> frozenset[str]:
        """The keys of KMS that may open a file, whatever it says itself. Raises Broken."""
        if self._kms_keys is not None:
            return frozenset(each.arn for each in self._kms_keys)
        rule = rule_for(str(Path(self._root, path)), self._root)
        return frozenset(each.arn for each in rule.kms_keys()) if rule is not None else frozenset()

    def _by_kms_wrapped(self, keys: Sequence[KmsKey]) -> Wrapped:
        """A new data key, for these keys of KMS if there are any. Raises _Asks where KMS has to be asked for one."""
        if not keys:
            return Wrapped.new()
        made = self._wrapped.get(tuple(keys))
        if made:
            return made.pop()
        raise _Asks(keys=keys)

    def _only_planned(self, keys: Sequence[KmsKey]) -> Wrapped:
        """One that no file ever has, and KMS is not asked for."""
        return Wrapped(os.urandom(32), [each.entry("A" * 260) for each in keys])

    def _told_recipients(self) -> tuple[str, ...] | None:
        """The age recipients of the document; None where it says nothing of who may read."""
        return self._recipients if self._recipients is not None or not self._kms_keys else ()

    def _key_for_new(self, path: str, wrap: Callable[[Sequence[KmsKey]], Wrapped]) -> NewKey:
        """The data key of a new file. Raises Broken."""
        told = self._told_recipients()
        if told is not None:
            return new_key(told, Scope.of({}), wrap(self._kms_keys or ()))
        rule = rule_for_new(str(Path(self._root, path)), self._root)
        readers, scope = rule.for_new(kms=self._kms_keys is None)
        return new_key(readers.recipients, scope, wrap(readers.keys))

    def _key_for(self, file: Sealed, path: str, wrap: Callable[[Sequence[KmsKey]], Wrapped]) -> NewKey:
        """A new data key for a file that is there, for those alone who are to have it. Raises Broken."""
        told = self._told_recipients()
        if told is not None:
            return new_key_for(file.section, told, wrap(self._kms_keys or ()))
        rule = rule_for_new(str(Path(self._root, path)), self._root)
        readers = rule.readers(kms=self._kms_keys is None)
        return new_key_for(file.section, readers.recipients, wrap(readers.keys))

    def _is_beyond(self, file: Sealed, path: str) -> bool:
        """Whether a file is for others than the document says, or than its creation rule has. Raises Broken.

        Whoever was one of them knows its data key, and could read all that is written by it.
        """
        recipients, others = recipients_of(file.section), others_than_age(file.section)
        told = self._told_recipients()
        if told is not None:
            arns = {each.arn for each in kms_entries_of(file.section)}
            return (
                arns != {each.arn for each in self._kms_keys or ()}
                or any(each != "kms" for each in others)
                or set(map(person_of, recipients)) != set(map(person_of, told))
            )
        rule = rule_for(str(Path(self._root, path)), self._root)
        return rule is not None and not rule.allows(file.section)

    def _tell_recipients(self, file: Sealed, path: str) -> None:
        """Note of a file that was looked at that its recipients will be others: for the plan."""
        if path in self._told_of or len(self._told_of) >= _MOST_NOTES:
            return
        try:
            beyond = self._is_beyond(file, path)
        except Broken:  # reading or writing it says so
            return
        if beyond:
            self._told_of.add(path)
            more = "; others like it are not named" if len(self._told_of) == _MOST_NOTES else ""
            whose = "the document says" if self._told_recipients() is not None else f"its creation rule in {RULES}"
            self._notes.append(
                f"{self._name}: {path} is encrypted for others than {whose}: with its next change its recipients "
                f"change to those, and all of it is encrypted by a new data key{more}"
            )

    def _note_moves(self, before: Sealed, after: Sealed) -> None:
        """Keep in mind that secrets beside the one that is written only look changed."""
        for names in self._layout.secrets_in(before.data):
            old, new = _token(before, names), _token(after, names)
            if old is not None and new is not None:
                self._moved[old] = new

    # -- Files

    def _looked_at(self, path: str) -> Sealed | None:
        """A file for which no key is needed. Raises InvalidSecret for what is none of sops'.

        The version of a secret in a file with others does not tell whether the file is whole: the checksum does,
        where we have a key for it.
        """
        file = self._file(path)
        if file is None:
            return None
        self._tell_recipients(file, path)
        if self._layout.only and file is not self._sound:

            def check() -> None:
                try:
                    data_key = data_key_of(file.section, self._identities, self._by_kms, self._arns_for(path))
                except (NoKey, Broken):  # whoever reads it is told
                    return
                file.opened_by(data_key)

            self._told(path, None, check)
            self._sound = file
        return file

    def _file(self, path: str) -> Sealed | None:
        """A file taken apart; None where there is none. Raises InvalidSecret for what is none of sops'."""
        try:
            data = self._reading.content(path)[0]
        except SecretNotFound:
            return None
        return self._sealed(path, data)

    def _sealed(self, path: str, data: bytes) -> Sealed:
        last = self._last
        if last is not None and last[0] == data and self._layout.only:
            return last[1]
        sealed = self._told(path, None, lambda: Sealed(data.decode(), form_of(path)))
        self._last = data, sealed
        return sealed

    def _told(self, path: str, key: str | None, step: Callable[[], T]) -> T:
        """Turn what is wrong with a file into our errors, to which nothing hangs on that holds a value."""
        try:
            return step()
        except NoKey:
            failed: StoreError = AccessDenied(
                f"no key of {self._name} opens {path}",
                store=self._name,
                key=key,
                hint="give ageKey, or kms; or add its recipient to .sops.yaml, and run: sops updatekeys",
            )
        except InPlainText as error:
            failed = InvalidSecret(
                f"{self._name} cannot hold {key}: the rules of {path} would leave {listed([error.name])} in plain text",
                store=self._name,
                key=key,
                hint="rename the field, or change what the file encrypts (encrypted_regex, unencrypted_suffix, …)",
            )
        except Broken as error:
            hint = error.hint or "look at it by: sops decrypt; and correct it by: sops edit"
            failed = InvalidSecret(f"{path} cannot be used: {error}", store=self._name, key=key, hint=hint)
        except UnicodeDecodeError:
            hint = "save it as UTF-8, by an editor; or keep such files elsewhere"
            failed = InvalidSecret(f"{path} cannot be used: it is not UTF-8 text", store=self._name, key=key, hint=hint)
        except UnicodeEncodeError:
            why = f"{self._name} cannot hold {key}: a text in it is not valid Unicode"
            failed = InvalidSecret(why, store=self._name, key=key, hint="change it where it comes from")
        except OverflowError:
            why = f"{self._name} cannot hold {key or path}: a number in it is too large"
            hint = "make a text of it: valueTransform: [{fields: {asText: true}}]"
            failed = InvalidSecret(why, store=self._name, key=key, hint=hint)
        raise failed


def _kms_keys(config: SopsConfig) -> tuple[KmsKey, ...] | None:
    """The keys of KMS that the document names; None where it leaves them to the creation rules."""
    if config.kms is None:
        return ()
    return tuple(map(KmsKey, config.kms.keys)) if config.kms.keys is not None else None


def _fault_of(form: str, names: tuple[str, ...], wanted: dict[str, Any]) -> str:
    """Why fields would not be read as what they are; empty where they would. ``names`` lead to them in a file."""
    if not names and SECTION in wanted:
        return f"the name {SECTION} is that of the section that sops keeps in each file"
    if form == DOTENV and any(name.startswith(PREFIX) for name in wanted):
        return f"names that begin with {PREFIX} are those of the section that sops keeps in each file"
    if form == INI:
        why = ini_text.fault_of_section(names[-1], wanted) if names else ini_text.fault_of(wanted)
        if why:
            return why
    elif names and not is_secret(wanted):
        return "all of its fields are objects, so that it would be a folder"
    if names and not any(value != "" for _, value in leaves(wanted)):
        return "it has no value to encrypt"
    return ""


def _identities(config: SopsConfig, context: StoreContext) -> list[Any]:
    if config.age_key is None:
        return []
    text = resolve(config.age_key, context.environ, store=context.name)
    try:
        return identities_of(text)
    except NoKey:
        pass
    raise StoreError(
        f"the {describe(config.age_key)} holds no age identity",
        store=context.name,
        hint="it must have lines AGE-SECRET-KEY-1…, as age-keygen writes them, or be an SSH key without a passphrase",
    )


def _nested(names: tuple[str, ...], value: dict[str, Any]) -> dict[str, Any]:
    for name in reversed(names):
        value = {name: value}
    return value


def _token(file: Sealed | None, names: tuple[str, ...]) -> str | None:
    """The version of a secret, made of its ciphertexts; None where there is none."""
    if file is None:
        return None
    found: Any = file.data
    for number, name in enumerate(names):
        if not isinstance(found, dict) or name not in found or (number and is_secret(found)):
            return None
        found = found[name]
    if names and (not isinstance(found, dict) or not is_secret(found)):
        return None
    # Which values are encrypted is a part of what they are. So is, of a whole file, the checksum with its time: it is
    # encrypted anew with every change. Of one among others it is not, for it changes with each of those.
    beside = {name: each for name, each in file.section.items() if name in (SCOPE if names else (*SCOPE, *CHECKSUM))}
    return hashlib.sha256(json.dumps([found, beside], sort_keys=True).encode()).hexdigest()[:40]
