"""In what colour Dagster shows what a check said."""

from __future__ import annotations

import dagster as dg


def is_red(said: dg.AssetCheckEvaluation) -> bool:
    """Whether a check is shown as failed. One that only warns is yellow: that says of nothing that it is wrong."""
    return not said.passed and said.severity is dg.AssetCheckSeverity.ERROR
