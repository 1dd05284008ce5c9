"""A job that would read what it writes is refused in Dagster as on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_jobs.lab import failures

if TYPE_CHECKING:
    from pathlib import Path

    from dagster_jobs.lab import Lab


def test_what_only_the_open_stores_tell(lab: Lab, tmp_path: Path) -> None:
    """A link leads into the source: the run fails with the reason before it writes anything."""
    (tmp_path / "secrets" / "inner").mkdir(parents=True)
    (tmp_path / "secrets" / "x").write_text("1")
    (tmp_path / "elsewhere").symlink_to("secrets/inner")
    lab.store("src", f"file: {{path: {tmp_path / 'secrets'}}}")
    lab.store("dst", f"file: {{path: {tmp_path / 'elsewhere'}}}")
    lab.job("- {name: all, query: {recursive: true}}")
    result = lab.run()
    assert not result.success
    assert "x in dst: item all would read it as a source (src: inner/x)" in str(failures(result))
    assert list((tmp_path / "secrets" / "inner").iterdir()) == []


def test_what_the_documents_show(lab: Lab) -> None:
    """The job is none, as any that has errors: validation tells why, and what stands in its place only fails."""
    lab.job("- {name: all, query: {recursive: true}, keyTransform: [{prefix: copy/}]}", dest="src")
    assert lab.definitions.resolve_job_def("job").tags["secretsync/broken"] == "true"
    assert not lab.run().success
