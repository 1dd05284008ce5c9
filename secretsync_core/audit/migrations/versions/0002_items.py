"""An index of the live keys by plan item: a split item asks for its own, which was a walk over all of the job's."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the index."""
    op.create_index("items", "current", ["job", "item"])
