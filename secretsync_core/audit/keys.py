"""The ledger's key: what fingerprints and seals are made with. It is never in the ledger.

It comes from SECRETSYNC_KEY, from the file that SECRETSYNC_KEY_FILE names, or from ``ledger.key`` beside the ledger.
Three keys are derived from it, one for each use, so that none says anything about another.

A key may be followed by those that it took the place of, each on a line of its own that begins with ``former``. They
still tell whether a value is the one that was recorded, until all of them were recorded anew; they seal nothing.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import errno
import hmac
import os
import re
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.audit import home
from secretsync_core.audit.database import LedgerMissing
from secretsync_core.audit.private import check_directory, check_key
from secretsync_core.errors import LedgerError
from secretsync_core.ledger_address import file_of, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "SECRETSYNC_KEY"
FILE_VARIABLE = "SECRETSYNC_KEY_FILE"
FILE_NAME = "ledger.key"
MIN_BYTES = 32


class KeyLost(LedgerError):
    """The ledger is there, and its key is not. It can be read, and nothing proven or written."""


_SCRATCH = re.escape(f".{FILE_NAME}.") + r"[0-9]+\.[0-9a-f]{8}"
_SCRATCH_SECONDS = 60.0

_MAKE_ONE = "make one with `openssl rand -base64 32`"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The keys that are derived from the ledger's key, 32 bytes each. None is ever shown.

    ``fingerprint`` names values, ``seal`` seals the ledger, and ``plan`` signs saved plans. ``former`` are
    the pairs of the keys that this one took the place of, the newest first.
    """

    fingerprint: bytes = field(repr=False)
    seal: bytes = field(repr=False)
    former: tuple[KeyPair, ...] = field(default=(), repr=False)
    plan: bytes = field(default=b"", repr=False)

    @property
    def fingerprints(self) -> tuple[bytes, ...]:
        """The key that values are named by, and then those that they were named by before."""
        return (self.fingerprint, *(pair.fingerprint for pair in self.former))

    @property
    def former_seals(self) -> tuple[bytes, ...]:
        """What the ledger was sealed with before; a ledger that still is has to be sealed anew."""
        return tuple(pair.seal for pair in self.former)

    def __reduce__(self) -> str | tuple[object, ...]:
        """A key does not travel by pickle."""
        raise TypeError("a KeyPair cannot be pickled")


def load_key(*, environ: Mapping[str, str], directory: Path, create: bool, ledger: str | Path | None = None) -> KeyPair:
    """Find the ledger's key and derive its keys.

    Args:
        environ: where SECRETSYNC_KEY is looked up, and if it is not set SECRETSYNC_KEY_FILE.
        directory: else its ``ledger.key``.
        create: make that file (0600, 32 random bytes) where there is none; processes that do so at once agree.
        ledger: the ledger's URL or path, so that no new key is made for a ledger that has lost its own.

    Raises LedgerMissing where there is no key and ``create`` is not set (and no ledger either); KeyLost where a ledger
    is there and its key is gone; LedgerError where a key is too short, or its file can be read by others.
    """
    if text := environ.get(VARIABLE):
        return _ring(text.encode(), VARIABLE)
    if name := environ.get(FILE_VARIABLE):
        # Kubernetes mounts a secret so that the pod's group may read it; the whole world still may not.
        path = Path(name).expanduser()
        found = _read(path, forbidden=0o007) if os.path.exists(path) else None  # noqa: PTH110  never raises
        if found is None:
            # Not by its name, which may be the key itself.
            raise KeyLost(
                f"the key file that {FILE_VARIABLE} names does not exist",
                hint=f"to give the key itself, set {VARIABLE}",
            )
        return _ring(found, name)
    path = directory / FILE_NAME
    check_directory(directory)
    if create:
        _remove_dead_scratch(path)
    found = _read(path, forbidden=0o077)
    if found is None:
        if ledger is not None and _exists(ledger):
            raise KeyLost(
                f"the ledger {name_of(ledger)} exists, but its key {path} is missing",
                hint=f"restore the key, or set {VARIABLE}; if it is lost, move the ledger away and start a new one",
            )
        if not create:
            raise LedgerMissing(f"there is no key for a ledger at {path} yet", hint="the first sync creates it")
        found = _create(path)
    return _ring(found, str(path))


def is_our_own(environ: Mapping[str, str]) -> bool:
    """Whether the key is the one that we made beside the ledger, so that it is ours to replace."""
    return not environ.get(VARIABLE) and not environ.get(FILE_VARIABLE)


def replace(directory: Path) -> KeyPair:
    """Put a new key into ``ledger.key``, in one step, before the ones that are there. Raises LedgerError."""
    path = directory / FILE_NAME
    check_directory(directory)
    text = _read(path, forbidden=0o077)
    if text is None:
        raise LedgerMissing(f"there is no key for a ledger at {path} yet", hint="the first sync creates it")
    former = b"".join(b"former " + base64.b64encode(key) + b"\n" for key in _keys(text, str(path)))
    try:
        with _scratch(path, base64.b64encode(secrets.token_bytes(MIN_BYTES)) + b"\n" + former) as scratch:
            scratch.replace(path)
            _sync_directory(path.parent)
    except OSError as error:
        raise LedgerError(
            f"the key file {path} cannot be replaced: {error.strerror}", hint="check the directory and the disk"
        ) from None
    found = _read(path, forbidden=0o077)
    if found is None:
        raise LedgerError(f"the key file {path} was removed while it was replaced")
    return _ring(found, str(path))


def where(environ: Mapping[str, str], directory: Path) -> str:
    """Where :func:`load_key` looks, for people."""
    if environ.get(VARIABLE):
        return VARIABLE
    if name := environ.get(FILE_VARIABLE):
        return name if os.path.exists(Path(name).expanduser()) else FILE_VARIABLE  # noqa: PTH110  as above
    return str(directory / FILE_NAME)


def _ring(text: bytes, where: str) -> KeyPair:
    """The pair of a key, with those of its former ones."""
    newest, *former = (_derive(key) for key in _keys(text, where))
    return dataclasses.replace(newest, former=tuple(former))


def is_given(environ: Mapping[str, str]) -> bool:
    """Whether the environment says where the key is, so that no file beside the documents is needed."""
    return bool(environ.get(VARIABLE) or environ.get(FILE_VARIABLE))


def _derive(key: bytes) -> KeyPair:
    return KeyPair(
        fingerprint=hmac.digest(key, b"secretsync/fingerprint/v1", "sha256"),
        seal=hmac.digest(key, b"secretsync/seal/v1", "sha256"),
        plan=hmac.digest(key, b"secretsync/plan/v1", "sha256"),
    )


def _keys(text: bytes, where: str) -> list[bytes]:
    """The bytes of the key and of its former ones. What has no line for a former key is one key, whatever is in it."""
    lines = text.strip().splitlines(keepends=True)
    former = [line for line in lines[1:] if line.startswith(_FORMER)]
    newest = b"".join(line for line in lines if line not in former) if former else text
    return [_decode(newest, where), *(_decode(line.removeprefix(_FORMER), where) for line in former)]


_FORMER = b"former "


def _decode(text: bytes, where: str) -> bytes:
    """The key's bytes: from hex or base64 of at least 32 bytes, else the text itself if it is long enough."""
    text = text.strip()
    for decode in (binascii.unhexlify, _unbase64):
        try:
            found = decode(text)
        except ValueError:
            continue
        if len(found) >= MIN_BYTES:
            return found
    if len(text) < MIN_BYTES:
        raise LedgerError(f"the key in {where} is too short: it needs at least {MIN_BYTES} bytes", hint=_MAKE_ONE)
    return text


def _unbase64(text: bytes) -> bytes:
    return base64.b64decode(text, altchars=b"-_" if b"-" in text or b"_" in text else None, validate=True)


def _read(path: Path, *, forbidden: int) -> bytes | None:
    """What is in a key file, ``None`` where there is no such file."""
    try:
        # Without waiting: of a pipe nobody may ever write into the other end.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise LedgerError(
                    f"the key file {path} is not a regular file", hint=f"to give a key without a file, set {VARIABLE}"
                )
            text = file.read(4096)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise LedgerError(
            f"the key file {path} cannot be read: {error.strerror}", hint="check its owner and its permissions"
        ) from None
    mode = about.st_mode & 0o777
    if mode & forbidden:
        raise LedgerError(
            f"the key file {path} is accessible to others (mode {mode:04o})",
            hint=f"`chmod 600 {path}`; if others may have read it, make a new key and start a new ledger",
        )
    check_key(path, about)
    return text


def _exists(ledger: str | Path) -> bool:
    """Whether there is a ledger in that file. A server is not asked here: opening tells another key by its seal."""
    path = file_of(ledger)
    try:
        return path is not None and path.stat().st_size > 0
    except OSError:
        return False


def _create(path: Path) -> bytes:
    """Make the key file in one step: whoever finds it finds the whole key. Gives what is in it then."""
    try:
        home.make_for_key(path.parent)
        with _scratch(path, base64.b64encode(secrets.token_bytes(MIN_BYTES)) + b"\n") as scratch:
            with suppress(FileExistsError):  # another process was faster: its key counts
                os.link(scratch, path)
            _sync_directory(path.parent)
    except OSError as error:
        raise LedgerError(
            f"the key file {path} cannot be created: {error.strerror}",
            hint=f"check the directory, or set {VARIABLE} ({_MAKE_ONE})",
        ) from None
    found = _read(path, forbidden=0o077)
    if found is None:
        raise LedgerError(f"the key file {path} was removed while it was made")
    return found


@contextmanager
def _scratch(path: Path, content: bytes) -> Iterator[Path]:
    """A durable file beside ``path``, for us alone, that is gone afterwards unless it was moved away."""
    scratch = path.with_name(f".{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def _remove_dead_scratch(path: Path) -> None:
    """Remove what a process left that was killed while it made a key: it may hold the former ones.

    It takes milliseconds to make one, so what is older than this is nobody's any more.
    """
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if not re.fullmatch(_SCRATCH, entry.name):
                continue
            info = entry.stat(follow_symlinks=False)
            ours = stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid()
            if ours and time.time() - info.st_mtime > _SCRATCH_SECONDS:
                Path(entry.path).unlink()


def _sync_directory(path: Path) -> None:
    """Make the name as durable as the content: a ledger must not outlive its key."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
