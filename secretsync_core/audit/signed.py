"""Texts of ours that somebody else keeps for us, signed by the ledger's key: who changes one is found out."""

from __future__ import annotations

import hmac
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from secretsync_core.audit.home import LEDGER, make_for_key
from secretsync_core.audit.keys import KeyPair, is_given, load_key
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PURPOSE = b"secretsync documents\0"


def keys_for_signing(home: Path, ledger_url: str, *, environ: Mapping[str, str], create: bool) -> KeyPair | None:
    """The ledger's keys; None where there are none, or where they cannot be used. Asks no server.

    Args:
        home: the directory of the ledger and its key.
        ledger_url: the ledger, if it is somewhere else.
        environ: where the key is looked up first.
        create: make the key where there is none and the ledger is a file that there is not yet.
    """
    create = create and not ledger_url and not is_given(environ)
    with suppress(SecretSyncError, OSError):
        if create:
            make_for_key(home)
        return load_key(environ=environ, directory=home, create=create, ledger=home / LEDGER if create else None)
    return None


def sign(keys: KeyPair, text: str) -> str:
    """The signature of a text."""
    return hmac.new(keys.plan, _PURPOSE + text.encode(), sha256).hexdigest()


def is_signed(keys: KeyPair, text: str, signature: str) -> bool:
    """Whether a text has a signature of this key. A former key signs no more: it may have been replaced for a leak."""
    return hmac.compare_digest(sign(keys, text).encode(), signature.encode())
