"""What one vault holds: secrets with their versions, those that are deleted, and those that are being recovered."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

from support.azure.refusals import RefusedError, bad, being_deleted, being_recovered, deleted, disabled, not_found

MOST_BYTES = 25 * 1024  # https://learn.microsoft.com/azure/key-vault/general/service-limits
MOST_TAGS = 15  # https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates
RETENTION_DAYS = 90


@dataclass
class Version:
    """One version."""

    id: str
    value: str
    created: int
    updated: int
    tags: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None


@dataclass
class Held:
    """One secret: its name as it was first written, and its versions from the oldest on."""

    name: str
    versions: list[Version]
    managed: bool = False
    deleted_at: int = 0
    looks: int = 0  # how many more requests find it in the state before

    @property
    def current(self) -> Version:
        return self.versions[-1]

    def version(self, wanted: str) -> Version:
        found = [each for each in self.versions if each.id == wanted] if wanted else [self.current]
        return found[0] if found else _raise(not_found(self.name))


class Vault:
    """The rules of Key Vault's secrets. Names are found in any case, and shown as they were first written.

    Attributes:
        now: the time by its clock, in seconds; a second later after each change, unless ``ticks`` is off.
        recovers_after: how many requests about a name find it still being recovered.
        deletes_after: the same, of being deleted.
        purge_protected: whether nothing can be purged.
    """

    def __init__(self) -> None:
        self.live: dict[str, Held] = {}
        self.gone: dict[str, Held] = {}
        self.recovering: dict[str, Held] = {}
        self.now = int(time.time())
        self.ticks = True
        self.recovers_after = 0
        self.deletes_after = 0
        self.purge_protected = True

    def tick(self) -> None:
        """A second goes by."""
        if self.ticks:
            self.now += 1

    def values(self) -> dict[str, str]:
        """The current values, by the names."""
        return {held.name: held.current.value for held in self.live.values()}

    def get(self, name: str, version: str) -> tuple[Held, Version]:
        self._settle(name)
        held = self.live.get(name.lower()) or _raise(not_found(name))
        found = held.version(version)
        if not found.enabled:
            raise disabled()
        return held, found

    def versions(self, name: str) -> Held | None:
        self._settle(name)
        return self.live.get(name.lower())

    def set(self, name: str, body: dict[str, Any]) -> tuple[Held, Version]:
        self._settle(name)
        self._check_free(name)
        if len(body["value"].encode()) > MOST_BYTES:
            raise bad("Property value has invalid value: its length must be less than 25 KB")
        made = Version(secrets.token_hex(16), body["value"], self.now, self.now)
        held = self.live.get(name.lower()) or Held(name, [])
        if held.managed:
            raise RefusedError(403, "Forbidden", "Operation set is not allowed on a secret of a certificate.")
        self._change(made, body)
        held.versions.append(made)
        self.live[name.lower()] = held
        self.tick()
        return held, made

    def update(self, name: str, version: str, body: dict[str, Any]) -> tuple[Held, Version]:
        self._settle(name)
        held = self.live.get(name.lower()) or _raise(not_found(name))
        found = held.version(version)
        self._change(found, body)
        found.updated = self.now
        self.tick()
        return held, found

    def delete(self, name: str) -> Held:
        self._settle(name)
        held = self.live.pop(name.lower(), None) or _raise(not_found(name))
        held.deleted_at, held.looks = self.now, self.deletes_after
        self.gone[name.lower()] = held
        self.tick()
        return held

    def deleted(self, name: str) -> Held:
        self._settle(name)
        held = self.gone.get(name.lower())
        if held is None or held.looks:
            raise not_found(name)
        if not held.current.enabled:  # recorded
            raise disabled()
        return held

    def recover(self, name: str) -> Held:
        self._settle(name)
        held = self.gone.get(name.lower())
        if held is None:
            raise not_found(name)
        if held.looks:
            raise being_deleted(name)
        del self.gone[name.lower()]
        held.looks = self.recovers_after
        self.recovering[name.lower()] = held
        return held

    def purge(self, name: str) -> None:
        if name.lower() not in self.gone:
            raise not_found(name)
        if self.gone[name.lower()].looks:
            raise being_deleted(name)
        if self.purge_protected:
            raise RefusedError(403, "Forbidden", "Operation purge is not enabled for this vault.", "ForbiddenByPolicy")
        del self.gone[name.lower()]

    def _settle(self, name: str) -> None:
        """What is under way goes on with each request about it."""
        held = self.gone.get(name.lower())
        if held is not None and held.looks:
            held.looks -= 1
        held = self.recovering.get(name.lower())
        if held is not None:
            if held.looks == 0:
                self.live[name.lower()] = self.recovering.pop(name.lower())
            else:
                held.looks -= 1

    def _check_free(self, name: str) -> None:
        if name.lower() in self.recovering:
            raise being_recovered(name)
        held = self.gone.get(name.lower())
        if held is not None:
            raise being_deleted(name) if held.looks else deleted(name)

    def _change(self, version: Version, body: dict[str, Any]) -> None:
        attributes = body.get("attributes") or {}
        changed = replace(
            version,
            tags=dict(body["tags"]) if body.get("tags") is not None else version.tags,
            content_type=body.get("contentType") or version.content_type,
            enabled=attributes.get("enabled", version.enabled),
            nbf=attributes.get("nbf", version.nbf),
            exp=attributes.get("exp", version.exp),
        )
        if len(changed.tags) > MOST_TAGS or any(
            len(name) > 256 or len(text) > 256 for name, text in changed.tags.items()
        ):
            raise bad("Property tags has invalid value")
        version.__dict__.update(changed.__dict__)


def _raise(error: RefusedError) -> Any:
    raise error
