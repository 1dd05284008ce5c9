"""Places: which place the name of a destination is bound to, and how far the server of a place had got.

In PostgreSQL, who may use the table of leases may use the new ones: a role that only syncs goes on.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

_GRANTS = """
DO $$
DECLARE given record;
BEGIN
    FOR given IN
        SELECT made, privilege_type AS may, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(rolname) END AS who
        FROM pg_class CROSS JOIN aclexplode(relacl) LEFT JOIN pg_roles ON pg_roles.oid = grantee
        CROSS JOIN unnest(ARRAY['places', 'positions']) AS made
        WHERE pg_class.oid = to_regclass('leases') AND grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON %I TO %s', given.may, given.made, given.who);
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Make the tables."""
    dialect = op.get_context().dialect.name
    file = Path(__file__).with_suffix(f".{dialect}.sql")
    for statement in file.read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.rstrip().removesuffix(";"))
    if dialect == "postgresql":
        op.execute(_GRANTS)
