"""How another command names the same documents and the same ledger: for commands that are printed to be pasted."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from secretsync_core.cli.escape import safe

if TYPE_CHECKING:
    from secretsync_core.cli.call import Call

_HOLDS_A_PASSWORD = re.compile(r"://[^/?#]*@|[?&](?:ssl)?password=", re.IGNORECASE)


def command(call: Call, *words: str) -> str:
    """``secretsync`` with these words, for the documents and the ledger of this call, quoted for a shell.

    A ledger's URL that may hold a password is not shown: it stands as ``URL``.
    """
    given = {"--config": call.config, "--source": call.source, "--dest": call.dest, "--job": call.job}
    told = [text for option, path in given.items() if path is not None for text in (option, shlex.quote(str(path)))]
    if call.ledger is not None and call.ledger != os.environ.get("SECRETSYNC_LEDGER"):
        told += ["--ledger", "URL" if _HOLDS_A_PASSWORD.search(call.ledger) else shlex.quote(call.ledger)]
    return safe(" ".join(["secretsync", *map(shlex.quote, words), *told]))
