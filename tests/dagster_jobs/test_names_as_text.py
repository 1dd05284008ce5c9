"""Names from stores, files and documents are text on Dagster's pages: no link, no picture, no markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagster_jobs.lab import KEY, TWO_ITEMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster_jobs.lab import Lab

LINK = "[sign in](mailto:a@attacker.example)"
PICTURE = "![x](/attacker.example)"
TURNED = "a\u202etxt\u009b31m"


def _metadata(result: dg.ExecuteInProcessResult) -> Iterator[dg.MetadataValue]:
    """All metadata of all events of a run."""
    for event in result.all_events:
        data = event.event_specific_data
        yield from (getattr(data, "metadata", None) or {}).values()
        for name in ("materialization", "asset_observation", "user_failure_data"):
            yield from (getattr(getattr(data, name, None), "metadata", None) or {}).values()


def _texts(result: dg.ExecuteInProcessResult) -> str:
    found = list(_metadata(result))
    assert found
    assert not [value for value in found if isinstance(value, dg.MarkdownMetadataValue)]
    return str(found)


def test_what_a_run_shows_is_text(lab: Lab) -> None:
    """Plans, warnings, summaries and failures are tables and texts, of which no character turns others around."""
    lab.job("- {name: all, query: {recursive: true}}")
    lab.fill("src", {f"{LINK}/1": {"x": "1"}, f"{PICTURE}/2": {"x": "2"}, f"{TURNED}/3": {"x": "3"}})
    lab.fill("dst", {f"{PICTURE}/2": {"x": "theirs"}, f"{TURNED}/3": {"x": "theirs"}})
    for result in (lab.run(dryRun=True), lab.run()):
        shown = _texts(result)
        assert PICTURE in shown
        assert "\\u202e" in shown
        assert not re.search("[\u202e\u009b]", shown)


def _descriptions(definitions: dg.Definitions) -> dict[str, str]:
    repository = definitions.get_repository_def()
    found = {job.name: job.description or "" for job in repository.get_all_jobs()}
    for assets in repository.assets_defs_by_key.values():
        found |= {str(key): text or "" for key, text in assets.descriptions_by_key.items()}
    return found


def test_a_document_does_not_get_out_of_its_block(lab: Lab) -> None:
    """Its page shows what was read of it, without comments, in a block that no text of it ends."""
    lab.job(
        f"{TWO_ITEMS}\n- name: long\n  query: {{path: gamma}}\n  valueTransform:\n"
        f'    - template: {{text: "```\\n````\\n{PICTURE}\\n~~~\\n{{{{ x }}}}"}}'
    )
    file = lab.config / "job.yaml"
    file.write_text(f"# ```\n# {LINK} from the author\n{file.read_text()}# the end\n")
    definitions = lab.definitions
    (asset,) = [each for each in definitions.resolve_all_asset_specs() if each.key == KEY]
    of_job = definitions.resolve_job_def("job").metadata["YAML"].value
    for shown in map(str, (of_job, asset.metadata["YAML"].value)):
        assert "author" not in shown
        assert "the end" not in shown
        (mark,) = re.findall(r"^(`+)yaml$", shown, re.MULTILINE)
        before, _, inside = shown.partition(f"{mark}yaml\n")
        assert (inside.count(mark), inside.endswith(f"\n{mark}")) == (1, True)
        assert PICTURE in inside
        assert before == ""


@pytest.mark.parametrize("text", ["kind: SyncJob\n", None], ids=["broken", "whole"])
def test_a_file_s_name_is_no_markup(lab: Lab, text: str | None) -> None:
    """Wherever a description names the file of a document, and where one lists what is wrong in it."""
    lab.job(TWO_ITEMS, schedule="'@hourly'")
    folder = lab.config / "![x](http:" / "attacker.example"
    folder.mkdir(parents=True)
    file = lab.config / "job.yaml"
    (folder / "p.png).yaml").write_text(text or file.read_text())
    if text is None:
        file.unlink()
    definitions = lab.definitions
    told = list(_descriptions(definitions).values())
    told += [each.description or "" for each in definitions.get_repository_def().schedule_defs]
    told = [one for one in told if "attacker" in one]
    assert bool(told) is (text is not None)
    for one in told:
        assert "attacker" not in re.sub(r"`[^`\n]+`", "", one)
