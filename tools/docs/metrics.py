"""The page of all metrics, from the collector behind `secretsync metrics`."""

from __future__ import annotations

from datetime import UTC, datetime

from secretsync_core.cli.exposition import Facts, registry
from tools.docs.markdown import code, table
from tools.docs.markdown import page as whole_page

ABOUT = (
    "What `secretsync metrics` prints, in the Prometheus text format. [Metrics and alerts]"
    "(../operations.md#metrics-and-alerts) says how to collect it. The label of a job is `syncjob`, because Prometheus "
    "keeps `job` for itself."
)


def page() -> str:
    """The page for this version."""
    # Without any job there are no samples, but every family of them with its name, its help and its labels.
    facts = Facts(jobs=[], measures={}, sound={}, version=1, now=datetime.now(UTC))
    rows = [
        [
            code(family.name + ("_total" if family.type == "counter" else "")),
            family.type,
            ", ".join(code(label) for label in getattr(family, "_labelnames", ())),
            family.documentation,
        ]
        for family in registry(facts).collect()
    ]
    return whole_page("Metrics", ABOUT, table(["metric", "type", "labels", "help"], rows))
