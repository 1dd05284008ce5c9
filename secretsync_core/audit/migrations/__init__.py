"""The versions of the ledger's tables, as Alembic migrations; ``secretsync audit migrate`` applies them.

A new ledger is made by ``schema.statements`` in its newest form, without Alembic, and stamped with the same revision:
tests hold that both ways end in the same tables. A change to the tables is

1. a file ``versions/NNNN_what.py`` whose ``revision`` is the number of the new version;
2. the same change in ``schema.statements``, and ``schema.VERSION`` raised to that number;
3. where this program cannot work with tables of an older version any more, ``schema.USABLE`` raised.

A migration runs in one transaction, with the number that the ledger gives of itself: all of it happens or nothing.
The records are never touched: each is part of a chain, which a migration has no key to make anew.
"""
