"""Two real OpenBao servers behind proxies, a directory of files, the documents, and the model of it all."""

from __future__ import annotations

import contextlib
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

from secretsync_core.demo.openbao import start_openbao
from soak import comparison
from soak.chain import Chain
from soak.destinations import Destinations
from soak.documents import USER, documents
from soak.findings import Findings, say
from soak.model import CANARY, VAULT, Sources, changed
from soak.product import Product
from soak.proxy import Proxy
from soak.strangers import Strangers
from soak.vault import Vault
from soak.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from secretsync_core.demo.openbao import OpenBaoServer
    from soak.model import Edit, Place
    from soak.product import Ended

_ALL = 'path "secret/*" { capabilities = ["create","read","update","delete","list","scan","patch"] }'


class World:
    """One soak's world.

    Attributes:
        owned: whose a copy is, for every place that was ever wanted: the jobs' own, or somebody's who was there before.
        kept: places whose copies stay although their sources are gone: they are not the jobs' own.
        refused: places of which a delete may be refused, since their copies were changed by others.
        allowed: how many versions of each key may be written since ``before``, the destination as it was then.
    """

    def __init__(
        self, directory: Path, seed: str, source: OpenBaoServer, dest: OpenBaoServer, *, small: bool,
        ledger: str = "", more: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """``small``: a hundred secrets in place of three. ``ledger``: a database's URL. ``more``: of both jobs."""
        self.random = Random(seed)
        self.directory = directory
        self.findings = Findings()
        self.source, self.dest = Vault(source), Vault(dest)
        self.source_proxy, self.dest_proxy = (
            Proxy(vault.host, vault.port, Random(self.random.random())) for vault in (self.source, self.dest)
        )
        self.product = Product(directory, self.source.token, self.findings, ledger)
        self.ledger = directory / "config" / ".secretsync" / "ledger.db"
        self.sources = Sources(self.random, small=small)
        self.destinations = Destinations(self.dest, directory / "files")
        self.chain = Chain(self.ledger, ledger)
        self.strangers = Strangers(self.destinations, self.sources, self.random)
        self.witness = Witness(self.chain, self.destinations, self.strangers, self.findings)
        self.owned: dict[Place, bool] = {}
        self.kept: set[Place] = set()
        self.refused: set[Place] = set()
        self.allowed: Counter[str] = Counter()
        self.before: dict[str, Any] = {}
        self._prepare(more or {})

    def _prepare(self, more: Mapping[str, Any]) -> None:
        for vault in (self.source, self.dest):
            vault.keep_versions(100_000)
        password = f"{CANARY}Pw{self.random.getrandbits(64):x}"
        file = self.directory / "dst.pw"
        file.touch(0o600)
        file.write_text(password)
        self.dest.ask("POST", "sys/auth/userpass", {"type": "userpass"})
        self.dest.ask("POST", f"sys/policies/acl/{USER}", {"policy": _ALL})
        self.dest.ask("POST", f"auth/userpass/users/{USER}", {"password": password, "token_policies": [USER]})
        text = documents(
            self.source_proxy.address, self.dest_proxy.address, password=file, files=self.directory / "files", more=more
        )
        (self.directory / "config" / "documents.yaml").write_text(text)
        self.apply(self.sources.fill())
        self.strangers.settle()
        # Some copies are there before the first sync.
        for key in [key for key in sorted(self.sources.copies()) if key.startswith(("copy/app/a", "copym/mk/a"))][:6]:
            self.strangers.write((VAULT, key))
            self.owned[VAULT, key] = False

    # -- What happens

    def apply(self, edits: Iterable[Edit]) -> None:
        """Carry out changes at the source."""
        for edit in edits:
            self.source.apply(edit)

    def begin(self) -> None:
        """A round begins: from now on it counts how often a copy is written."""
        self.destinations.look()
        self.before = self.destinations.secrets
        self.allowed = Counter()

    def change_sources(self, count: int) -> None:
        """Change some sources, each of which may then be copied once more."""
        with self.changing():
            self.apply(self.sources.change(count))

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """What changes within may be copied once more."""
        before = self.sources.copies()
        yield
        self.allowed += changed(before, self.sources.copies())

    def meddle(self, count: int) -> None:
        """Others change some copies, which are then put right, once each."""
        self.strangers.meddle(count, set(self.owned))
        self.allowed += Counter({key: 1 for dest, key in self.strangers.dirty if dest == VAULT})

    def settle(self) -> None:
        """Bring the model up to date with copies whose sources are gone."""
        wanted = self.sources.places()
        for place, owned in self.owned.items():
            if place in wanted:
                self.kept.discard(place)
            elif not owned:
                self.kept.add(place)
        # A copy that somebody else changed is not deleted when its source goes, or is gone already.
        self.refused |= {place for place in self.strangers.dirty if place not in wanted and place in self.owned}

    def heal(self) -> None:
        """Let everything through from now on, and wait for what is under way."""
        for proxy in (self.source_proxy, self.dest_proxy):
            proxy.heal()
            if not proxy.drain():
                self.findings.add("the soak's own fault: a proxy does not come to an end")

    # -- What must hold

    def clean_sync(self) -> Ended:
        """One sync that nothing hinders."""
        self.heal()
        ended = self.product.finish(self.product.start("sync", "--output", "json"), "a clean sync")
        try:
            told = ended.document().get("exitCode", ended.code)
        except ValueError:
            self.findings.add("what it prints is no JSON", ended.said)
        else:
            if told != ended.code:
                self.findings.add("the exit code is not the one that it prints", f"{ended.code}, {told}")
        return ended

    def come_to_rest(self) -> None:
        """Sync without hindrance, take away what it refuses to delete, and compare everything with the model."""
        self.settle()
        ended = self.clean_sync()
        self.destinations.look()
        wanted = self.sources.places()
        left = [one for one in sorted(self.refused) if one not in wanted and self.destinations.held(one) is not None]
        for place in left:
            self.findings.counts["refused deletes"] += 1
            if ended.code != 1:
                self.findings.add("a refused delete does not show", f"{place}, exit code {ended.code}")
            self.destinations.remove(place)
        self.refused.clear()
        if left:
            ended = self.clean_sync()
        comparison.compare(self, ended)

    def look(self, when: str) -> None:
        """Look at the destinations, and hold them to the ledger."""
        self.destinations.look()
        self.witness.follow(when)

    def missing(self) -> list[Place]:
        """Where the last look did not find what must be there."""
        return [place for place, fields in self.sources.places().items() if self.destinations.held(place) != fields]

    def story(self, place: Place) -> str:
        """What the ledger tells of a place."""
        return self.chain.story(*place)


@contextlib.contextmanager
def world(
    directory: Path, seed: str, *, small: bool = False, ledger: str = "", more: Mapping[str, Any] | None = None
) -> Iterator[World]:
    """A world in a new directory, after its first sync; its servers are gone afterwards."""
    with start_openbao(directory / "source") as source, start_openbao(directory / "dest") as dest:
        made = World(directory / "world", seed, source, dest, small=small, ledger=ledger, more=more)
        made.findings.kind = "first sync"
        made.begin()
        made.allowed = changed({}, made.sources.copies())
        made.come_to_rest()
        say(f"first sync: {len(made.sources.places())} copies")
        yield made
