"""Phases 2 and 3, PLAN and DIFF: pure functions from documents and inventories to a change set."""
