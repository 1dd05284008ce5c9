"""The error for a record that a column's rule refuses. Names the column and the rule, never what was to go there."""

from __future__ import annotations

from secretsync_core.audit.schema import RULES
from secretsync_core.errors import LedgerError


def refused_column(column: str) -> LedgerError:
    """``column`` of a record is not what it may be."""
    rule = RULES.get(column)
    if rule is None:
        return LedgerError("the ledger refused a record")
    return LedgerError(f"the ledger refused a record: {column} must be {rule}")
