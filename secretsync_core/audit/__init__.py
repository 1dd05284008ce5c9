"""Phase 5, AUDIT: the ledger, an append-only, hash-chained record of what was done, which is also the state of a sync.

``ledger.Ledger`` is the way in; ``keys`` loads the key that fingerprints and seals are made with; ``export`` writes
the records as JSON lines and checks such a file by itself. Nothing here ever sees a secret's value.
"""
