"""A plan as Markdown: deletes and refusals first, bounded, and nothing that a name can break out of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.cli import plan_markdown
from secretsync_core.cli.markdown import code
from secretsync_core.errors import StoreUnavailable
from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.run.done import Planned
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Cli
    from secretsync_core.schema.documents import JobDocument

_REASONS = {Action.CREATE: Reason.NEW, Action.UPDATE: Reason.SOURCE_CHANGED, Action.DELETE: Reason.SOURCE_GONE,
            Action.REFUSE: Reason.NOT_MANAGED, Action.UNCHANGED: Reason.VERSIONS_MATCH}  # fmt: skip

DOCUMENTS = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: src}
spec: {provider: {file: {path: src}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: dst}
spec: {provider: {file: {path: dst}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: job}
spec: {source: src, dest: dst, plan: [{name: all, query: {path: ""}}]}
"""


@pytest.fixture
def job(tmp_path: Path) -> JobDocument:
    """A job from one store to another."""
    (tmp_path / "all.yaml").write_text(DOCUMENTS)
    return load_directory(tmp_path).jobs["job"]


def _change(key: str, action: Action, detail: str = "") -> Change:
    sources = () if action is Action.DELETE else (SourceRef("src", key),)
    return Change("all", "dst", key, action, _REASONS[action], sources, "1", "1", detail=detail)


def _planned(*changes: Change, warnings: list[str] | None = None) -> Planned:
    return Planned("job", list(changes), warnings or [], [], {})


def _many(action: Action, count: int, prefix: str = "many") -> list[Change]:
    return [_change(f"{prefix}/{number:06}", action) for number in range(count)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a/b", "`a/b`"),
        ("", ""),
        ("a|b", "`a\\x7cb`"),
        ("`code`", "`\\x60code\\x60`"),
        ("<img src=x>", "`<img src=x>`"),
        ("line\nbreak\u202e", "`line\\nbreak\\u202e`"),
        (" a ", "`\\x20a\\x20`"),
        ("  ", "`\\x20\\x20`"),
    ],
)
def test_a_name_stays_a_name(text: str, shown: str) -> None:
    """A name is a code span of one line, which nothing in it ends, and which fits into a cell."""
    assert code(text) == shown


def test_a_hostile_key_is_one_cell(job: JobDocument) -> None:
    """A key that is Markdown, HTML, a mention or a link is text in its cell, wherever it is quoted."""
    evil = "|x|\n# `@team` [a](https://evil) <script>alert(1)</script> ![](x) www.evil.com"
    told = f"source src has no secret {evil}"
    text = plan_markdown.render([(job, _planned(_change(evil, Action.REFUSE, told), warnings=[told]))])
    outside = "".join(part for line in text.splitlines() for part in line.split("`")[::2])
    for part in ("@team", "https:", "<script", "![", "www.", "evil"):
        assert part not in outside
    (row,) = [line for line in text.splitlines() if line.startswith("| `!` refuse")]
    assert row.count("|") == 7


def test_deletes_and_refusals_stand_first(job: JobDocument) -> None:
    """The counts and the tables begin with what goes and what is refused, whatever the keys are called."""
    changes = [*_many(Action.CREATE, 3, "a"), _change("z", Action.DELETE), _change("y", Action.REFUSE)]
    text = plan_markdown.render([(job, _planned(*changes))])
    assert text.startswith("### SecretSync plan: 1 to delete, 1 refused, 3 to create")
    order = [text.index(each) for each in ("**To delete (1)**", "`z`", "**Refused (1)**", "`y`", "**To create (3)**")]
    assert order == sorted(order)
    assert "not fit" not in text


@pytest.mark.parametrize("count", [300, 5_000])
def test_what_does_not_fit_is_counted(job: JobDocument, count: int) -> None:
    """Of many changes what fits is shown, all deletes among it, and the rest is counted by prefix."""
    changes = [*_many(Action.UPDATE, count), *_many(Action.CREATE, count, "new"), *_many(Action.DELETE, 200, "gone")]
    text = plan_markdown.render([(job, _planned(*changes))])
    assert len(text.encode()) <= plan_markdown.MOST_BYTES
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len([row for row in rows if "delete" in row]) == 200
    assert "Not all deletes" not in text
    if count == 5_000:
        (line,) = [line for line in text.splitlines() if line.startswith("... and more that do not fit")]
        assert "5,000 to create" in line
        assert "- `new/`: 5,000 to create" in text
        left = 2 * count + 200 - len(rows) - 5_000
        assert f"- `many/`: {left:,} to update" in text


def test_deletes_that_do_not_fit_are_told_at_the_top(job: JobDocument) -> None:
    """Where not even the deletes fit, the third line says how many are missing and where they are to be seen."""
    text = plan_markdown.render([(job, _planned(*_many(Action.DELETE, 4_000), _change("x", Action.CREATE)))])
    assert len(text.encode()) <= plan_markdown.MOST_BYTES
    shown = len([line for line in text.splitlines() if line.startswith("| `-` delete")])
    assert 0 < shown < 4_000
    told = f"Not all deletes and refusals fit in here: {4_000 - shown:,} to delete are missing."
    assert text.splitlines()[2] == f"**{told} `secretsync plan` shows every one.**"


def test_more_jobs_than_fit(job: JobDocument) -> None:
    """Of jobs without room for their heading those with deletes stay, and the others are counted."""
    quiet = [(job, _planned(_change(f"k{number}", Action.CREATE))) for number in range(900)]
    text = plan_markdown.render([*quiet, (job, _planned(_change("gone", Action.DELETE)))])
    assert len(text.encode()) <= plan_markdown.MOST_BYTES
    assert "`gone`" in text
    assert "more jobs with" in text
    assert "Not all deletes" not in text


def test_a_job_that_was_not_planned_and_one_with_nothing_to_do(job: JobDocument) -> None:
    """A job that could not be planned says why, and one with nothing to do is only named."""
    failed = StoreUnavailable("src cannot be reached: `x`", store="src")
    text = plan_markdown.render([(job, failed), (job, _planned(_change("k", Action.UNCHANGED)))], digest="ab")
    assert "**Not planned**: `src cannot be reached: 'x'`" in text
    assert "Nothing to do: `job`" in text
    assert text.endswith("Saved plan: `sha256:ab`\n")


def test_only_markdown_goes_to_stdout(started: Cli) -> None:
    """``plan -o markdown`` gives the comment on stdout, and nothing else."""
    ran = started("plan", "-o", "markdown", "--out", "my.plan")
    assert ran.code == 0
    assert ran.out.startswith("### SecretSync plan: 0 to delete, 4 to create")
    assert "Saved plan: `sha256:" in ran.out
    assert "Saved as my.plan" in ran.err
