"""Which keys there can be, and how files that are being written are called."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import socket
import stat
import time
import zlib
from functools import cache
from pathlib import Path

from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.stores.fit import check_key, invalid_key

TEMPORARY = ".secretsync-tmp-"
"""How the names of our temporary files begin."""

STATE = ".secretsync"
"""What the directory with a ledger and its key is called: no part of any store, also where one comes to be later."""

MAX_BYTES = 64 * 1024 * 1024
MAX_SEGMENT = 255  # bytes; what every common file system allows one name
FOREIGN_AGE = 86_400  # seconds after which a temporary file of another machine or container counts as dead

LIMITS = StoreLimits(
    max_bytes=MAX_BYTES,
    # Segments that are neither empty, nor "." or "..": written without lookahead, which RE2 lacks.
    key_pattern=r"^(?:[^/.\x00]|\.[^/.\x00]|\.\.[^/\x00])[^/\x00]*"
    r"(?:/(?:[^/.\x00]|\.[^/.\x00]|\.\.[^/\x00])[^/\x00]*)*$",
    key_rule="file names of at most 255 bytes separated by single slashes, none of them '.' or '..', without NUL",
    folders_are_keys=False,
)


def segments_of(key: str, store: str) -> list[str]:
    """The folders of a key, and the name of its file. Raises InvalidSecret for a key that cannot be."""
    segments = key.split("/")
    check_key(key, store, LIMITS)
    for segment in segments:
        if segment == STATE:
            raise invalid_key(key, store, f"what is called {STATE} holds a ledger and its key, and no secrets")
        if segment.startswith(TEMPORARY):
            fault = f"names that begin with {TEMPORARY} are temporary files of ours"
            raise invalid_key(key, store, fault)
        if len(segment.encode()) > MAX_SEGMENT:
            raise invalid_key(key, store, LIMITS.key_rule)
    return segments


class TemporaryName:
    """Names of temporary files, and who made them."""

    pattern = re.compile(re.escape(TEMPORARY) + r"([0-9a-f]{8})-([0-9]+)-([0-9a-f]{16})-[0-9]+")
    process = secrets.token_hex(8)  # process ids come back, above all in containers; this does not
    counter = itertools.count()

    @staticmethod
    @cache
    def machine() -> str:
        """Tell apart machines and containers that share a directory: only within one do process ids mean anything."""
        try:
            namespace = Path("/proc/self/ns/pid").stat().st_ino
        except OSError:
            namespace = 0
        return f"{zlib.crc32(f'{socket.gethostname()}/{namespace}'.encode()):08x}"

    @classmethod
    def new(cls) -> str:
        return f"{TEMPORARY}{cls.machine()}-{os.getpid()}-{cls.process}-{next(cls.counter)}"

    @classmethod
    def is_dead(cls, name: str, info: os.stat_result) -> bool:
        """Whether this is a temporary file of ours whose writer will not come back for it."""
        made = cls.pattern.fullmatch(name)
        if made is None or not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
            return False
        machine, pid, process = made.groups()
        if machine != cls.machine():
            return time.time() - info.st_mtime > FOREIGN_AGE
        if int(pid) == os.getpid():
            return process != cls.process
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False
