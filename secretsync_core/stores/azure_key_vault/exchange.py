"""What comes back from a vault. Nothing here needs the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.stores.azure_key_vault.answers import error_of
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.errors import StoreError
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.azure_key_vault.answers import Refusal, Request


class Answer(NamedTuple):
    """One answer: what it holds, and when it was given by the vault's clock (``Date``; empty where it does not say)."""

    part: Part
    date: str


class Refused(NamedTuple):
    """An answer that whoever asked knows how to take. ``unanswered``: an earlier attempt may have been carried out."""

    found: Refusal
    headers: Mapping[str, str]
    unanswered: bool = False

    def error(self, request: Request) -> StoreError:
        """The error that it stands for."""
        return Doubt(unanswered=self.unanswered).on(error_of(request, self.found, self.headers))
