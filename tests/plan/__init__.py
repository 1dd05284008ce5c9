"""Tests of phases 2 and 3, which are pure: no store, no ledger, no event loop."""
