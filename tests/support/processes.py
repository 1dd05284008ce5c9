"""Processes of a test that run Python: forked from one that has imported what they need, so each starts at once."""

from __future__ import annotations

import multiprocessing

FORKSERVER = multiprocessing.get_context("forkserver")
# Whoever starts a process first starts the server, and it imports for all; a name it does not find is left out.
FORKSERVER.set_forkserver_preload(["secretsync_core.audit.ledger", "psycopg", "secretsync_dagster.preload"])
