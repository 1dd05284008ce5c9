"""Fuzzers: what documents may hold, made up at random. ``make fuzz`` runs them; see ``__main__`` for what it takes."""
