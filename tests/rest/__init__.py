"""The store ``http``: any REST service, by its document."""
