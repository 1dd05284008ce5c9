"""What a subclass of the conformance tests may give."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

import pytest

from secretsync_core.stores.base import Store, StoreContext
from secretsync_core.testing.conformance.helpers import MARK, require_writer
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.errors import StoreError
    from secretsync_core.model.capabilities import Ability
    from secretsync_core.testing.conformance.helpers import Fault, Reopen, Seed


class ConformanceFixtures:
    """What the tests are given; a subclass replaces what its store needs.

    Attributes:
        abilities: what the store is meant to do; ``None`` leaves that untested.
    """

    pytestmark: ClassVar = [pytest.mark.asyncio]
    abilities: ClassVar[frozenset[Ability] | None] = None

    @pytest.fixture
    def gate(self) -> CountingGate:
        """The gate of ``context``."""
        return CountingGate()

    @pytest.fixture
    def context(self, gate: CountingGate) -> StoreContext:
        """What the store under test is to be opened with."""
        return StoreContext(name="under-test", gate=gate, environ=os.environ, concurrency=8)

    @pytest.fixture
    def store(self) -> Store:
        """An open, empty store. Every subclass gives its own."""
        return pytest.fail("give a fixture named 'store': an empty store, opened with 'context'")

    @pytest.fixture
    def seed(self, store: Store) -> Seed:
        """Puts a secret there; to be replaced where the store itself does not write."""
        return require_writer(store).write

    @pytest.fixture
    def reopen(self) -> Reopen | None:
        """``await reopen()`` opens the same data again; ``None``: the store cannot be opened twice."""
        return None

    @pytest.fixture
    def inner(self) -> Store | None:
        """A store on a part of the data of ``store``, opened with ``context``: a folder in it, say. ``None``: no part.

        A secret that is written through it is then one of ``store``'s, under the key that the two places say.
        """
        return None

    @pytest.fixture
    def marked_context(self, gate: CountingGate) -> StoreContext:
        """What a store that is to mark what it creates is opened with."""
        return StoreContext("under-test", gate, os.environ, 8, mark=MARK, mark_at_a_cost=True)

    @pytest.fixture
    def marked(self) -> Store | None:
        """Another handle on the data of ``store``, opened with ``marked_context``; ``None``: there are no marks."""
        return None

    @pytest.fixture
    def read_only(self) -> Store | None:
        """Another handle on the data of ``store``, whose credentials may list, look and read, and no more.

        For stores with ``check_access``. ``None``: such credentials are not to be had.
        """
        return None

    @pytest.fixture
    def faults(self) -> Mapping[type[StoreError], Fault]:
        """For errors that a test can bring about, ``async with faults[AccessDenied](key):`` does so for that key."""
        return {}
