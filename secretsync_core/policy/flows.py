"""What may go where: the ``flows`` of all policies, asked for one key after the other. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.hosts import host_of
from secretsync_core.model.change import Action, Failure, Reason
from secretsync_core.policy.bounds import ASK, is_host_listed, matches_name
from secretsync_core.protected import real_path
from secretsync_core.schema.named import Kind
from secretsync_core.schema.providers import ProviderProblem, place_of, uses_of_store
from secretsync_core.selection import Exclusion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from secretsync_core.hosts import Host
    from secretsync_core.model.change import Change
    from secretsync_core.model.place import Place
    from secretsync_core.model.plan import Target
    from secretsync_core.policy.reading import Policy
    from secretsync_core.schema.documents import StoreDocument
    from secretsync_core.schema.named import Use
    from secretsync_core.schema.policy import FlowEnd


class Rule(NamedTuple):
    """One flow that is denied, and where it says so."""

    name: str
    where: str
    reason: str
    source: FlowEnd
    dest: FlowEnd

    @property
    def told(self) -> str:
        """Why, in one sentence."""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.where} denies it{why}"


@dataclass(frozen=True, slots=True)
class _End:
    """What is known of a store as an end of a flow.

    Attributes:
        name: of the SecretStore, as are ``kind`` (its provider) and ``labels``.
        hosts: what it names; None where its document does not tell them all, so that it may be at any.
        roots: what may stand before its keys; None where nobody can tell.
    """

    name: str
    kind: str
    labels: Mapping[str, str]
    hosts: tuple[Host, ...] | None
    roots: frozenset[str] | None

    @classmethod
    def of(cls, store: StoreDocument) -> _End:
        try:
            uses = uses_of_store(store.provider, store.config)
            place = place_of(store.provider, store.config)
        except ProviderProblem:
            return cls(store.name, store.provider, store.labels, None, None)
        return cls(store.name, store.provider, store.labels, _hosts(store.provider, uses), _roots(place, uses))

    def is_at_any(self, patterns: Sequence[str]) -> bool:
        """Whether one of its hosts is one of these; it may be where they are not known."""
        return self.hosts is None or any(is_host_listed(host, patterns, unknown_port=True) for host in self.hosts)

    def has_path(self, globs: Iterable[str], key: str) -> bool:
        """Whether the whole path of a key is one of these; it may be where that is not known."""
        return self.roots is None or any(_covered(globs, root + key.lstrip("/")) for root in self.roots)


class Flows:
    """The denied flows between the stores of some documents. It is false where there are none at all."""

    def __init__(self, rules: Sequence[Rule] = (), stores: Mapping[str, StoreDocument] | None = None) -> None:
        self._rules = rules
        self._stores = stores or {}
        self._ends: dict[str, _End | None] = {}
        self._between: dict[tuple[str, str], list[Rule]] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def denying(self, sources: Iterable[tuple[str, str | None]], dest: str, key: str | None) -> Rule | None:
        """The rule by which a secret may not be made of these sources (store and key) at a destination's key.

        Where a key is None, it may be any: only rules that deny all of them count.
        """
        if not self._rules:
            return None
        for store, source_key in sources:
            for rule in self.between(store, dest):
                if self._fits(rule.source, store, source_key) and self._fits(rule.dest, dest, key):
                    return rule
        return None

    def between(self, source: str, dest: str) -> Sequence[Rule]:
        """The rules for some keys of one store on their way to another."""
        found = self._between.get((source, dest))
        if found is None:
            ends = self._end(source), self._end(dest)
            found = [rule for rule in self._rules if _is_end(rule.source, ends[0]) and _is_end(rule.dest, ends[1])]
            self._between[source, dest] = found
        return found

    def concern(self, target: Target, dests: Iterable[str]) -> bool:
        """Whether a rule keeps a target from one of the destinations."""
        sources = [(ref.store, ref.key) for ref in target.sources]
        return any(self.denying(sources, dest, target.key) is not None for dest in dests)

    def judged(self, change: Change) -> Change:
        """The change, refused where a rule denies it. A delete moves nothing, and is as it was."""
        if not self._rules or change.action in (Action.DELETE, Action.REFUSE):
            return change
        rule = self.denying(((ref.store, ref.key) for ref in change.sources), change.dest, change.key)
        if rule is None:
            return change
        failure = Failure(Reason.POLICY_DENIED, rule.told, ASK)
        return change._replace(
            action=Action.REFUSE, reason=Reason.POLICY_DENIED, detail=rule.told, failure=failure, adopt=False
        )

    def _end(self, name: str) -> _End | None:
        if name not in self._ends:
            store = self._stores.get(name)
            self._ends[name] = _End.of(store) if store is not None else None
        return self._ends[name]

    def _fits(self, end: FlowEnd, store: str, key: str | None) -> bool:
        known = self._end(store)
        may_be_any = end.paths is None or known is None or known.roots is None
        if key is None:
            return end.keys is None and may_be_any
        if end.keys is not None and not _covered(end.keys, key):
            return False
        return end.paths is None or known is None or known.has_path(end.paths, key)


def rules_of(policies: Iterable[Policy]) -> list[Rule]:
    """Every flow that policies deny."""
    return [
        Rule(flow.name, f"the rule {flow.name} in {policy.rule('flows', index)}", flow.reason.strip().rstrip("."),
             flow.deny.from_, flow.deny.to)
        for policy in policies
        for index, flow in enumerate(policy.spec.flows)
    ]  # fmt: skip


def _is_end(wanted: FlowEnd, end: _End | None) -> bool:
    """Whether a store is what a rule speaks of, its keys aside."""
    if end is None:  # nothing is known of it, so it may be any
        return True
    return (
        (wanted.stores is None or any(matches_name(glob, end.name) for glob in wanted.stores))
        and (wanted.kinds is None or any(matches_name(glob, end.kind) for glob in wanted.kinds))
        and all(matches_name(glob, end.labels.get(label, "")) for label, glob in wanted.labels.items())
        and (wanted.hosts is None or end.is_at_any(wanted.hosts))
    )


_HOST_ELSEWHERE = frozenset({"kubernetes"})
"""Providers whose server is in a kubeconfig or the pod, where the document names none."""


def _hosts(provider: str, uses: Iterable[Use]) -> tuple[Host, ...] | None:
    named = [host_of(use.text) for use in uses if use.kind is Kind.HOST]
    hosts = tuple(host for host in named if host is not None)
    if len(hosts) < len(named) or (not hosts and provider in _HOST_ELSEWHERE):
        return None
    return hosts


def _roots(place: Place | None, uses: Iterable[Use]) -> frozenset[str] | None:
    """What stands before every key: as it is written, and for a directory also where the links on its way lead."""
    if place is None:
        return None
    directories = [f"{real_path(use.text).rstrip('/')}/" for use in uses if use.kind is Kind.DIRECTORY]
    return frozenset(root.lstrip("/") for root in (place.root, *directories))


def _covered(globs: Iterable[str], key: str) -> bool:
    key = key.lstrip("/")
    return any(_glob(glob).covers(key) for glob in globs)


@lru_cache(maxsize=1024)
def _glob(text: str) -> Exclusion:
    return Exclusion(text)
