"""Tests of the documentation: it is current, its links lead somewhere, and its examples work."""
