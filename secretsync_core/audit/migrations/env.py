"""What Alembic runs for each call. The connection, and the transaction that it is in, are ``audit.migrate``'s."""

from __future__ import annotations

from alembic import context

_given = context.config.attributes
context.configure(connection=_given["connection"], version_table_schema=_given["schema"])
with context.begin_transaction():
    context.run_migrations()
