"""What a plan says of metadata that is to be set beside a value: names, and no more of them than a line takes."""

from __future__ import annotations

import pytest

from secretsync_core.cli.json_output import change_object
from secretsync_core.cli.wording import why
from secretsync_core.model.change import Action, Change, Reason


@pytest.mark.parametrize(
    ("reason", "names", "words"),
    [
        (Reason.METADATA, ("label app", "label team"), "same value, other metadata: label app, label team"),
        (Reason.SOURCE_CHANGED, ("tag team",), "changed at the source, and metadata: tag team"),
        (Reason.NEW, (), "not in the destination yet"),
        (Reason.METADATA, tuple(f"tag {number}" for number in range(11)), "tag 6, tag 7 and 3 more"),
        (Reason.METADATA, ("tag \x1b[31mred",), "same value, other metadata: tag \\x1b[31mred"),
    ],
)
def test_metadata_is_told_by_name(reason: Reason, names: tuple[str, ...], words: str) -> None:
    """Behind the reason of the change, in text and in JSON; what a terminal would obey is escaped."""
    change = Change("item", "dst", "key", Action.UPDATE, reason, metadata=names)
    assert why(change).endswith(words)
    assert change_object(change)["metadata"] == list(names)
