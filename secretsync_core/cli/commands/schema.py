"""``secretsync schema``: the JSON Schema of the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli import exits
from secretsync_core.schema.export import json_schema, json_schema_for

if TYPE_CHECKING:
    from secretsync_core.cli.output import Output


def run(output: Output, kind: str | None) -> int:
    """Print the schema of one kind, or of both."""
    output.document(json_schema_for(kind) if kind else json_schema())
    return exits.OK
