"""SecretSync's core: documents, plans, stores, transfer and audit. It knows nothing of Dagster."""

__version__ = "0.1.0"
