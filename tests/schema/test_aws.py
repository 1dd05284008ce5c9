"""The documents of the stores of AWS: what is understood, what is refused, and with which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from yaml_samples import job, load, problems, store, warnings

from secretsync_core.schema.export import json_schema_for
from secretsync_core.schema.yaml_tree import read_documents
from secretsync_core.stores.aws_parameter_store.config import AwsParameterStoreConfig
from secretsync_core.stores.aws_secrets_manager.config import AwsSecretsManagerConfig

if TYPE_CHECKING:
    from pathlib import Path

ROLE = "arn:aws:iam::123456789012:role/secretsync"
WEB = f"webIdentity: {{roleArn: '{ROLE}', tokenFile: token}}"


def tags(count: int) -> str:
    """So many tags."""
    return "{" + ", ".join(f"t{number}: x" for number in range(count)) + "}"


GOOD = [
    "awsSecretsManager: {}",
    "awsSecretsManager: {region: eu-central-1, prefix: prod/}",
    "awsSecretsManager: {prefix: /prod/, recoveryWindowInDays: 7, tags: {team: a, 'cost center': ''}}",
    "awsSecretsManager: {forceDeleteWithoutRecovery: true, replicaRegions: [{region: eu-west-1, kmsKeyId: alias/k}]}",
    "awsSecretsManager: {auth: {profile: work}, endpointUrl: 'https://vpce-1.example.com'}",
    "awsSecretsManager: {auth: {accessKey: {id: {env: A}, secret: {file: b}, sessionToken: {env: C}}}}",
    f"awsSecretsManager: {{auth: {{assumeRole: {{roleArn: '{ROLE}', externalId: ab, durationSeconds: 900}}}}}}",
    f"awsSecretsManager: {{auth: {{{WEB}, assumeRole: {{roleArn: '{ROLE}'}}}}}}",
    "awsParameterStore: {}",
    "awsParameterStore: {path: /prod/app, type: String, tier: IntelligentTiering}",
    "awsParameterStore: {path: /, kmsKeyId: alias/k, description: d, taggingEndpointUrl: 'http://127.0.0.1:1'}",
]

# What the JSON Schema cannot say is marked: it is about two fields at once.
BAD = [
    ("awsSecretsManager: {prefix: prod}", "prefix has an invalid format", "such as prod/", False),
    ("awsSecretsManager: {region: Frankfurt}", "region has an invalid format", "eu-central-1", False),
    ("awsSecretsManager: {endpointUrl: 'https://u:CANARY@x'}", "endpointUrl has an invalid format", "VPC", False),
    ("awsSecretsManager: {recoveryWindowInDays: 3}", "recoveryWindowInDays must be at least 7", "", False),
    (
        "awsSecretsManager: {recoveryWindowInDays: 7, forceDeleteWithoutRecovery: true}",
        "give recoveryWindowInDays or forceDeleteWithoutRecovery, not both",
        "",
        True,
    ),
    (
        "awsSecretsManager: {auth: {profile: a, accessKey: {id: {env: A}, secret: {env: B}}}}",
        "auth: give at most one of profile, accessKey and webIdentity",
        "",
        True,
    ),
    (
        "awsSecretsManager: {auth: {accessKey: {id: CANARY, secret: {env: B}}}}",
        "accessKey.id must be a mapping",
        "",
        False,
    ),
    ("awsSecretsManager: {auth: {assumeRole: {roleArn: CANARY}}}", "roleArn has an invalid format", ROLE, False),
    (
        f"awsSecretsManager: {{auth: {{assumeRole: {{roleArn: '{ROLE}', durationSeconds: 60}}}}}}",
        "durationSeconds must be at least 900",
        "",
        False,
    ),
    (
        f"awsSecretsManager: {{auth: {{webIdentity: {{roleArn: '{ROLE}'}}}}}}",
        "webIdentity.tokenFile is missing",
        "",
        False,
    ),
    ("awsSecretsManager: {replicaRegions: [eu-west-1]}", "replicaRegions[0] must be a mapping", "", False),
    ("awsSecretsManager: {tags: {team: 1}}", "tags.… must be text", "quotes", False),
    ("awsSecretsManager: {tags: {'AWS:created': x}}", "names that begin with aws: are AWS's own", "", True),
    ("awsParameterStore: {tags: {'aws:x': x}}", "names that begin with aws: are AWS's own", "", True),
    ("awsParameterStore: {tags: {secretsync.io/owner: x}}", "are set by SecretSync alone", "", True),
    (f"awsSecretsManager: {{tags: {tags(51)}}}", "tags is too long: at most 50", "", False),
    (f"awsParameterStore: {{tags: {tags(51)}}}", "tags is too long: at most 50", "", False),
    ("awsSecretsManager: {kmsKey: a}", "unknown field", "Did you mean kmsKeyId?", False),
    ("awsParameterStore: {path: prod}", "path has an invalid format", "/prod", False),
    ("awsParameterStore: {path: //}", "path has an invalid format", "", False),
    ("awsParameterStore: {type: StringList}", "type must be 'SecureString' or 'String'", "", False),
    ("awsParameterStore: {tier: standard}", "tier must be", "Did you mean Standard?", False),
    ("awsParameterStore: {type: String, kmsKeyId: a}", "kmsKeyId needs type: SecureString", "", True),
    ("awsParameterStore: {overwrite: true}", "unknown field", "", False),
    ("awsParamStore: {}", "there is no provider of that name", "Did you mean awsParameterStore?", False),
]


def by_schema(text: str) -> bool:
    """Whether the exported JSON Schema takes a document."""
    (document,) = read_documents("a.yaml", text)[0]
    return bool(Draft202012Validator(json_schema_for("SecretStore")).is_valid(document.data))


@pytest.mark.parametrize("provider", GOOD)
def test_good_documents(tmp_path: Path, provider: str) -> None:
    """What is documented is understood, by loading and by the JSON Schema for editors, without a warning."""
    text = store("one", provider=provider)
    config = load(tmp_path, text).stores["one"].config
    assert isinstance(config, (AwsSecretsManagerConfig, AwsParameterStoreConfig))
    assert by_schema(text)


@pytest.mark.parametrize(("provider", "message", "hint", "beyond_schema"), BAD)
def test_bad_documents(tmp_path: Path, provider: str, message: str, hint: str, beyond_schema: bool) -> None:
    """Each has one problem that names the field and says what to do, and never what stood there."""
    text = store("one", provider=provider)
    (problem,) = problems(tmp_path, text)
    assert message in problem.message
    assert hint in problem.hint
    assert "CANARY" not in f"{problem.message} {problem.hint}"
    assert by_schema(text) is beyond_schema


@pytest.mark.parametrize(
    ("provider", "arn", "told"),
    [
        (
            "awsSecretsManager", "arn:aws:secretsmanager:eu-central-1:210987654321:secret:prod/db-AbCdEf",
            "write the name, prod/db, without the hyphen and the six characters that AWS puts behind it in an ARN",
        ),
        (
            "awsSecretsManager", "arn:aws-cn:secretsmanager:cn-north-1:210987654321:secret:db",
            "write the name, db, without",
        ),
        (
            "awsParameterStore", "arn:aws:ssm:eu-central-1:210987654321:parameter/prod/db-AbCdEf",
            "write the name, prod/db-AbCdEf, without a slash in front; where the SecretStore has a path, what follows",
        ),
        (
            "awsParameterStore", "arn:aws-us-gov:ssm:us-gov-east-1:210987654321:parameter/db",
            "write the name, db, without a slash",
        ),
    ],
)  # fmt: skip
def test_an_arn_is_no_key(tmp_path: Path, provider: str, arn: str, told: str) -> None:
    """It is refused by its document alone, at its line, with what to write and the way to another account."""
    stores = store("one", provider=f"{provider}: {{}}", permissions="Read") + store("two")
    for item, where in (
        (f'- {{name: a, secret: {{key: "{arn}"}}, keyTransform: [{{template: db}}]}}', "secret.key"),
        (f'- {{name: a, key: db, combine: [{{name: x, secret: {{key: "{arn}"}}}}]}}', "combine[0].secret.key"),
    ):
        (problem,) = problems(tmp_path, stores + job(item))
        assert problem.message == f"spec.plan[0].{where} is no key of the SecretStore one"
        assert told in problem.hint
        assert "auth.assumeRole" in problem.hint
    assert load(tmp_path, store("one") + store("two") + job(f'- {{name: a, secret: {{key: "{arn}"}}}}')).jobs


def test_files_start_where_the_document_stands(tmp_path: Path) -> None:
    """A token file and a key's files are relative to the document; a key in the document itself is warned about."""
    config = load(tmp_path, store("one", provider=f"awsSecretsManager: {{auth: {{{WEB}}}}}")).stores["one"].config
    assert isinstance(config, AwsSecretsManagerConfig)
    assert config.auth.web_identity is not None
    assert config.auth.web_identity.token_file == str(tmp_path / "token")
    keys = "accessKey: {id: {value: A}, secret: {file: b}}"
    assert warnings(tmp_path, store("one", provider=f"awsSecretsManager: {{auth: {{{keys}}}}}")) == [
        "5: spec.provider.awsSecretsManager.auth.accessKey.id is written into the document"
    ]


@pytest.mark.parametrize("provider", ["awsSecretsManager", "awsParameterStore"])
@pytest.mark.parametrize(("mark", "room"), [("", False), ("ownership: {mark: false}", True)])
def test_the_ownership_mark_needs_room_among_the_tags(tmp_path: Path, provider: str, mark: str, room: bool) -> None:
    """Fifty tags are a problem at the SecretStore's tags where a job marks what it creates, and none otherwise."""
    documents = store("one") + store("two", provider=f"{provider}: {{tags: {tags(50)}}}") + job(more=mark)
    if room:
        assert load(tmp_path, documents).jobs
        return
    (problem,) = problems(tmp_path, documents)
    assert problem.line == 10
    assert "tags has 50 entries, as many as fit, and the mark of SyncJob job needs one" in problem.message
    assert "mark: false" in problem.hint
    assert load(tmp_path, documents.replace(tags(50), tags(49))).jobs
