"""Measures SecretSync side by side with the wire limit and with a peer: ``python -m benchmarks``."""
