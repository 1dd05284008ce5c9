"""Tests of the engine, on stores in memory and in files, and a SQLite ledger."""
