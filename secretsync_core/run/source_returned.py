"""Whether a source that was gone is there again, right before its copy is deleted: the copies may have taken long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import SecretNotFound, SecretSyncError
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.run.convert import fields_to_split
from secretsync_core.run.origins import read_sources

if TYPE_CHECKING:
    from secretsync_core.model.change import Change
    from secretsync_core.model.state import Deleted
    from secretsync_core.run.compare import Comparer
    from secretsync_core.run.items import Item
    from secretsync_core.run.opening import OpenStores

IS_BACK = "its source is there again"


async def unless_back(
    change: Change, item: Item, last: Deleted | None, opened: OpenStores, comparer: Comparer
) -> Change:
    """The delete of a copy whose source was gone; refused where it is there by now, or nobody can tell."""
    made_of = read_sources(last.source_key if last else "", combined=item.combined, split=item.split)
    if made_of is None:
        return _kept(change, "the ledger does not say what it was made of")
    store = item.parts[0].store
    for key in made_of.keys:
        try:
            if made_of.field is None:
                await opened.reader(store).read(key)
            else:  # the secret may well be there, without that field
                value = (await comparer.want(item.name, (SourceRef(store, key),))).value
                if made_of.field not in (fields_to_split(value, item.encoding) or {}):
                    continue
        except SecretNotFound:
            continue
        except SecretSyncError as error:
            return _kept(change, error.message)
        return _kept(change, IS_BACK)
    return change


def _kept(change: Change, why: str) -> Change:
    return change._replace(action=Action.REFUSE, reason=Reason.CANNOT_SEE, detail=why)
