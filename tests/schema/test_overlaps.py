"""What documents alone show of jobs that read what they write, or write what another job writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from yaml_samples import STORES, job, load, problems, store, told, warnings, write

from secretsync_core.schema.loader import examine

if TYPE_CHECKING:
    from pathlib import Path


def vault(name: str, *, address: str = "https://vault", more: str = "") -> str:
    """A Vault store by its address, and what else its document says."""
    return store(name, provider=f"vault: {{address: '{address}', auth: {{token: {{env: T}}}}{more}}}")


def aws(name: str, *, prefix: str = "", role: str = "") -> str:
    """A store of Secrets Manager with a prefix, in the account of a role or of the environment's credentials."""
    auth = f", auth: {{assumeRole: {{roleArn: 'arn:aws:iam::{role}:role/sync'}}}}" if role else ""
    return store(name, provider=f"awsSecretsManager: {{region: eu-central-1, prefix: '{prefix}'{auth}}}")


def files(name: str, path: str) -> str:
    """A directory."""
    return store(name, provider=f"file: {{path: {path}}}")


def kube(name: str, more: str = "") -> str:
    """A cluster by its address, or one namespace of it."""
    return store(name, provider=f"kubernetes: {{server: https://k, auth: {{token: {{env: T}}}}{more}}}")


def errors(folder: Path, text: str) -> list[str]:
    """What is wrong with documents, of which nothing may be."""
    return [problem.message for problem in examine([write(folder, text)])[1] if not problem.warning]


ALL = "- {name: q, query: {recursive: true}"
COPY = f"{ALL}, keyTransform: [{{prefix: copy/}}]}}"
WRITES_BELOW_Y = "- {name: a, secret: {key: x}, keyTransform: [{prefix: y/}]}"
FEEDS = "the job would copy its own copies"


@pytest.mark.parametrize(
    "stores",
    [
        vault("one") + vault("two", address="https://VAULT:443/"),
        vault("one", more=", namespace: a/b, mount: c") + vault("two", more=", namespace: a, mount: b/c"),
        aws("one") + aws("two"),
        aws("one") + aws("two", prefix="backup/"),
        aws("one", role="111111111111") + aws("two", role="111111111111"),
        files("one", "secrets") + files("two", "./secrets/../secrets/copies"),
    ],
)
def test_two_names_for_one_place(tmp_path: Path, stores: str) -> None:
    """A query that would select the job's own copies is an error at its item; the hint says that it is one place."""
    (problem,) = problems(tmp_path, stores + job(COPY))
    assert not problem.warning
    assert problem.line == 19
    assert problem.message.startswith(f"{FEEDS}: by item q x becomes copy/x in two, and item q reads it as ")
    assert problem.message.endswith("copy/x in one")
    assert "key.exclude" in problem.hint
    assert "one and two are at" in problem.hint


def test_a_namespace_in_its_cluster(tmp_path: Path) -> None:
    """A store of all namespaces has the Secrets of one of them too."""
    plan = "- {name: q, query: {recursive: true}, keyTransform: [{replace: {characters: /, with: -}}, {prefix: c-}]}"
    assert told(tmp_path, kube("one") + kube("two", ", namespace: team-a") + job(plan)) == [
        f"19: {FEEDS}: by item q x becomes c-x in two, and item q reads it as team-a/c-x in one"
    ]


@pytest.mark.parametrize(
    "stores",
    [
        vault("one") + vault("two", address="https://other"),
        vault("one") + vault("two", more=", mount: other"),
        vault("one") + vault("two", more=", namespace: other"),
        aws("one", role="111111111111") + aws("two", role="222222222222"),
        aws("one") + aws("two", role="222222222222"),
        files("one", "secrets") + files("two", "secrets-2"),
        STORES,
    ],
)
def test_another_place(tmp_path: Path, stores: str) -> None:
    """Another server, mount, namespace, folder, or what may be another account: nothing is said."""
    assert errors(tmp_path, stores + job(COPY)) == []
    assert warnings(tmp_path, stores + job(f"{ALL}}}")) == []


@pytest.mark.parametrize(
    ("plan", "feeds"),
    [
        (COPY, True),
        (f"{ALL}}}", True),
        ("- {name: q, query: {}}", True),
        ("- {name: q, query: {path: a, recursive: true}, keyTransform: [{prefix: a/}]}", True),
        ("- {name: q, query: {path: a, recursive: true}, keyTransform: [{prefix: b/}]}", False),
        ("- {name: q, query: {}, keyTransform: [{prefix: copy/}]}", False),
        ("- {name: q, query: {}, keyTransform: [{prefix: copy-}]}", True),
        ("- {name: q, query: {recursive: true, key: {exclude: ['^copy/']}}, keyTransform: [{prefix: copy/}]}", False),
        ("- {name: q, query: {recursive: true, key: {regexp: '^prod-'}}, keyTransform: [{prefix: copy/}]}", False),
        ("- {name: q, query: {recursive: true}, keyTransform: [{regexp: {source: ^prod/, target: test/}}]}", False),
        ("- {name: q, query: {path: a}, split: fields}", False),
        ("- {name: q, query: {path: a, recursive: true}, split: fields}", True),
        ("- {name: q, query: {path: a}, keyTransform: [{template: '{{ parts[5] }}'}]}", False),
        ("- {name: q, query: {recursive: true, metadata: {team: x}}, keyTransform: [{prefix: copy/}]}", True),
        ("- {name: a, secret: {key: x}}", True),
        (WRITES_BELOW_Y, False),
        (f"{WRITES_BELOW_Y}\n- {{name: q, query: {{path: y}}, split: fields}}", True),
        ("- {name: a, key: b, combine: [{name: p, secret: {key: b}}, {name: q, secret: {key: c}}]}", True),
        ("- {name: a, key: b, combine: [{name: p, query: {path: c}}]}", False),
        ("- {name: a, key: c/b, combine: [{name: p, query: {path: c}}]}", True),
    ],
)  # fmt: skip
def test_within_one_store(tmp_path: Path, plan: str, feeds: bool) -> None:
    """What the documents show is told, and where a key below a query's folder tells nothing, nothing is."""
    found = errors(tmp_path, STORES + job(plan, dest="one"))
    assert [FEEDS in each for each in found] == [True] * feeds


def test_two_jobs_that_write_one_key(tmp_path: Path) -> None:
    """Each is told where the other one is, whatever the destination is called in each."""
    item = "- {name: a, secret: {key: a}, keyTransform: [{template: out}]}"
    combined = "- {name: c, key: out, combine: [{name: p, secret: {key: x}}]}"
    stores = STORES + vault("three") + vault("four", address="https://vault:443")
    text = stores + job(item, name="j1", dest="three") + job(combined, name="j2", dest="four")
    found = problems(tmp_path, text)
    assert [(problem.line, problem.message.partition("(")[0]) for problem in found] == [
        (29, "out in three is written by SyncJob j2 "),
        (38, "out in four is written by SyncJob j1 "),
    ]
    assert "docs.yaml:38) too" in found[0].message
    assert "ownership.adopt" in found[0].hint


@pytest.mark.parametrize(
    ("one", "other", "fine"),
    [("false", "false", False), ("true", "false", True), ("false", "true", True), ("true", "true", False)],
)
def test_adopt_takes_over_on_purpose(tmp_path: Path, one: str, other: str, fine: bool) -> None:
    """On one of the two; two that take over from each other would do so for ever."""
    more = "ownership: {{adopt: {}}}"
    text = job(name="j1", more=more.format(one)) + job(name="j2", more=more.format(other))
    assert (errors(tmp_path, STORES + text) == []) is fine
    item = "- {{secret: {{key: a}}, ownership: {{adopt: {}}}}}"
    text = job(item.format(one), name="j1", more=more.format("true")) + job(item.format(other), name="j2")
    assert (errors(tmp_path, STORES + text) == []) is fine


def test_very_many_jobs_of_one_key_are_told_in_short(tmp_path: Path) -> None:
    """One problem for each, that names a few."""
    found = told(tmp_path, STORES + "".join(job(name=f"j{number}") for number in range(200)))
    assert len(found) == 200
    assert all("more too" in each and len(each) < 1000 for each in found)


def test_two_items_or_destinations_for_one_key(tmp_path: Path) -> None:
    """Within a job too, told once."""
    assert told(tmp_path, STORES + job("- {name: a, secret: {key: x}}\n- {name: b, secret: {key: x}}")) == [
        "20: x in two is written by item a too"
    ]
    text = STORES + vault("three") + vault("four", address="https://vault/") + job(dest="[three, four]")
    assert told(tmp_path, text) == [
        "27: spec.dest names three and four, which are one place: vault https://vault:443 secret/",
    ]


def test_two_destinations_of_a_query_that_are_one_place(tmp_path: Path) -> None:
    """Told also where no key is known; not where one is within the other, which a query's keys may keep apart."""
    plan = "- {name: q, query: {path: x, recursive: true}}"
    text = STORES + vault("three") + vault("four", address="https://vault/") + job(plan, dest="[three, four]")
    assert told(tmp_path, text) == [
        "27: spec.dest names three and four, which are one place: vault https://vault:443 secret/",
    ]
    assert (
        errors(
            tmp_path, STORES + vault("three") + vault("four", more=", mount: other") + job(plan, dest="[three, four]")
        )
        == []
    )


def test_opposite_jobs_are_warned_of(tmp_path: Path) -> None:
    """At both, where each reads what the other writes; not where their folders keep them apart."""
    stores = vault("a1") + vault("a2", address="https://VAULT") + aws("b1") + aws("b2")
    plan = "- {{name: q, query: {{path: {}, recursive: true}}}}"
    there = job(plan.format("x"), name="j1", source="a1", dest="b1")
    back = job(plan.format("x"), name="j2", source="b2", dest="a2")
    found = warnings(tmp_path, stores + there + back)
    assert [each.partition(" (")[0] for each in found] == [
        "27: SyncJob j2 copies the other way",
        "36: SyncJob j1 copies the other way",
    ]
    assert load(tmp_path, stores + there + back).jobs.keys() == {"j1", "j2"}
    apart = job(plan.format("y"), name="j2", source="b2", dest="a2")
    assert warnings(tmp_path, stores + there + apart) == []
    one_way = job(plan.format("x"), name="j2", source="b2", dest="b1").replace(
        "}}\n", "}, keyTransform: [{prefix: y/}]}\n"
    )
    assert warnings(tmp_path, stores + there + one_way) == []


@pytest.mark.parametrize(
    ("query", "transform", "feeds"),
    [
        ("path: 'teams/*/prod/**'", "prefix: copy/", False),
        ("path: '**/prod/**'", "prefix: copy/", True),
        ("path: '**/prod/**', exclude: [copy]", "prefix: copy/", False),
        ("path: 'teams/*/*'", "regexp: {source: '^teams/([^/]*)/', target: 'teams/copy/$1-'}", True),
        ("path: 'teams/team-*/*'", "regexp: {source: '^teams/([^/]*)/', target: 'teams/copy/$1-'}", False),
        ("path: 'teams/*/db'", "replace: {characters: d, with: x}", False),
    ],
)
def test_globs_are_tried_with_keys_that_they_take(tmp_path: Path, query: str, transform: str, feeds: bool) -> None:
    """What a query with globs would make of keys that it takes is looked for among what it takes."""
    plan = f"- {{name: q, query: {{{query}}}, keyTransform: [{{{transform}}}]}}"
    found = errors(tmp_path, vault("one") + vault("two") + job(plan, source="one", dest="two"))
    assert any(FEEDS in message for message in found) is feeds
