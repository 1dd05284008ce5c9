"""The store for Google Cloud Secret Manager, on the fake in ``support.google``."""
