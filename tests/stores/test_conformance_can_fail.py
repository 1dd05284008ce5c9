"""The conformance suite finds stores that are wrong: each of these has one fault, and fails the test that names it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from support.slow import one_in

# Imported here so that the runs below share them: each run forgets what was first imported within it.
import secretsync_core.stores.memory
import secretsync_core.testing.conformance  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Sequence

pytest_plugins = ("pytester",)

SUITE = """
    import pytest
    from secretsync_core.errors import Conflict, InvalidSecret, SecretNotFound
    from secretsync_core.model.capabilities import Ability, Shape
    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores import memory
    from secretsync_core.stores.memory import MemoryStore
    from secretsync_core.testing.conformance import StoreConformance

    SHAPE = Shape.FIELDS

    {store}

    class TestWrong(StoreConformance):
        abilities = frozenset(Ability)

        @pytest.fixture
        async def store(self, context):
            memory.reset()
            return Wrong(SHAPE, context)

        @pytest.fixture
        async def marked(self, store, marked_context):
            return Wrong(SHAPE, marked_context)

        @pytest.fixture
        async def read_only(self, store, context):
            return ReadOnly(SHAPE, context) if "ReadOnly" in globals() else None
"""

WRONG = {
    "compares nothing": (
        """
        class Wrong(MemoryStore):
            async def write_if(self, key, value, expected):
                return await self.write(key, value)
        """,
        ["test_write_if_writes_only_what_was_seen", "test_of_two_writers_one_wins"],
    ),
    "foretells what it then takes": (
        """
        class Wrong(MemoryStore):
            async def check_write(self, key, value, expected):
                raise InvalidSecret("no", key=key)
        """,
        ["test_what_it_would_refuse_is_foretold", "test_to_foretell_changes_nothing"],
    ),
    "foretells nothing": (
        """
        class Wrong(MemoryStore):
            async def check_write(self, key, value, expected): ...
        """,
        ["test_what_it_would_refuse_is_foretold"],
    ),
    "writes to foretell": (
        """
        class Wrong(MemoryStore):
            async def check_write(self, key, value, expected):
                await self.write(key, value)
        """,
        ["test_to_foretell_changes_nothing"],
    ),
    "compares, then writes": (
        """
        import asyncio
        class Wrong(MemoryStore):
            async def write_if(self, key, value, expected):
                found = [entry async for entry in self.stat([key])]
                if (found[0].version if found else None) != expected:
                    raise Conflict("changed", key=key)
                await asyncio.sleep(0)
                return await self.write(key, value)
        """,
        ["test_of_two_writers_one_wins"],
    ),
    "writes, then raises the conflict": (
        """
        class Wrong(MemoryStore):
            async def write_if(self, key, value, expected):
                try:
                    return await super().write_if(key, value, expected)
                except Conflict:
                    await self.write(key, value)
                    raise
        """,
        ["test_write_if_writes_only_what_was_seen"],
    ),
    "lost delete to a wrong name": (
        """
        class Wrong(MemoryStore):
            delete = None
            async def remove(self, key): ...
        """,
        ["test_it_can_do_what_is_promised_and_no_more", "test_no_ability_is_half_there"],
    ),
    "reads without stat": (
        """
        class Wrong(MemoryStore):
            stat = None
        """,
        ["test_no_ability_is_half_there"],
    ),
    "shows no values, and every key": (
        """
        class Wrong(MemoryStore):
            read = None
            async def stat(self, keys):
                for key in await self._run("stat", lambda: tuple(keys)):
                    yield Entry(key, "1")
        """,
        [
            "test_it_can_do_what_is_promised_and_no_more",
            "test_stat_leaves_out_what_is_absent",
            "test_list_and_stat_agree",
        ],
    ),
    "deletes nothing": (
        """
        class Wrong(MemoryStore):
            async def delete(self, key):
                await self._gate("delete", lambda: self._nothing())
            async def _nothing(self): ...
        """,
        ["test_what_was_deleted_is_gone"],
    ),
    "brings back whatever was deleted": (
        """
        class Wrong(MemoryStore):
            async def undelete(self, key, version):
                return await self._run("undelete", lambda: self._back(key))
            def _back(self, key):
                if key not in self._data.secrets:
                    raise SecretNotFound("no", key=key)
                self._data.secrets[key].deleted = False
                return self._data.secrets[key].token
        """,
        ["test_undelete_brings_back_only_what_was_seen"],
    ),
    "brings back while it looks": (
        """
        class Wrong(MemoryStore):
            async def check_undelete(self, key, version):
                await self.undelete(key, version)
        """,
        ["test_what_was_deleted_comes_back_as_it_was"],
    ),
    "misses what it permits": (
        """
        from secretsync_core.model.access import Missing
        class Wrong(MemoryStore):
            async def check_access(self, wanted):
                await self._run("stat", lambda: None)
                return [Missing(each, "more") for each in wanted]
        """,
        ["test_what_it_permits_is_not_missing"],
    ),
    "takes an outage for permission": (
        """
        from secretsync_core.errors import StoreError
        class Wrong(MemoryStore):
            async def check_access(self, wanted):
                try:
                    await self._run("stat", lambda: None)
                except StoreError:
                    pass
                return []
        """,
        ["test_a_store_that_cannot_be_asked_says_so"],
    ),
    "tries what it is asked about": (
        """
        class Wrong(MemoryStore):
            async def check_access(self, wanted):
                for act, key in wanted:
                    if act == "create":
                        await self.write(key, SecretValue({"a": "b"}))
                return []
        """,
        ["test_what_it_permits_is_not_missing"],
    ),
    "permits nothing and does not say so": (
        """
        from secretsync_core.errors import AccessDenied
        class Wrong(MemoryStore):
            async def check_access(self, wanted):
                await self._run("stat", lambda: None)
                return []
        class ReadOnly(Wrong):
            async def write(self, key, value):
                raise AccessDenied("no", key=key)
        """,
        ["test_what_it_would_refuse_is_missing"],
    ),
    "deletes by prefix": (
        """
        class Wrong(MemoryStore):
            async def delete(self, key):
                self._check_key(key)
                for other in [k for k in self._data.secrets if k.startswith(key)]:
                    await super().delete(other)
        """,
        ["test_what_was_deleted_is_gone", "test_a_folder_is_not_deleted_by_its_name"],
    ),
    "counts versions from one again": (
        """
        class Wrong(MemoryStore):
            async def write(self, key, value):
                token = await super().write(key, value)
                stored = self._data.secrets[key]
                number, payload = stored.versions[-1]
                stored.versions[-1] = (number.partition("@")[0], payload)
                return stored.token
            async def delete(self, key):
                await super().delete(key)
                self._data.secrets.pop(key, None)
        """,
        ["test_versions_tell_every_write"],
    ),
    "makes versions of the content": (
        """
        import hashlib
        class Wrong(MemoryStore):
            async def write(self, key, value):
                await super().write(key, value)
                stored = self._data.secrets[key]
                payload = stored.versions[-1][1]
                stored.versions[-1] = (hashlib.sha256(repr(payload).encode()).hexdigest(), payload)
                return stored.token
        """,
        ["test_versions_tell_every_write"],
    ),
    "has versions and does not say so": (
        """
        import dataclasses
        class Wrong(MemoryStore):
            @property
            def facts(self):
                return dataclasses.replace(super().facts, versioned=False)
        """,
        ["test_versions_tell_every_write"],
    ),
    "mangles keys": (
        """
        class Wrong(MemoryStore):
            async def write(self, key, value):
                return await super().write(key.replace(" ", "-"), value)
            async def read(self, key, version=None):
                return await super().read(key.replace(" ", "-"), version)
            def stat(self, keys):
                return super().stat([key.replace(" ", "-") for key in keys])
        """,
        ["test_odd_keys_round_trip_or_are_refused[with space]"],
    ),
    "tidies paths up": (
        """
        import posixpath
        class Wrong(MemoryStore):
            async def read(self, key, version=None):
                return await super().read(posixpath.normpath(key), version)
        """,
        ["test_keys_that_are_none_touch_nothing[folder/../witness]"],
    ),
    "takes every error for absence": (
        """
        class Wrong(MemoryStore):
            async def read(self, key, version=None):
                try:
                    return await super().read(key, version)
                except Exception:
                    raise SecretNotFound("no such secret", key=key) from None
        """,
        ["test_a_failed_request_is_told[StoreUnavailable]", "test_a_failed_request_is_told[AccessDenied]"],
    ),
    "lists nothing after an error": (
        """
        class Wrong(MemoryStore):
            async def list(self, prefix, *, recursive, metadata):
                try:
                    async for entry in super().list(prefix, recursive=recursive, metadata=metadata):
                        yield entry
                except Exception:
                    return
        """,
        ["test_a_failed_request_is_told[StoreUnavailable]"],
    ),
    "takes prefixes for folders": (
        """
        class Wrong(MemoryStore):
            async def list(self, prefix, *, recursive, metadata):
                async for entry in super().list("", recursive=True, metadata=metadata):
                    if entry.key.startswith(prefix.rstrip("/")):
                        yield entry
        """,
        ["test_listing_keeps_to_its_folder"],
    ),
    "leaves out what is wanted": (
        """
        class Wrong(MemoryStore):
            async def select(self, wanted, *, metadata):
                async for entry in self.list(wanted.folder, recursive=False, metadata=metadata):
                    yield entry
        """,
        ["test_selecting_gives_all_that_is_wanted"],
    ),
    "goes around the gate": (
        """
        class Wrong(MemoryStore):
            async def read(self, key, version=None):
                return self._read(key, version)
        """,
        ["test_every_request_passes_the_gate"],
    ),
    "shows values": (
        """
        class Wrong(MemoryStore):
            async def write_if(self, key, value, expected):
                try:
                    return await super().write_if(key, value, expected)
                except Conflict as error:
                    raise Conflict(f"cannot write {value.reveal()}", key=key) from error
        """,
        ["test_no_value_is_shown"],
    ),
    "forgets that its write may have counted": (
        """
        class Wrong(MemoryStore):
            async def write_if(self, key, value, expected):
                try:
                    return await super().write_if(key, value, expected)
                except Conflict:
                    raise Conflict("changed", key=key) from None
        """,
        ["test_a_lost_answer_is_told"],
    ),
    "makes another error of the gate's": (
        """
        from secretsync_core.errors import StoreError
        class Wrong(MemoryStore):
            async def delete(self, key):
                try:
                    await super().delete(key)
                except StoreError:
                    raise StoreError("cannot delete", key=key) from None
        """,
        ["test_what_the_gate_knows_comes_through"],
    ),
    "repeats what a defect said": (
        """
        from secretsync_core.errors import StoreUnavailable
        class Wrong(MemoryStore):
            async def write(self, key, value):
                try:
                    return await super().write(key, value)
                except RuntimeError as error:
                    raise StoreUnavailable(f"cannot write: {error}", key=key) from None
        """,
        ["test_nothing_but_errors_of_ours_gets_out"],
    ),
    "logs values": (
        """
        import logging
        class Wrong(MemoryStore):
            async def write(self, key, value):
                logging.getLogger("wrong").debug("writing %s", value.reveal())
                return await super().write(key, value)
        """,
        ["test_no_value_is_shown"],
    ),
    "merges": (
        """
        class Wrong(MemoryStore):
            async def write(self, key, value):
                try:
                    old = (await self.read(key)).value.reveal()
                except SecretNotFound:
                    old = {}
                new = value.reveal()
                return await super().write(key, SecretValue({**old, **new}) if isinstance(new, dict) else value)
        """,
        ["test_a_write_replaces_all_of_it"],
    ),
    "makes text of everything": (
        """
        class Wrong(MemoryStore):
            async def write(self, key, value):
                new = value.reveal()
                if isinstance(new, dict):
                    value = SecretValue({name: str(item) for name, item in new.items()})
                return await super().write(key, value)
        """,
        [
            "test_values_round_trip_or_are_refused[not-text]",
            "test_numbers_are_exact_or_refused[2**53+1]",
        ],
    ),
    "keeps what it was handed": (
        """
        class Wrong(MemoryStore):
            def _copied(self, payload):
                return payload
        """,
        ["test_values_are_copied"],
    ),
    "takes both shapes": (
        """
        class Wrong(MemoryStore):
            async def write(self, key, value):
                if value.is_blob:
                    value = SecretValue({"value": value.reveal().decode()})
                return await super().write(key, value)
        """,
        ["test_the_other_shape_is_refused"],
    ),
    "ignores pins": (
        """
        class Wrong(MemoryStore):
            async def read(self, key, version=None):
                return await super().read(key)
        """,
        ["test_old_versions_can_be_pinned"],
    ),
    "creates over what is there": (
        """
        class Wrong(MemoryStore):
            async def create(self, key, value):
                return await self.write(key, value)
        """,
        ["test_create_never_replaces", "test_of_several_creators_one_wins"],
    ),
    "loses its mark": (
        """
        class Wrong(MemoryStore):
            async def write(self, key, value):
                known = key in self._data.secrets
                token = await super().write(key, value)
                if known:
                    self._data.secrets[key].metadata.clear()
                return token
        """,
        ["test_what_it_creates_carries_the_mark"],
    ),
    "marks what others created": (
        """
        from secretsync_core.stores.base import MARK_KEY
        class Wrong(MemoryStore):
            async def write(self, key, value):
                token = await super().write(key, value)
                self._data.secrets[key].metadata[MARK_KEY] = self._mark
                return token
        """,
        ["test_what_others_created_is_marked_only_on_demand"],
    ),
    "says that it has no folders": (
        """
        import dataclasses
        class Wrong(MemoryStore):
            @property
            def facts(self):
                facts = super().facts
                limits = dataclasses.replace(facts.limits, key_pattern="[^/.]+")
                return dataclasses.replace(facts, limits=limits)
        """,
        ["test_odd_keys_round_trip_or_are_refused[folder/name]"],
    ),
    "has no folders, and does not say so": (
        """
        class Wrong(MemoryStore):
            async def write(self, key, value):
                if "/" in key:
                    raise InvalidSecret("no folders", key=key)
                return await super().write(key, value)
        """,
        ["test_odd_keys_round_trip_or_are_refused[folder/name]"],
    ),
    "forgets its rule for the names of fields": (
        """
        import dataclasses
        class Wrong(MemoryStore):
            @property
            def facts(self):
                facts = super().facts
                limits = dataclasses.replace(facts.limits, field_pattern="[a-z]+", field_rule="small letters")
                return dataclasses.replace(facts, limits=limits)
        """,
        ["test_the_field_pattern_holds[UPPER]"],
    ),
    "says that the same value makes no version": (
        """
        import dataclasses
        class Wrong(MemoryStore):
            @property
            def facts(self):
                return dataclasses.replace(super().facts, idle_writes=True)
        """,
        ["test_versions_tell_every_write"],
    ),
    "shows a password in its place": (
        """
        import dataclasses
        from secretsync_core.model.place import Place
        class Wrong(MemoryStore):
            @property
            def facts(self):
                return dataclasses.replace(super().facts, place=Place("db", "db://user:secret@host", ""))
        """,
        ["test_its_place_can_be_told"],
    ),
    "says of its place what is none": (
        """
        import dataclasses
        class Wrong(MemoryStore):
            @property
            def facts(self):
                return dataclasses.replace(super().facts, place=("db", "host", "a/"))
        """,
        ["test_its_place_can_be_told"],
    ),
    "forgets its limit": (
        """
        import dataclasses
        class Wrong(MemoryStore):
            @property
            def facts(self):
                facts = super().facts
                return dataclasses.replace(facts, limits=dataclasses.replace(facts.limits, max_bytes=1000))
        """,
        ["test_the_size_limit_holds"],
    ),
}


@pytest.mark.parametrize("name", one_in(5, WRONG))
def test_a_wrong_store_fails_the_test_that_names_its_fault(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each wrong store fails the tests that are there for its fault."""
    source, tests = WRONG[name]
    failed = _failed(pytester, monkeypatch, source, tests)
    for test in tests:
        assert any(test in each for each in failed), failed


def test_the_store_that_they_are_made_of_fails_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a fault the same set-up passes, so it is the faults that fail."""
    assert _failed(pytester, monkeypatch, "class Wrong(MemoryStore): ...", []) == []


def _failed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str, tests: Sequence[str]) -> list[str]:
    """Run the suite (or only some tests of it) over a store, and give the ids of the tests that fail."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # most of the time would go into plugins
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    suite = textwrap.dedent(SUITE).replace("{store}", textwrap.dedent(source))
    file = pytester.makepyfile(test_wrong=suite)
    names = sorted({test.partition("[")[0] for test in tests})
    selected = [f"{file}::TestWrong::{name}" for name in names] or [str(file)]
    result = pytester.inline_run("-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider", *selected)
    _, _, failed = result.listoutcomes()
    assert all(report.when == "call" for report in failed), "the set-up is wrong, not the store"
    return [report.nodeid for report in failed]
