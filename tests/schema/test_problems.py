"""What is wrong within one document: each problem at its line, in plain words, without the value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from yaml_samples import HEAD, STORES, job, problems, store

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "s3cr3t/CANARY"


def vault(text: str) -> str:
    return store("one", provider=f"vault: {{address: 'https://v', {text}}}")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("a: 1\n", "kind is missing: it is SecretStore or SyncJob", ""),
        ("kind: SyncJbo\n", "kind must be SecretStore or SyncJob", "Did you mean SyncJob?"),
        ("kind: [a]\n", "kind must be SecretStore or SyncJob", ""),
        ("kind: SyncJob\n", "apiVersion is missing", ""),
        ("kind: SyncJob\n", "spec is missing", ""),
        (
            store("one").replace("v1alpha1", "v1"),
            "apiVersion must be 'secretsync.io/v1alpha1'",
            "Did you mean secretsync.io/v1alpha1?",
        ),
        (store("One"), "metadata.name is not a name", "Lower-case letters, digits and dashes, at most 63"),
        (store("5"), "metadata.name must be text", "Put it in quotes."),
        (
            store("one").replace("spec: {", "spec: {extra: 1, "),
            "unknown field in spec",
            "There are: limits, look, permissions",
        ),
        (store("one", provider=""), "spec.provider must name exactly one provider", "Such as"),
        (store("one", provider="file: {path: a}, memory: {}"), "spec.provider must name exactly one provider", ""),
        (store("one", provider="memory: null"), "spec.provider.memory must be a mapping", "Write {} if"),
        (store("one", provider="vualt: {}"), "there is no provider of that name", "Did you mean vault?"),
        (store("one", provider="file: {}"), "spec.provider.file.path is missing", "Relative to"),
        (store("one", provider="file: {path: ''}"), "spec.provider.file.path must not be empty", ""),
        (
            store("one", provider="memory: {shape: blobs}"),
            "spec.provider.memory.shape must be 'fields', 'binary-fields' or 'blob'",
            "blob?",
        ),
        (vault("auth: {}"), "spec.provider.vault.auth: give exactly one of token, appRole, kubernetes, jwt", ""),
        (
            vault("auth: {token: {env: A, file: b}}"),
            "spec.provider.vault.auth.token: give exactly one of env, file",
            "",
        ),
        (vault(f"auth: {{token: {CANARY}}}"), "spec.provider.vault.auth.token must be a mapping", ""),
        (vault("auth: {token: {env: A}}, kvVersion: 3"), "spec.provider.vault.kvVersion must be 1 or 2", ""),
        (vault("auth: {token: {env: A}}, tls: {keyFile: k}"), "spec.provider.vault.tls: certFile and keyFile go", ""),
        (vault("auth: {cert: {}}"), "spec.provider.vault: auth.cert needs tls.certFile", ""),
        (vault("auth: {token: {env: A}}, Mount: a"), "unknown field in spec.provider.vault", "Did you mean mount?"),
        (
            vault("auth: {token: {env: A}}").replace("https://v", "https://u:s3cr3tCANARY@v"),
            "vault.address has an invalid",
            "Such as https",
        ),
        (
            vault("auth: {token: {env: A}}").replace("https://v", "https://v/v1"),
            "vault.address: leave /v1 out",
            "",
        ),
        (
            vault("auth: {appRole: {roleId: {env: A}, wrapped: true}}"),
            "spec.provider.vault.auth.appRole: wrapped needs a secretId",
            "",
        ),
        (job("- {}"), "spec.plan[0]: give exactly one of secret, query or combine", ""),
        (job("[]"), "spec.plan must not be empty", ""),
        (job("- secret: {key: a}\n  query: {}"), "spec.plan[0]: give exactly one of", ""),
        (job("- secret: {key: 12}"), "spec.plan[0].secret.key must be text", "Put it in quotes."),
        (job("- secret: {key: }"), "spec.plan[0].secret.key must be text", "It is empty."),
        (job("- secret: {key: a, property: ''}"), "spec.plan[0].secret.property must not be empty", ""),
        (job("- secret: [a]"), "spec.plan[0].secret must be a mapping", ""),
        (
            job("- secret: {key: a}\n  keyTransfrom: []"),
            "unknown field in spec.plan[0]",
            "mean keyTransform?",
        ),
        (job("- secret: {key: a}\n  key: b"), "spec.plan[0]: key can only be used with combine", ""),
        (job("- combine: [{name: a, secret: {key: a}}]"), "spec.plan[0]: combine needs a key", ""),
        (job("- {key: k, combine: []}"), "spec.plan[0].combine must not be empty", ""),
        (job("- {key: k, combine: [{name: a-b, secret: {key: a}}]}"), "combine[0].name has an invalid format", ""),
        (job("- {key: k, combine: [{name: a}]}"), "spec.plan[0].combine[0]: give exactly one of secret or query", ""),
        (
            job("- key: k\n  combine: [{name: a, secret: {key: a}}, {name: a, query: {}}]"),
            "spec.plan[0]: two parts of combine have the same name",
            "",
        ),
        (
            job("- key: k\n  keyTransform: [{template: x}]\n  combine: [{name: a, secret: {key: a}}]"),
            "spec.plan[0]: keyTransform cannot be used with combine",
            "",
        ),
        (
            job(f"- query: {{key: {{regexp: '({CANARY}'}}}}"),
            "spec.plan[0].query.key.regexp: not a regular expression",
            "",
        ),
        (job(f"- query: {{key: {{exclude: ['{CANARY}[']}}}}"), "spec.plan[0].query.key.exclude[0]: not a regular", ""),
        (job("- query: {recursive: yes}"), "spec.plan[0].query.recursive must be true or false", ""),
        (job("- query: {metadata: {team: 5}}"), "spec.plan[0].query.metadata.… must be text", "Put it in quotes."),
        (
            job("- query: {}\n  keyTransform: [{regexp: {source: (a), target: $2}}]"),
            "keyTransform[0].regexp: the target names group 2, but the regular expression has only 1 group",
            "",
        ),
        (
            job("- query: {}\n  keyTransform: [{template: '{{ CANARY }}'}]"),
            "spec.plan[0].keyTransform[0].template: a key template knows",
            "",
        ),
        (
            job("- secret: {key: a}\n  valueTransform: [{template: {data: {A: '{{ x'}}}]"),
            "spec.plan[0].valueTransform[0].template.data.…: line 1: unexpected end of template",
            "",
        ),
        (
            job("- secret: {key: a}\n  valueTransform: [{}]"),
            "valueTransform[0]: give exactly one of fields or template",
            "",
        ),
        (job(more=f"schedule: '{CANARY}'"), "spec.schedule: a cron expression has five fields", ""),
        (job(more="schedule: '@every 7m'"), "spec.schedule: cron cannot express this interval", ""),
        (job(more=f"timezone: {CANARY}"), "spec.timezone: must be the name of a time zone", ""),
        (job(more="maxDelete: 200%"), "spec.maxDelete: must be a count", ""),
        (job(more="limits: {concurrency: 0}"), "spec.limits.concurrency must be at least 1", ""),
        (job(more="limits: {concurrency: 999}"), "spec.limits.concurrency must be at most 256", ""),
        (job(more="limits: {concurrency: many}"), "spec.limits.concurrency must be a whole number", ""),
        (job(more="limits: {threads: 4}"), "unknown field in spec.limits", "mean shards?"),
        (job(more="adopt: true"), "unknown field spec.adopt", ""),
        (job(more="onChange: {interval: 60}"), "spec.onChange.interval: must be a duration", ""),
        (job(more="suspend: maybe"), "spec.suspend must be true or false", ""),
        (
            job(more="writePolicy: replace"),
            "spec.writePolicy must be 'Managed', 'Replace', 'IfNotExists' or 'Merge'",
            "mean Replace?",
        ),
        (job(dest="[]"), "spec.dest must not be empty", ""),
        (job(dest="{a: b}"), "spec.dest must be a list", ""),
        (job(source=f"'{CANARY}'"), "spec.source is not a name", "Lower-case"),
        (f"{HEAD}kind: SyncJob\nmetadata: {{name: a}}\nspec: x\n", "spec must be a mapping", ""),
    ],
)
def test_each_fault_is_told_in_plain_words(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """Every fault of a field is told with the field's path and a hint, and quotes no value of the document."""
    found = problems(tmp_path, STORES.replace("one", "other") + "---\n" + text)
    assert any(message in problem.message and hint in problem.hint for problem in found), found
    assert "CANARY" not in str(found)


def test_each_fault_is_told_at_its_own_line(tmp_path: Path) -> None:
    """Faults deep in a plan are told at their own lines, a missing field at the nearest line around it."""
    text = STORES + job(
        "- name: x\n  query:\n    path: a\n    key:\n      regexp: '('\n- name: y\n  secret:\n    kye: a"
    )
    lines = [(problem.line, problem.message.split(":")[0]) for problem in problems(tmp_path, text)]
    assert lines == [
        (23, "spec.plan[0].query.key.regexp"),
        (25, "spec.plan[1].secret.key is missing"),
        (26, "unknown field in spec.plan[1].secret"),
    ]


def test_a_field_that_looks_like_a_value_is_not_named(tmp_path: Path) -> None:
    """What stands where a name should, but does not look like one, may be a credential and is left out."""
    found = problems(tmp_path, STORES + job(more="'hvs.s3cr3t CANARY/+=': 1"))
    assert [problem.message for problem in found] == ["unknown field in spec"]
    assert "CANARY" not in str(found)
