"""The suite that every store must pass. Subclass it, give it a store, and run pytest:

::

    class TestMyStore(StoreConformance):
        abilities = frozenset({Ability.READ, Ability.LIST, Ability.WRITE, Ability.DELETE})

        @pytest_asyncio.fixture
        async def store(self, context):
            store = await open_store(MyConfig(...), context)   # opened with the suite's context, and empty
            yield store
            await store.aclose()

Tests of what a store cannot do are skipped; which those are is read off the store, and ``abilities`` says what they
should be, so that a method with a wrong name does not pass for an ability that was never meant. So is where its keys
can stand (see :mod:`~secretsync_core.testing.layouts`): in a store without folders ``a/b`` becomes ``a-b``. Limits that
promise more than the store keeps, or less, fail the tests of odd keys and of the names of fields.
"""

from __future__ import annotations

from secretsync_core.testing.conformance.deleting import DeleteTests
from secretsync_core.testing.conformance.helpers import MARK
from secretsync_core.testing.conformance.identity import IdentityTests
from secretsync_core.testing.conformance.keys import KeyTests
from secretsync_core.testing.conformance.listing import ListingTests
from secretsync_core.testing.conformance.metadata import MetadataTests
from secretsync_core.testing.conformance.requests import RequestTests
from secretsync_core.testing.conformance.secrecy import SecrecyTests
from secretsync_core.testing.conformance.values import ValueTests
from secretsync_core.testing.conformance.versions import VersionTests

__all__ = ["MARK", "StoreConformance"]


class StoreConformance(
    IdentityTests,
    ValueTests,
    KeyTests,
    ListingTests,
    VersionTests,
    MetadataTests,
    DeleteTests,
    RequestTests,
    SecrecyTests,
):
    """All of the tests. See the module for how to use it."""
