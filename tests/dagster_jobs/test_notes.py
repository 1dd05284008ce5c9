"""Sentences that may hold names from outside are text on Dagster's pages, and no Markdown of somebody else's."""

from __future__ import annotations

from secretsync_core.model.report import ItemError, Report
from secretsync_dagster import metadata

HOSTILE = "`x` ![](https://evil/x.png) [a](javascript:b) | c <script> **d** [31m\n# e " + "f" * 900


def _notes(markdown: str) -> list[str]:
    return [line for line in markdown.splitlines() if line.startswith("- ")]


def test_warnings_and_errors_are_code_spans() -> None:
    """Each is one span in one line, that nothing in it ends, and a long one is cut."""
    report = Report("run", "job", 0.0)
    report.warnings.append(HOSTILE)
    report.errors.append(ItemError("item", "code", HOSTILE, HOSTILE, 1))
    found = _notes(str(metadata.summary(report, 0).value))
    found += _notes(str(metadata.warnings([HOSTILE])["warnings"].value))
    assert [line.partition("`")[0] for line in found] == ["- ", "- **item**: ", "- "]
    for line in found:
        before, span, after = line.split("`")
        assert (before.count("*") in (0, 4), after) == (True, "")
        assert "![](https://evil/x.png)" in span
        assert "|" not in span
        assert len(span) < 700
