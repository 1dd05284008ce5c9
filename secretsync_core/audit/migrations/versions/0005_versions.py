"""The form of versions: no record that is appended from now on holds one that could be a value.

The records that are there stay as they are, since their hashes cover what they say.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the rules."""
    file = Path(__file__).with_suffix(f".{op.get_context().dialect.name}.sql")
    for statement in file.read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.rstrip().removesuffix(";"))
