"""Stores at GitLab, on a strict fake of its API over TLS."""
