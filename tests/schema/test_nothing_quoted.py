"""No problem of a document quotes what stands in it: a token in any place of any field, or as a field's name."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.slow import one_in
from yaml_samples import DESIGN, HEAD, ITEM, STORES, job

from secretsync_core.schema.loader import examine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "hvs.CAESIJcanaryTOKEN0123456789"
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
OTHERS = f"""\
---
{HEAD}kind: SecretStore
metadata: {{name: kube}}
spec:
  permissions: ReadWrite
  provider:
    kubernetes:
      namespace: team-a
      fieldManager: sync
      labels: {{team: a}}
      annotations: {{owner: a}}
      kubeconfig: {{file: config, context: prod}}
---
{HEAD}kind: SecretStore
metadata: {{name: manager}}
spec:
  provider:
    awsSecretsManager:
      region: eu-central-1
      endpoint: https://localhost:4566
      kmsKeyId: alias/key
      tags: {{team: a}}
      auth: {{assumeRole: {{roleArn: "arn:aws:iam::123456789012:role/sync", externalId: {{env: ID}}}}}}
---
{HEAD}kind: SecretStore
metadata: {{name: parameters}}
spec: {{provider: {{awsParameterStore: {{region: eu-central-1, tier: Standard, kmsKeyId: alias/key}}}}}}
"""
MORE = (
    STORES
    + OTHERS
    + job(
        f"{ITEM}\n  name: one\n  writePolicy: Merge\n  deletionPolicy: Delete\n"
        "  keyTransform: [{case: Upper}, {template: '{{ key }}'}, {replace: {characters: '-', with: '_'}}]\n"
        "  metadata: {copy: [team], as: Labels}\n"
        "- query: {path: a/*, exclude: [a/b]}\n  split: {}\n  ownership: {adopt: true}",
        more="driftCheck: {schedule: '@daily'}\nexecutor: Multiprocess\nownership: {mark: true}\n"
        "notify:\n"
        "  - {on: [failure], webhook: {url: {env: URL}, headers: {Authorization: {env: AUTH}}}}\n"
        "  - {email: {host: mail.example.com, port: 25, security: Plain, from: a@example.com, to: [b@example.com],"
        " username: me, password: {file: password}}}",
    )
)
SAMPLES = {"design": DESIGN, "more": MORE}

Way = tuple[str | int, ...]


def _places(part: object, way: Way = ()) -> Iterator[Way]:
    """The way to every part of a document."""
    yield way
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, one in inner:
        yield from _places(one, (*way, name))


def _with(document: Any, way: Way, change: Any) -> Any:
    """A copy of a document in which ``change`` is made to the part around the end of the way, at its name."""
    made = copy.deepcopy(document)
    part = made
    for name in way[:-1]:
        part = part[name]
    change(part, way[-1])
    return made


def _value(part: Any, name: Any) -> None:
    part[name] = TOKEN


def _mapping(part: Any, name: Any) -> None:
    part[name] = {TOKEN: "x"}


def _list(part: Any, name: Any) -> None:
    part[name] = [TOKEN, TOKEN]


def _beside(part: Any, name: Any) -> None:
    if isinstance(part, dict):
        part[TOKEN] = TOKEN
    else:
        part.append(TOKEN)


def _name(part: Any, name: Any) -> None:
    if isinstance(part, dict):
        pairs = list(part.items())
        part.clear()
        part.update({TOKEN if key == name else key: value for key, value in pairs})
    else:
        part.insert(name, {TOKEN: TOKEN})


@pytest.mark.parametrize("change", [_value, _mapping, _list, _beside, _name], ids=lambda change: change.__name__)
@pytest.mark.parametrize("sample", one_in(2, SAMPLES))
def test_no_problem_quotes_the_document(sample: str, change: Any, tmp_path: Path) -> None:
    """Whatever part of a document is a token, is named or keyed by one, or has one beside it."""
    documents = list(yaml.safe_load_all(SAMPLES[sample]))
    file = tmp_path / "documents.yaml"
    refused = 0
    for number, document in enumerate(documents):
        for way in _places(document):
            # Keys of secrets are what we work on, and are told; see docs/documents.md.
            if not way or (change is _value and way[-1] == "key"):
                continue
            altered = [*documents[:number], _with(document, way, change), *documents[number + 1 :]]
            file.write_text(yaml.dump_all(altered, Dumper=DUMPER))
            _, problems = examine([file])
            refused += bool(problems)
            assert TOKEN not in str(problems), (way, [each for each in problems if TOKEN in str(each)])
    assert refused > 20


@pytest.mark.parametrize(
    "text",
    [
        f"{TOKEN}\n",
        f"a: {TOKEN}: b\n",
        f"'{TOKEN}\n",
        f"{TOKEN}: 1\n{TOKEN}: 2\n",
        f"a: !{TOKEN} b\n",
        f"a: *{TOKEN}\n",
        f"&{TOKEN} a: *{TOKEN}\n",
        f"a: [{TOKEN}\n",
        f"a: {{{TOKEN}\n",
        f"%{TOKEN}\n---\na: 1\n",
        f"- {TOKEN}\n",
        f"{{? [{TOKEN}] : b}}\n",
        f"kind: {TOKEN}\n",
        f"apiVersion: {TOKEN}\nkind: SyncJob\n",
        f"\t{TOKEN}: a\n",
        f"a: @{TOKEN}\n",
        f"a: |{TOKEN}\n  b\n",
    ],
)
def test_no_problem_quotes_what_is_no_yaml(text: str, tmp_path: Path) -> None:
    """What cannot be read is told by its line."""
    file = tmp_path / "documents.yaml"
    file.write_text(text)
    _, problems = examine([file])
    assert problems
    assert TOKEN not in str(problems)
