"""SecretSync in Dagster: every SyncJob becomes a job that people run, schedule, inspect and retry in the web UI.

``secretsync_dagster.definitions`` is what ``workspace.yaml`` loads, and :mod:`secretsync_dagster.compile` the one pure
function behind it. Documents come from ``SECRETSYNC_CONFIG``, the ledger from ``SECRETSYNC_LEDGER``.
"""
