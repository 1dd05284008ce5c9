"""Stores at GitHub, on a strict fake of its API over TLS."""
