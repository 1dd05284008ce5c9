"""Brings the tables of an older ledger to a newer version, by Alembic. Imported by nothing but the call for it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secretsync_core.audit import seal
from secretsync_core.audit.schema import VERSION, revision
from secretsync_core.distribution import extra_hint
from secretsync_core.errors import LedgerBroken, LedgerError

try:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.util import CommandError
except ImportError:
    raise LedgerError(
        "migrating the ledger needs Alembic, which is not installed", hint=extra_hint("migrate")
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.audit.database import Database, Transaction

_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(database: Database, seal_key: bytes, *, to: int = VERSION) -> int:
    """Bring the ledger to version ``to`` of its tables, in one transaction; gives the version that it had.

    One that is there already, or beyond, is left alone. Whoever else migrates or appends waits meanwhile.
    Raises LedgerError where it cannot be done, and then nothing was changed.
    """
    with begun(database) as (connection, transaction):
        before = _version(transaction, database.name, seal_key)
        if before < to:
            config = alembic_config(connection, database)
            if _stamped(connection, database, before) is None:
                command.stamp(config, revision(before))
            command.upgrade(config, revision(to))
            value = str(to)
            transaction.run(
                "UPDATE meta SET value = ?, seal = ? WHERE name = 'schema'",
                (value, seal.meta_seal(seal_key, "schema", value)),
            )
    return before


def alembic_config(connection: sqlalchemy.Connection, database: Database) -> Config:
    """What Alembic's commands are called with: our scripts, on a connection that is in a transaction of ours."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes.update(connection=connection, schema=database.schema)
    return config


@contextmanager
def begun(database: Database) -> Iterator[tuple[sqlalchemy.Connection, Transaction]]:
    """One transaction, as Alembic sees it and as we do. It is ours alone among all that migrate."""
    engine = sqlalchemy.create_engine(
        f"{database.driver}://", creator=database.connect, poolclass=sqlalchemy.pool.NullPool
    )
    with database.explained(), _unwrapped(database), engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        # SQLAlchemy leaves the beginning of a transaction to the driver, and ours leave it to us.
        transaction = database.begin_migrating(raw)
        with connection.begin():
            yield connection, transaction


@contextmanager
def _unwrapped(database: Database) -> Iterator[None]:
    """Hand on the driver's own errors, which the database knows how to explain; others by their type alone."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from None
    except (sqlalchemy.exc.SQLAlchemyError, CommandError) as error:
        raise LedgerError(f"the ledger {database.name} could not be migrated: {type(error).__name__}") from None


def _version(transaction: Transaction, name: str, seal_key: bytes) -> int:
    """The version that the ledger gives of itself, read anew: another process may have been faster."""
    found = transaction.one("SELECT value, seal FROM meta WHERE name = 'schema'")
    if found is None or found[1] != seal.meta_seal(seal_key, "schema", str(found[0])):
        raise LedgerBroken(
            f"the version of the ledger {name} was not sealed by us",
            hint="`secretsync audit verify` says what else is wrong; nothing was changed",
        )
    return int(str(found[0]))


def _stamped(connection: sqlalchemy.Connection, database: Database, version: int) -> str | None:
    """Alembic's revision. The first ledgers have none, for they were made before there were migrations."""
    context = MigrationContext.configure(connection, opts={"version_table_schema": database.schema})
    found = context.get_current_revision()
    if found is None and version == 1:
        return None
    if found != revision(version):
        raise LedgerError(
            f"the ledger {database.name} says that its tables are of version {version}, and its table"
            f" alembic_version says {found or 'nothing'}",
            hint="restore it from a backup: it was put together from two ledgers",
        )
    return found
