"""One file a version, each named by its number."""
