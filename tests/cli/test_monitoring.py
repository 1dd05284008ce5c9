"""The alert rules and the dashboard in ``deploy/monitoring`` ask for what ``secretsync metrics`` gives, and work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Cli

PLACE = Path(__file__).parents[2] / "deploy" / "monitoring"
OURS = re.compile(r"\bsecretsync_[a-z_]+")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus has it)"
)


def promtool(*arguments: str, text: str | None = None) -> str:
    """Run promtool, which has to be content; gives what it said."""
    done = subprocess.run(["promtool", *arguments], cwd=PLACE, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The title and the PromQL of every query of a dashboard, with Grafana's variables filled in."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            filled = target["expr"].replace("$__rate_interval", "5m").replace("$syncjob", ".*")
            assert "$" not in filled, panel["title"]
            yield panel["title"], filled


@pytest.fixture
def names(started: Cli) -> set[str]:
    """Every metric that is given after a sync and a drift check."""
    started("sync")
    started("check")
    return set(OURS.findall("\n".join(line for line in started("metrics").out.splitlines() if line[0] != "#")))


def test_alerts_and_dashboard_ask_for_metrics_that_there_are(names: set[str]) -> None:
    """A metric that was renamed would leave an alert that never fires, and a panel that stays empty."""
    rules = yaml.safe_load((PLACE / "alerts.yaml").read_text())["groups"][0]["rules"]
    dashboard = json.loads((PLACE / "grafana-dashboard.json").read_text())
    queries = [variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable]
    texts = [rule["expr"] for rule in rules] + [text for _, text in expressions(dashboard)] + queries
    used = {name for text in texts for name in OURS.findall(text)}
    assert len(used) > 10
    assert used <= names


def test_the_dashboard_shows_what_a_last_run_does_not(names: set[str]) -> None:
    """Items that an earlier run left out of sync, and the last drift check: what it found, and how long ago it was."""
    dashboard = json.loads((PLACE / "grafana-dashboard.json").read_text())
    shown = {name for _, text in expressions(dashboard) for name in OURS.findall(text)}
    findings = {name for name in names if "out_of_sync" in name or "drift_check" in name}
    assert len(findings) == 3
    assert findings <= shown


def test_every_panel_has_a_place_and_a_name_of_its_own() -> None:
    """Grafana takes a dashboard with two panels on one spot, and shows them badly."""
    panels = json.loads((PLACE / "grafana-dashboard.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)


@needs_promtool
def test_the_metrics_are_as_prometheus_wants_them(started: Cli) -> None:
    """Names, units, types and help, by Prometheus's own linter."""
    started("sync")
    assert promtool("check", "metrics", text=started("metrics", "--verify").out) == ""


@needs_promtool
def test_the_alerts_fire_when_they_should() -> None:
    """And only then: ``alerts_test.yaml`` has a day on which all is well, and one on which nothing is."""
    promtool("check", "rules", "alerts.yaml")
    promtool("test", "rules", "alerts_test.yaml")


@needs_promtool
def test_every_alert_is_tested() -> None:
    """Each by its name, firing and not firing."""
    rules = yaml.safe_load((PLACE / "alerts.yaml").read_text())["groups"][0]["rules"]
    tests = (PLACE / "alerts_test.yaml").read_text()
    for rule in rules:
        assert tests.count(f"alertname: {rule['alert']}") == tests.count(f'alertname="{rule["alert"]}"') == 1
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("warning", "critical")


@needs_promtool
def test_the_dashboards_queries_are_promql(tmp_path: Path) -> None:
    """Each is taken as the expression of a rule, which Prometheus parses whole."""
    dashboard = json.loads((PLACE / "grafana-dashboard.json").read_text())
    rules = [{"record": f"panel:{number}", "expr": text} for number, (_, text) in enumerate(expressions(dashboard))]
    assert len(rules) > 15
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(tmp_path / "rules.yaml"))
