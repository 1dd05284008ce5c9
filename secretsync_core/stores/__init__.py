"""The stores: one module each, the protocols they implement, and the registry that opens them by document."""
