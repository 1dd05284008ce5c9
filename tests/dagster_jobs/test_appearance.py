"""What Dagster shows of documents at first sight: icons, places, lines, labels as tags, owners and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster_shared.libraries import DagsterLibraryRegistry

import secretsync_core
from dagster_jobs.lab import KEY, TWO_ITEMS
from secretsync_dagster.appearance import tags_of, without_user_info
from secretsync_dagster.load import load
from secretsync_dagster.naming import JOB_TAG
from secretsync_dagster.run_workers import sign_as_worker

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

TOKEN = "auth: {token: {env: TOKEN_OF_IT}}"


def _specs(lab: Lab) -> dict[str, dg.AssetSpec]:
    return {spec.key.path[-1]: spec for spec in lab.definitions.resolve_all_asset_specs()}


def _texts(spec: dg.AssetSpec) -> dict[str, Any]:
    """An asset's metadata, less what is no plain text."""
    return {name: getattr(value, "value", value) for name, value in spec.metadata.items() if not name.startswith("dag")}


@pytest.mark.parametrize(
    ("provider", "kinds", "place"),
    [
        (
            f"vault: {{address: 'https://bao.example:8200', namespace: team, mount: kv, {TOKEN}}}",
            {"hashicorp", "vault"},
            {"address": "https://bao.example:8200", "namespace": "team", "mount": "kv"},
        ),
        (
            "awsSecretsManager: {region: eu-west-1, prefix: prod/}",
            {"aws", "secretsmanager"},
            {"region": "eu-west-1", "prefix": "prod/"},
        ),
        (
            "awsParameterStore: {region: eu-west-1, path: /prod}",
            {"aws", "parameterstore"},
            {"region": "eu-west-1", "path": "/prod"},
        ),
        (
            "azureKeyVault: {vaultUrl: 'https://acme.vault.azure.net'}",
            {"azure", "keyvault"},
            {"vault": "https://acme.vault.azure.net"},
        ),
        ("kubernetes: {namespace: payments}", {"kubernetes"}, {"namespace": "payments"}),
        (
            f"githubSecrets: {{repository: acme/app, environment: prod, {TOKEN}}}",
            {"github"},
            {
                "address": "https://api.github.com",
                "repository": "acme/app",
                "environment": "prod",
                "kind": "Actions",
            },
        ),
        (
            f"gitlabVariables: {{project: acme/app, environmentScope: production, {TOKEN}}}",
            {"gitlab"},
            {"address": "https://gitlab.com", "project": "acme/app", "environmentScope": "production"},
        ),
        (
            f"http: {{address: 'https://api.example/v1', {TOKEN}, list: {{path: /all, items: '$[*]', key: $.name}}}}",
            {"http"},
            {"address": "https://api.example/v1"},
        ),
        ("file: {path: /srv/secrets}", {"file"}, {"path": "/srv/secrets"}),
        ("memory: {}", {"memory"}, {}),
    ],
)
def test_a_store_shows_what_it_is_and_where(lab: Lab, provider: str, kinds: set[str], place: dict[str, str]) -> None:
    """Kinds that the web UI has icons for, and of the configuration the place alone."""
    lab.store("src", provider)
    spec = _specs(lab)["src"]
    assert spec.kinds == kinds
    shown = _texts(spec)
    where = str(lab.config / "store-src.yaml")
    told = {"provider": provider.partition(":")[0], "permissions": "ReadWrite", "document": f"{where}:1"}
    assert {name: text for name, text in shown.items() if name not in told} == place
    assert told.items() <= shown.items()
    assert "TOKEN_OF_IT" not in str(spec.metadata)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://bao.example:8200/kv", "https://bao.example:8200/kv"),
        ("https://me:pa@ss@bao.example:8200/kv@2", "https://***@bao.example:8200/kv@2"),
        ("postgresql://u@db/x?password=p", "postgresql://***@db/x?***"),
        ("me:pass@bao.example:8200", "***@bao.example:8200"),
        ("eu-west-1", "eu-west-1"),
    ],
)
def test_no_address_shows_a_login(address: str, shown: str) -> None:
    """Our own addresses have none; those that stores of other packages tell might."""
    assert without_user_info(address) == shown


def test_every_asset_leads_to_its_document(lab: Lab) -> None:
    """To the file and the line where the document begins, also where it is not the first of its file."""
    lab.two_items()
    file = lab.config / "job.yaml"
    file.write_text(f"# one\n---\n{file.read_text()}")
    specs = _specs(lab)
    for name, where, line in (("job", file, 3), ("src", lab.config / "store-src.yaml", 1)):
        (reference,) = specs[name].metadata["dagster/code_references"].code_references
        assert (reference.file_path, reference.line_number) == (str(where), line)
    assert specs["job"].kinds == {"secretsync", "task"}


def test_a_jobs_page_says_where_its_document_stands(lab: Lab) -> None:
    """From the directory of documents on: Dagster breaks no path there, and a whole one would leave the page."""
    lab.two_items()
    folder = lab.config / "teams"
    folder.mkdir()
    (lab.config / "job.yaml").rename(folder / "job.yaml")
    assert lab.definitions.resolve_job_def("job").metadata["document"].value == "teams/job.yaml:1"


def test_labels_and_annotations_are_tags_owners_and_groups(lab: Lab) -> None:
    """Of the job, its runs and its asset, and of a store's asset; what SecretSync needs itself they do not change."""
    lab.two_items()
    of_both = (
        "labels: {team: payments, example.com/tier: gold, secretsync/job: other, dagster/priority: '9'}, "
        "annotations: {dagster.io/owners: 'team:payments, ann@example.com', dagster.io/group: money, note: any text}"
    )
    for name, file in (("job", "job"), ("src", "store-src")):
        path = lab.config / f"{file}.yaml"
        path.write_text(
            path.read_text().replace(f"metadata: {{name: {name}}}", f"metadata: {{name: {name}, {of_both}}}")
        )
    dg.Definitions.validate_loadable(lab.definitions)
    specs, job = _specs(lab), lab.definitions.resolve_job_def("job")
    owners = ["team:payments", "ann@example.com"]
    for name in ("job", "src"):
        assert {"team": "payments", "example.com/tier": "gold"}.items() <= dict(specs[name].tags).items()
        assert "dagster/priority" not in specs[name].tags
        assert (list(specs[name].owners), specs[name].group_name) == (owners, "money")
    assert (specs["job"].tags[JOB_TAG], job.tags[JOB_TAG], job.tags["team"]) == ("job", "job", "payments")
    assert list(job.owners or ()) == owners
    run = lab.instance.get_run_by_id(lab.run().run_id)
    assert run is not None
    assert run.tags["example.com/tier"] == "gold"
    assert (specs["dst"].group_name, list(specs["dst"].owners)) == ("secretsync", [])


def test_labels_that_dagster_would_not_take_are_left_out() -> None:
    """Such as those with a prefix longer than 63 characters, which Kubernetes takes, and Dagster's own."""
    assert tags_of({"team": "a", f"{'x' * 64}/team": "b", "dagster/kind": "c", "secretsync/worker": "d"}) == {
        "team": "a"
    }


def test_a_worker_signs_where_nobody_sees_it(lab: Lab) -> None:
    """Dagster shows no tag that begins with `.dagster/`; in each row of Runs it would stand beside the job's name."""
    lab.job(TWO_ITEMS)
    run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def("job"))
    before = set(run.tags)
    sign_as_worker(lab.instance, run.run_id)
    signed = lab.instance.get_run_by_id(run.run_id)
    assert signed is not None
    (added,) = set(signed.tags) - before
    assert added.startswith(".dagster/")


def test_a_code_location_says_which_version_it_has(lab: Lab) -> None:
    """Beside those of Dagster's own libraries."""
    lab.two_items()
    load([lab.config], directory=lab.config)
    assert DagsterLibraryRegistry.get()["secretsync"] == secretsync_core.__version__
    assert _specs(lab)["job"].key == KEY
