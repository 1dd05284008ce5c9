"""Phase 4, TRANSFER: all input and output over stores, in the order in which :mod:`.run` reads."""
