"""What runs is what is shown: a run has the documents of when it was asked for, whatever became of the files since.

``test_documents_for_real`` does the same with the real webserver and daemon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run  # what the process of a run does

from dagster_jobs.lab import KEY, TWO_ITEMS, failures
from secretsync_core.audit.keys import KeyPair
from secretsync_core.audit.signed import is_signed, sign
from secretsync_core.schema import one_job, yaml_tree
from secretsync_core.schema.kept import MOST_CHARACTERS, digest_of, keep, kept_of
from secretsync_core.schema.loader import examine, examine_raws
from secretsync_dagster.load import load_for_a_run
from secretsync_dagster.loaded_documents import TAG

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

NEWER = "Reload the code location for the next run to have them"


def _edit(lab: Lab, old: str, new: str, name: str = "job") -> None:
    file = lab.config / f"{name}.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


class _Asked:
    """A run that was asked for with the documents of now, and is executed later."""

    def __init__(self, lab: Lab, job: str = "job", **options: Any) -> None:
        self.lab = lab
        lab.another_ledger().close()  # whose key signs what is kept
        self.run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def(job), **options)

    def execute(self, job: dg.JobDefinition | None = None) -> tuple[Any, list[str]]:
        """Execute it with the documents of then; gives its result, and what it warned of."""
        made = job or self.lab.definitions.resolve_job_def("job")
        result = execute_run(InMemoryJob(made), self.run, self.lab.instance)
        logged = self.lab.instance.all_logs(self.run.run_id)
        return result, [entry.user_message for entry in logged if entry.level == 30]


def _worker(lab: Lab, job: str = "job") -> dg.JobDefinition:
    """The job as the process of a run finds it."""
    data = load_for_a_run([lab.config], directory=lab.config)
    return dg.RepositoryDefinition("__repository__", repository_data=data).get_job(job)


def test_newer_documents_wait_for_a_reload(lab: Lab) -> None:
    """A run that was asked for before an edit does what its page shows, and says so; one after it does the new."""
    lab.two_items()
    lab.store("elsewhere")
    asked = _Asked(lab)
    _edit(lab, "dest: dst", "dest: elsewhere")
    result, warned = asked.execute()
    assert result.success
    assert len(lab.held()) == 4
    assert not lab.held("elsewhere")
    assert [text for text in warned if NEWER in text]
    result, warned = _Asked(lab).execute(_worker(lab))
    assert result.success
    assert len(lab.held("elsewhere")) == 4
    assert not [text for text in warned if NEWER in text]


def test_the_process_of_a_run_has_them_too(lab: Lab) -> None:
    """It compiles the one job anew, of other documents, and runs those that were loaded; so does a store's edit."""
    lab.files("src")
    (lab.path / "src" / "alpha").mkdir()
    (lab.path / "src" / "alpha" / "1").write_text("before")
    lab.job(TWO_ITEMS)
    asked = _Asked(lab)
    _edit(lab, str(lab.path / "src"), str(lab.path / "nowhere"), "store-src")
    result, warned = asked.execute(_worker(lab))
    assert result.success
    assert len(lab.held()) == 1
    assert [text for text in warned if "have been changed since" in text and NEWER in text]


def test_a_job_that_is_gone_runs_as_it_was_loaded(lab: Lab) -> None:
    """Its process makes a job of its name all the same; a file that cannot be read is told instead."""
    lab.two_items()
    asked, again = _Asked(lab), _Asked(lab)
    file = lab.config / "job.yaml"
    whole = file.read_text()
    file.unlink()
    result, warned = asked.execute(_worker(lab))
    assert result.success
    assert len(lab.held()) == 4
    assert [text for text in warned if "are gone since" in text]
    file.write_text(f"{whole}\n: [")
    result, _ = again.execute(_worker(lab))
    assert not result.success
    (failed,) = failures(result).values()
    assert f"{file}:" in failed["told"]


def test_a_run_that_nobody_knows_documents_of_says_so(lab: Lab) -> None:
    """A run of a job that there never was has a job, which fails in words."""
    lab.two_items()
    job = _worker(lab, "never_was")
    result = job.execute_in_process(instance=lab.instance, raise_on_error=False)
    (failed,) = failures(result).values()
    assert failed["told"] == "SyncJob never-was is not in the documents any more"


def test_the_asset_has_them_too(lab: Lab) -> None:
    """A run of the asset finds them at its op as well."""
    lab.two_items()
    lab.another_ledger().close()
    job = lab.definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection={KEY})
    run = lab.instance.create_run_for_job(
        job,
        asset_selection=frozenset({KEY}),
        tags={"dagster/asset_partition_range_start": "alpha", "dagster/asset_partition_range_end": "beta"},
    )
    lab.store("elsewhere")
    _edit(lab, "dest: dst", "dest: elsewhere")
    now = lab.definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection={KEY})
    result: Any = execute_run(InMemoryJob(now), run, lab.instance)
    assert not failures(result)
    assert (len(lab.held()), len(lab.held("elsewhere"))) == (4, 0)


def test_a_comment_changes_nothing(lab: Lab) -> None:
    """Neither do lines: the digest is of what the documents say, and is the asset's code version."""
    lab.two_items()
    asked = _Asked(lab)
    before = lab.definitions.resolve_asset_graph().get(KEY).code_version
    _edit(lab, "spec:", "# a comment\n\nspec:")
    assert lab.definitions.resolve_asset_graph().get(KEY).code_version == before
    result, warned = asked.execute()
    assert result.success
    assert not warned
    _edit(lab, "path: beta", "path: gamma")
    assert lab.definitions.resolve_asset_graph().get(KEY).code_version != before


def test_a_credential_is_kept_nowhere(lab: Lab) -> None:
    """Of documents in which one stands only a digest is kept, without it; a run after an edit asks for a Reload."""
    lab.two_items(notify="[{on: [failure], slack: {webhookUrl: {value: 'https://canary.example'}}}]")
    asked = _Asked(lab)
    snapshot = lab.instance.get_job_snapshot(str(asked.run.job_snapshot_id))
    assert TAG in str(snapshot)
    assert "canary" not in str(snapshot)
    before = lab.definitions.resolve_asset_graph().get(KEY).code_version
    _edit(lab, "canary", "canary-2")
    assert lab.definitions.resolve_asset_graph().get(KEY).code_version == before
    _edit(lab, "path: beta", "path: gamma")
    result, _ = asked.execute()
    (failed,) = failures(result).values()
    assert "what was loaded is not kept" in failed["told"]
    assert "reload" in failed["what to do"].value
    assert lab.held() == {}


def test_a_former_key_signs_no_more() -> None:
    """It may have been replaced because somebody read it."""
    old = KeyPair(b"f" * 32, b"s" * 32, plan=b"p" * 32)
    new = KeyPair(b"g" * 32, b"t" * 32, (old,), plan=b"q" * 32)
    assert is_signed(new, "text", sign(new, "text"))
    assert not is_signed(new, "text", sign(old, "text"))


def test_what_is_called_a_value_and_is_no_credential_is_kept(lab: Lab) -> None:
    """Such a label is no reason to keep nothing; annotations, of which no run needs any, are left out."""
    lab.two_items()
    _edit(lab, "name: src", "name: src, labels: {value: one}, annotations: {acme.com/note: canary}", "store-src")
    documents, _ = examine([lab.config])
    text = keep(documents, "job")
    assert kept_of(text).raws is not None
    assert "canary" not in text
    assert '"value": "one"' in text


def test_what_is_kept_comes_back_as_it_was(lab: Lab) -> None:
    """Documents and digest; of very long ones the digest alone."""
    lab.two_items()
    documents, _ = examine([lab.config])
    kept = kept_of(keep(documents, "job"))
    assert kept.raws is not None
    again, problems = examine_raws(kept.raws)
    assert not problems
    assert again.jobs == documents.jobs
    assert again.stores == documents.stores
    assert digest_of(again, "job") == kept.digest
    lab.job(
        "\n".join(f"- {{name: i{number}, query: {{path: {'x' * 200}}}}}" for number in range(MOST_CHARACTERS // 200))
    )
    documents, _ = examine([lab.config])
    assert kept_of(keep(documents, "job")).raws is None


def test_a_run_reads_what_its_job_needs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many files only those in which a name of its job or stores stands are parsed, and one job is compiled."""
    lab.two_items()
    for number in range(30):
        text = (
            (lab.config / "job.yaml").read_text().replace("name: job", f"name: team-{number}").replace("src", "s-r-c")
        )
        (lab.config / f"team-{number}.yaml").write_text(text.replace("dst", "d-s-t"))
    parsed: list[str] = []
    read = yaml_tree.read_documents

    def noted(file: str, text: str) -> Any:
        parsed.append(file.rpartition("/")[2])
        return read(file, text)

    monkeypatch.setattr(one_job, "read_documents", noted)
    assert _worker(lab).name == "job"
    assert sorted(parsed) == ["job.yaml", "store-dst.yaml", "store-src.yaml"]


def test_a_name_may_be_written_with_escapes(lab: Lab) -> None:
    """What YAML reads as the name is found, also where the file's text does not have it."""
    lab.two_items()
    for name in ("job", "store-src"):
        file = lab.config / f"{name}.yaml"
        file.write_text(
            file.read_text().replace("{name: job}", '{name: "\\x6aob"}').replace("{name: src}", '{name: "\\u0073rc"}')
        )
    assert _worker(lab).execute_in_process(instance=lab.instance).success
    assert len(lab.held()) == 4


@pytest.mark.parametrize("forged", [True, False], ids=["forged", "not signed"])
def test_what_the_ledgers_key_has_not_signed_is_not_run(
    lab: Lab, forged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes into Dagster's database sends no credential anywhere: such documents are refused."""
    lab.two_items()
    with monkeypatch.context() as patch:
        signature = "secretsync_dagster.loaded_documents.sign"
        patch.setattr(signature, lambda *_: "0" * 64 if forged else "")
        asked = _Asked(lab)
    lab.store("elsewhere")
    _edit(lab, "dest: dst", "dest: elsewhere")
    result, _ = asked.execute(_worker(lab))
    (failed,) = failures(result).values()
    assert "it is not signed by the key of the ledger" in failed["told"]
    assert (lab.held(), lab.held("elsewhere")) == ({}, {})
