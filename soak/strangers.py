"""What others have and do at the destinations: secrets that are no affair of the jobs, and changes of their copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soak.model import FILES, VAULT

if TYPE_CHECKING:
    from random import Random

    from soak.destinations import Destinations
    from soak.findings import Findings
    from soak.model import Place, Sources

_SECRETS = (
    "copy/app/a/x/foreign", "copy/app/zz/foreign", "copy/foreign", "other/foreign", "copym/mk/a/foreign",
    "copy/split/s0/foreign", "copy/tpl/foreign",
)  # fmt: skip
_FILES = ("copy/app/a/x/foreign.bin", "copy/foreign", "other/foreign")


class Strangers:
    """Others, who write and delete as they like.

    Attributes:
        versions: those that they wrote in the Vault, as key and ``<number>@<time>``.
        dirty: what they changed since the last clean sync, of the jobs' copies.
    """

    def __init__(self, destinations: Destinations, sources: Sources, random: Random) -> None:
        self._at = destinations
        self._sources = sources
        self._random = random
        self._secrets: dict[str, Any] = {}
        self._files: dict[str, tuple[bytes, int]] = {}
        self.versions: set[tuple[str, str]] = set()
        self.dirty: set[Place] = set()

    def settle(self) -> None:
        """Write their own secrets and files, in the jobs' folders and elsewhere."""
        for key in _SECRETS:
            self._at.vault.put(key, {"f": self._sources.word()})
        for name in _FILES:
            path = self._at.directory / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(self._sources.word().encode())
            self._files[name] = path.read_bytes(), path.stat().st_mtime_ns
        self._at.look()
        self._secrets = {key: self._at.secrets[key] for key in _SECRETS}

    def has(self, place: Place) -> bool:
        """Whether a place is theirs."""
        dest, key = place
        return key in (self._secrets if dest == VAULT else self._files)

    def check(self, findings: Findings) -> None:
        """Everything of theirs is as they left it."""
        for key, was in self._secrets.items():
            if self._at.secrets.get(key) != was:
                findings.add("somebody else's secret is changed", f"{key}: {was} is now {self._at.secrets.get(key)}")
        for name, (data, modified) in self._files.items():
            path = self._at.directory / name
            if not path.exists() or path.read_bytes() != data or path.stat().st_mtime_ns != modified:
                findings.add("somebody else's file is changed", name)

    def write(self, place: Place) -> None:
        """Write another value at a place."""
        dest, key = place
        if dest == VAULT:
            self.versions.add((key, self._at.vault.put(key, {"f": f"foreign{self._sources.word()}"})))
        else:
            path = self._at.directory / key
            path.with_name("foreign-tmp").write_bytes(f"foreign{self._sources.word()}".encode())
            path.with_name("foreign-tmp").replace(path)
        self.dirty.add(place)

    def delete(self, place: Place) -> None:
        """Delete what is at a place."""
        if place[0] == VAULT:
            self._at.vault.delete(place[1], forget=self._random.random() < 0.3)
        else:
            self._at.remove(place)
        self.dirty.add(place)

    def meddle(self, count: int, owned: set[Place]) -> None:
        """Change or delete some copies whose sources are there."""
        for _ in range(count):
            dest = self._random.choice((VAULT, VAULT, FILES))
            copies = sorted(place for place in self._sources.places() if place[0] == dest and place in owned)
            if not copies:
                continue
            place = self._random.choice(copies)
            if self._random.random() < 0.4:
                self.delete(place)
            elif dest == VAULT or (self._at.directory / place[1]).exists():
                self.write(place)
