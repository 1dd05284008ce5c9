"""A fake of Azure Key Vault's secrets and of the logins to it, apart from the product's code."""
