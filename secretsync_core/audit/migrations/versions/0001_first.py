"""The first version of the tables, as it was: what stands here and in the two files beside it never changes."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    file = Path(__file__).with_suffix(f".{op.get_context().dialect.name}.sql")
    for statement in file.read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.rstrip().removesuffix(";"))
