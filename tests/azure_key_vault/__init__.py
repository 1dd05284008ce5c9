"""Tests of the store for Azure Key Vault."""
