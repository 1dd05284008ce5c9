"""What may stand in a document: ``provider: {sqlite: {path: secrets.db}}``."""

from __future__ import annotations

from pydantic import Field

from secretsync_core.schema.base import Spec, StorePath


class SqliteConfig(Spec):
    """One SQLite file."""

    # A relative path starts where the document stands, and an operator's policy bounds where it may lead. A credential
    # would be a `Credential`, and a certificate's path a `LocalPath`.
    path: StorePath = Field(description="The file; it is made where there is none.")
