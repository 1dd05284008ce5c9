"""What may stand in a document: ``provider: {sqlite: {path: secrets.db}}``."""

from __future__ import annotations

from pydantic import Field

from secretsync_core.schema.base import LocalPath, Spec


class SqliteConfig(Spec):
    """One SQLite file."""

    # LocalPath makes a relative path start where the document stands; a credential would be a `Credential`.
    path: LocalPath = Field(description="The file; it is made where there is none.")
