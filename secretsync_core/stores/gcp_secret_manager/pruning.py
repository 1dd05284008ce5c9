"""Removes old versions, each of which is billed: only those that this job wrote, and never the current one.

Versions carry nothing that says who wrote them. So where a document asks for this, the numbers that the job wrote stand
in an annotation of the secret, and only in secrets with the job's own mark. What is not in that list stays: versions of
other people, and our own where a run was killed before it could note them. A version that an alias names stays too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import SecretNotFound, SecretSyncError, StoreError
from secretsync_core.stores.gcp_secret_manager.answers import WrongState
from secretsync_core.stores.gcp_secret_manager.metadata import MARK, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.gcp_secret_manager.beside import Beside
    from secretsync_core.stores.gcp_secret_manager.calls import About, Calls, Seen
    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig

_NUMBERS = re.compile(r"[1-9][0-9]{0,9}( [1-9][0-9]{0,9})*")

MOST_AT_ONCE = 20
"""How many versions one write removes."""


class Pruning:
    """What becomes of the versions that are older than those that a document keeps."""

    def __init__(self, calls: Calls, beside: Beside, config: GcpSecretManagerConfig, context: StoreContext) -> None:
        self._calls = calls
        self._beside = beside
        self._asked = config.old_versions
        self._mark = context.mark
        self._notes = context.notes
        self._told = False

    @property
    def wanted(self) -> bool:
        """Whether anything is to be removed. Without a mark nothing is proven to be ours."""
        return self._asked is not None and bool(self._mark)

    async def after(self, key: str, written: Seen, *, noted: bool) -> None:
        """Note that we wrote this version, and remove those that are too old by now.

        ``noted``: it is the first version of a secret that was created with that note. The write itself is done:
        whatever fails here is told once, and tried again with the next write.
        """
        if not self.wanted or noted:
            return
        try:
            await self._prune(key, written)
        except SecretNotFound:
            return
        except StoreError as error:
            self._tell(error)

    async def _prune(self, key: str, written: Seen) -> None:
        about = await self._calls.secret(key)
        if about is None or about.annotations.get(MARK) != self._mark:
            return
        gone, failed = await self._retired(key, self._too_old(about, written.number), written)

        def changed(about: About) -> Mapping[str, Any]:
            if about.annotations.get(MARK) != self._mark:
                return {}
            left = sorted({*ours(about), written.number} - gone)
            return {"annotations": {**about.annotations, WRITTEN: " ".join(map(str, left))}}

        await self._beside.change(key, changed, seen=about)
        if failed is not None:
            raise failed

    def _too_old(self, about: About, written: int) -> list[int]:
        assert self._asked is not None  # noqa: S101
        older = sorted(number for number in ours(about) if number < written)
        keep = self._asked.keep - 1
        found = older[: len(older) - keep] if keep else older
        return [number for number in found if number not in about.aliased][:MOST_AT_ONCE]

    async def _retired(self, key: str, numbers: list[int], written: Seen) -> tuple[set[int], StoreError | None]:
        """Those that are gone now, and why others are not."""
        assert self._asked is not None  # noqa: S101
        gone = set[int]()
        for number in numbers:
            try:
                seen = await self._calls.version(key, str(number))
                if seen is not None and seen.made >= written.made:
                    return gone, None  # the secret was made anew, and has versions of that number again: not ours
                if seen is not None:
                    await self._calls.retire(key, seen, destroy=bool(self._asked.destroy))
            except WrongState:
                pass  # somebody has destroyed it, or else changed it: it is looked at no more
            except StoreError as error:
                return gone, error
            gone.add(number)
        return gone, None

    def _tell(self, error: SecretSyncError) -> None:
        if not self._told:
            self._told = True
            hint = f" ({error.hint})" if error.hint else ""
            self._notes.append(f"{self._calls.store}: old versions cannot be removed: {error.message}{hint}")


def ours(about: About) -> list[int]:
    """The numbers of the versions that we have noted as ours; none where that is not what we write."""
    noted = about.annotations.get(WRITTEN, "")
    return [int(number) for number in noted.split(" ")] if _NUMBERS.fullmatch(noted) else []
