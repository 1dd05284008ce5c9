"""Which keys there can be, and how files that are being written are called."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import socket
import time
import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.stores.fit import check_key, invalid_key

TEMPORARY = ".secretsync-tmp-"
"""How the names of our temporary files begin."""

STATE = ".secretsync"
"""What the directory with a ledger and its key is called: no part of any store, also where one comes to be later."""

RULES = (".sops.yaml", ".sops.yml")
"""What the files are called by which sops encrypts: whoever writes one decides who reads what is encrypted next."""

_HISTORIES = (".git", ".hg", ".svn", ".bzr", ".jj", "git~1")  # the last one is what Windows calls .git for short
_UNSEEN = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])
"""Characters that macOS leaves out of names."""

_FIRSTS = {".", "g", "G", *map(chr, _UNSEEN)}

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


_TEMPORARY_FAULT = f"names that begin with {TEMPORARY} are temporary files of ours"


def why_closed(name: str) -> str:
    """Why a file or a folder of this name is never a secret nor a folder of them; empty where it may be.

    Names count as the most forgiving file system takes them: without regard to case, to what macOS does not see, and
    to what Windows drops at the end.
    """
    if name[:1] not in _FIRSTS:  # nearly all names; a listing asks for each
        return ""
    plain = name.translate(_UNSEEN).partition(":")[0].rstrip(" .").casefold()
    if plain == STATE:
        return f"what is called {STATE} holds a ledger and its key, and no secrets"
    if plain in RULES:
        return f"what is called {plain} says for whom sops encrypts, and is no secret"
    if plain in _HISTORIES:
        return "what is called .git, .hg, .svn, .bzr or .jj is version control's own"
    return ""


def is_temporary(name: str) -> bool:
    """Whether this is the name of one of our temporary files, also where a file system ignores case."""
    return name[:1] == "." and name.casefold().startswith(TEMPORARY)


def segments_of(key: str, store: str) -> list[str]:
    """The folders of a key, and the name of its file. Raises InvalidSecret for a key that cannot be."""
    segments = key.split("/")
    check_key(key, store, LIMITS)
    for segment in segments:
        if fault := why_closed(segment) or (is_temporary(segment) and _TEMPORARY_FAULT):
            raise invalid_key(key, store, fault)
        if len(segment.encode()) > MAX_SEGMENT:
            raise invalid_key(key, store, LIMITS.key_rule)
    return segments


class TemporaryName(NamedTuple):
    """Who made a temporary file, as its name says. ``kernel`` is empty where its writer took no lock."""

    machine: str
    pid: int
    process: str
    kernel: str

    @classmethod
    def new(cls) -> str:
        """The name of a new file."""
        return f"{TEMPORARY}{cls.this_machine()}-{os.getpid()}-{PROCESS}-{next(_COUNTER)}-{cls.this_kernel()}"

    @classmethod
    def read(cls, name: str) -> TemporaryName | None:
        """What a name says; ``None`` where it is none of ours."""
        made = _PATTERN.fullmatch(name)
        return cls(made[1], int(made[2]), made[3], made[4] or "") if made is not None else None

    @staticmethod
    @cache
    def this_machine() -> str:
        """Tell apart machines and containers that share a directory: only within one do process ids mean anything."""
        try:
            namespace = Path("/proc/self/ns/pid").stat().st_ino
        except OSError:
            namespace = 0
        return _digest(f"{socket.gethostname()}/{namespace}")

    @classmethod
    @cache
    def this_kernel(cls) -> str:
        """Tell apart kernels: all containers of one see each other's locks, wherever a file is."""
        try:
            return _digest(Path("/proc/sys/kernel/random/boot_id").read_text())
        except OSError:
            return cls.this_machine()

    def is_dead(self, modified: float) -> bool:
        """Whether process ids and, for other machines, the file's age in seconds say that its writer is gone."""
        if self.machine != self.this_machine():
            return time.time() - modified > FOREIGN_AGE
        if self.pid == os.getpid():
            return self.process != PROCESS
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False


PROCESS = secrets.token_hex(8)
"""Tells processes apart: their ids come back, above all in containers; this does not."""

_PATTERN = re.compile(re.escape(TEMPORARY) + r"([0-9a-f]{8})-([0-9]+)-([0-9a-f]{16})-[0-9]+(?:-([0-9a-f]{8}))?")
_COUNTER = itertools.count()


def _digest(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def is_plain_name(name: str) -> bool:
    """Whether a text can be the name of a file of people's."""
    return (
        name not in ("", ".", "..")
        and not why_closed(name)
        and not set("/\0") & set(name)
        and not is_temporary(name)
        and len(name.encode(errors="surrogatepass")) <= MAX_SEGMENT
    )
