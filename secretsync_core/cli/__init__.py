"""The command line: ``secretsync``. ``main`` imports nothing but the CLI library; commands are imported when run."""
