"""What a store cannot do is refused before anything is read, in a sentence that names the item or the destination."""

from __future__ import annotations

from typing import Any

import pytest

from run.making import plan_of
from secretsync_core.key_rules import key_fault
from secretsync_core.model.capabilities import Ability, Shape, StoreFacts, StoreLimits
from secretsync_core.model.metadata import Kind, MetadataFacts, MetadataRule
from secretsync_core.run.abilities import find_impossible

ALL = frozenset(Ability)
CAS, CREATE, READ, LOOK, LIST, WRITE, DELETE, MARK = (
    Ability.COMPARE_AND_SET, Ability.CREATE, Ability.READ, Ability.LOOK, Ability.LIST, Ability.WRITE, Ability.DELETE,
    Ability.MARK,
)  # fmt: skip
QUERY = "[{name: it, query: {}}]"
TAKES_ANY = MetadataFacts({Kind.CUSTOM: MetadataRule()})


def _impossible(
    plan: str, *, src: frozenset[Ability] = ALL, dst: frozenset[Ability] = ALL, limits: StoreLimits | None = None,
    beside: MetadataFacts = TAKES_ANY, **spec: Any,
) -> list[str]:  # fmt: skip
    limits = limits or StoreLimits(pins="[0-9]+", custom_metadata=True)
    facts = {
        name: StoreFacts(name, "memory", Shape.FIELDS, versioned=True, limits=limits, metadata=metadata)
        for name, metadata in (("src", TAKES_ANY), ("dst", beside))
    }
    return find_impossible(plan_of(plan, **spec), facts, {"src": src, "dst": dst})


@pytest.mark.parametrize(
    ("plan", "src", "limits", "reason"),
    [
        (QUERY, ALL - {READ}, None, "item it: store src cannot be read"),
        (QUERY, ALL - {LIST}, None, "item it: store src cannot be listed, so it takes no query"),
        (
            "[{name: it, query: {metadata: {a: b}}}]", ALL, StoreLimits(),
            "item it: store src has no custom metadata to select by",
        ),
        (
            "[{name: it, query: {type: kubernetes.io/tls}}]", ALL, None,
            "item it: store src has no types of secrets to select by (query.type)",
        ),
        (
            "[{name: it, query: {}, metadata: {copy: [a]}}]", ALL, StoreLimits(),
            "item it: store src has no metadata to copy",
        ),
        (
            "[{name: it, query: {}, metadata: {copy: [a]}}]", ALL - {Ability.DESCRIBE}, None,
            "item it: store src has no metadata to copy",
        ),
        (
            "[{name: it, query: {}, metadata: {settings: [expires]}}]", ALL - {Ability.DESCRIBE}, None,
            "item it: store src does not show the settings of its secrets, which are to be copied",
        ),
        (
            "[{name: it, secret: {key: k, version: 3}}]", ALL, StoreLimits(),
            "item it: store src keeps no old versions, so version cannot be pinned",
        ),
        (
            "[{name: it, secret: {key: k, version: x}}]", ALL, StoreLimits(pins="[0-9]+"),
            "item it: store src has no versions of that form (version: of k)",
        ),
        (
            "[{name: it, secret: {key: K}}]", ALL, StoreLimits(key_pattern="[a-z]+", key_rule="small letters"),
            "item it: store src cannot have the key 'K': small letters",
        ),
    ],
)  # fmt: skip
def test_sources(plan: str, src: frozenset[Ability], limits: StoreLimits | None, reason: str) -> None:
    """Each demand on a source that it cannot meet names the item that makes it."""
    assert _impossible(plan, src=src, limits=limits) == [reason]


@pytest.mark.parametrize(
    ("spec", "lacks", "reason"),
    [
        ({}, {WRITE}, "destination dst cannot be written"),
        ({"writePolicy": "Merge"}, {READ}, "destination dst cannot be read, and writePolicy Merge must read"),
        ({"writePolicy": "IfNotExists"}, {READ, LOOK, CAS, CREATE}, "destination dst cannot tell whether a key exists"),
        (
            {"ownership": {"adopt": True}},
            {READ, LOOK},
            "destination dst cannot be looked at, and ownership.adopt must see",
        ),
        ({"ownership": {"mark": True}}, {MARK}, "destination dst has no marks, and ownership.mark asks for them"),
        (
            {"plan_": "copy"},
            {Ability.SET_METADATA},
            "destination dst keeps no metadata beside its secrets, and item it",
        ),
        ({"deletionPolicy": "Delete"}, {DELETE}, "destination dst cannot delete, and deletionPolicy is Delete"),
    ],
)
def test_destinations(spec: dict[str, Any], lacks: set[Ability], reason: str) -> None:
    """Each demand on a destination that it cannot meet names the destination."""
    plan = "[{name: it, query: {}, metadata: {copy: [a]}}]" if spec.pop("plan_", "") else QUERY
    (told,) = _impossible(plan, dst=ALL - lacks, **spec)
    assert told.startswith(reason)


@pytest.mark.parametrize(
    ("spec", "lacks"),
    [
        ({"writePolicy": "IfNotExists"}, {READ, LOOK}),
        ({"writePolicy": "IfNotExists"}, {READ, CAS, CREATE}),
        ({"writePolicy": "IfNotExists"}, {CAS}),
        ({"ownership": {"adopt": True}}, {READ}),
        ({}, {READ, LOOK, LIST, DELETE}),
    ],
)
def test_what_is_not_needed_is_not_asked_for(spec: dict[str, Any], lacks: set[Ability]) -> None:
    """A destination that can only write will do, unless the policy needs more."""
    assert _impossible(QUERY, dst=ALL - lacks, **spec) == []


_TIMED = MetadataFacts(settings={Kind.EXPIRES: MetadataRule()})


@pytest.mark.parametrize(
    ("copies", "beside", "possible"),
    [
        ("copy: [a]", MetadataFacts(), False),
        ("copy: [a]", _TIMED, False),
        ("settings: [expires]", _TIMED, True),
        ("settings: [expires, enabled]", _TIMED, False),
        ("settings: [expires, enabled]", TAKES_ANY, True),
    ],
)
def test_what_is_copied_beside_values_has_a_place(copies: str, beside: MetadataFacts, possible: bool) -> None:
    """A destination without tags or the like takes no names, and of settings those that it has itself."""
    told = _impossible(f"[{{name: it, query: {{}}, metadata: {{{copies}}}}}]", beside=beside)
    refused = "destination dst has no place for the metadata of other stores, and item it copies metadata"
    assert told == ([] if possible else [refused])


def test_all_faults_at_once() -> None:
    """Every fault of every item is told, not only the first."""
    plan = "[{name: a, query: {}}, {name: b, query: {metadata: {x: y}}}]"
    assert len(_impossible(plan, src=ALL - {LIST}, dst=ALL - {WRITE}, limits=StoreLimits())) == 4


@pytest.mark.parametrize(
    ("key", "fault"), [("ok", ""), ("ünü", "longer than 4 bytes"), ("a/b", "no slash"), ("a\nb", "no slash")]
)
def test_key_faults(key: str, fault: str) -> None:
    """Length counts bytes, and a pattern must match the whole key."""
    assert key_fault(key, StoreLimits(max_key_bytes=4, key_pattern="[a-zü]+|x", key_rule="no slash")) == fault
