"""Frozen facts without values: capabilities, inventories, plans, changes, reports. All of it is safe to print."""
