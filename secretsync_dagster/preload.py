"""What the process of a step needs, imported once in the process that all of them are forked from."""

from __future__ import annotations

import contextlib
import importlib

from secretsync_core.undumpable import keep_out_of_dumps

keep_out_of_dumps()  # and so do those that are forked from this one

for _name in (
    *("secretsync_core.schema.loader", "secretsync_core.audit.sqlite", "secretsync_core.audit.postgres"),
    *("secretsync_core.stores.file.store", "secretsync_core.stores.memory", "secretsync_core.stores.vault"),
    *("secretsync_dagster.compile", "dagster_postgres", "upath.implementations.local", "uvloop"),
):
    with contextlib.suppress(ImportError):  # an extra that is not installed here
        importlib.import_module(_name)
