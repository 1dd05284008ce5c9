"""That no value is shown."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from secretsync_core.stores.base import ConditionalWriter, Reader, Store, Writer
from secretsync_core.testing.canaries import canary, find_in
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import layout_of, operations_of, texts_of
from secretsync_core.testing.samples import from_text, other_shape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest


class SecrecyTests(ConformanceFixtures):
    """Secrecy."""

    async def test_no_value_is_shown(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        """No value stands in an error, in the text of anything returned, or in the log."""
        caplog.set_level(logging.DEBUG)
        secret = canary()
        shape, at = store.facts.shape, layout_of(store)
        known, missing = at("a"), at("missing")
        value, wrong = from_text(shape, secret.text), from_text(other_shape(shape), secret.text)
        large = from_text(shape, secret.text * 50_000)
        calls: list[Callable[[], Awaitable[object]]] = []
        if isinstance(store, Writer):
            write = store.write
            calls += [
                lambda: write(known, value),
                lambda: write(known, wrong),
                lambda: write("../a", value),
                lambda: write("l" * 5000, value),
                lambda: write(at("large"), large),
            ]
        if isinstance(store, ConditionalWriter):
            write_if = store.write_if
            calls += [lambda: write_if(known, value, "no-such-version"), lambda: write_if(known, wrong, None)]
        if isinstance(store, Reader):
            read = store.read
            calls += [lambda: read(known), lambda: read(missing), lambda: read(known, "no-such-version")]
        calls += operations_of(store).values()
        shown = []
        for call in calls:
            try:
                result = await call()
            except Exception as error:  # noqa: BLE001  whatever it is, it must not show the value
                shown += texts_of(error)
            else:
                shown.append(repr(result))
        shown += [repr(store), repr(store.facts), caplog.text]
        shown += [str(record.__dict__) for record in caplog.records]
        found = [finding for text in shown for finding in find_in(text, [secret])]
        assert not found, f"a value is shown: {found}"
