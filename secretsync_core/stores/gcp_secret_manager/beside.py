"""What stands beside versions of secrets that are there: changed where the etag says that nobody else did."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import InvalidSecret, SecretFails, SecretNotFound
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.schema.moments import text_of
from secretsync_core.stores.gcp_secret_manager.answers import Misfit, WrongState
from secretsync_core.stores.gcp_secret_manager.metadata import MARK, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsync_core.model.metadata import Described
    from secretsync_core.stores.gcp_secret_manager.calls import About, Calls
    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig

ATTEMPTS = 3
"""How often a change is tried whose etag was another one by then."""


class Beside:
    """What stands beside the versions of secrets."""

    def __init__(self, calls: Calls, mark: str) -> None:
        self._calls = calls
        self._mark = mark

    async def mark(self, key: str) -> None:
        """Put our mark on a secret, in place of any other. What another job has noted as its versions is not ours."""

        def changed(about: About) -> Mapping[str, Any]:
            told = {**about.annotations, MARK: self._mark}
            if about.annotations.get(MARK) != self._mark:
                told.pop(WRITTEN, None)
            return {"annotations": told}

        await self.change(key, changed)

    async def set(self, key: str, wanted: Described) -> None:
        """Set these labels, annotations, topics and time of deletion, and leave all others."""

        def changed(about: About) -> Mapping[str, Any]:
            told: dict[str, Any] = {}
            if labels := _of(wanted, Kind.LABEL):
                told["labels"] = {**about.labels, **labels}
            if annotations := _of(wanted, Kind.ANNOTATION):
                told["annotations"] = {**about.annotations, **annotations}
            if topics := _of(wanted, Kind.TOPIC):
                told["topics"] = [{"name": each} for each in dict.fromkeys((*about.topics, *topics))]
            if ends := wanted.get(Slot(Kind.DELETION_TIME)):
                told["expire_time"] = datetime.fromisoformat(ends)
            return told

        await self.change(key, changed)

    async def change(
        self, key: str, change: Callable[[About], Mapping[str, Any]], *, seen: About | None = None
    ) -> None:
        """Change a secret by what is there, which was ``seen`` or is looked at.

        Raises SecretNotFound, and InvalidSecret for what Google does not take.
        """
        store = self._calls.store
        for _ in range(ATTEMPTS):
            about, seen = seen or await self._calls.secret(key), None
            if about is None:
                raise SecretNotFound(f"{key} is not in {store}", store=store, key=key)
            changed = change(about)
            if not changed:
                return
            try:
                await self._calls.patch(key, about.etag, changed)
            except WrongState:
                continue
            except Misfit as refused:
                raise InvalidSecret(
                    refused.message,
                    store=store,
                    key=key,
                    hint="it may be labels, annotations, topics or expireTime of the SecretStore, or too many of them",
                ) from None
            return
        raise SecretFails(f"the metadata of {key} in {store} keeps changing", store=store, key=key)


def _of(wanted: Described, kind: Kind) -> dict[str, str]:
    return {slot.name: text for slot, text in wanted.items() if slot.kind is kind}


def asked_of(config: GcpSecretManagerConfig) -> Described:
    """What a document wants beside the value of every secret of a job."""
    asked = {Slot(Kind.LABEL, name): text for name, text in config.labels.items()}
    asked |= {Slot(Kind.ANNOTATION, name): text for name, text in config.annotations.items()}
    asked |= {Slot(Kind.TOPIC, topic): "" for topic in config.topics}
    return asked | ({Slot(Kind.DELETION_TIME): text_of(config.expire_time)} if config.expire_time else {})
