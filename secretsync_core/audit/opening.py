"""Opening a ledger as a program does: the directory that holds state, the key, and the ledger that it seals."""

from __future__ import annotations

from contextlib import contextmanager
from secrets import token_bytes
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit import home as homes
from secretsync_core.audit.database import LedgerMissing
from secretsync_core.audit.keys import KeyLost, KeyPair, is_given, load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.schema import USABLE
from secretsync_core.errors import LedgerError
from secretsync_core.ledger_address import address_of, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["OpenLedger", "open_ledger"]


class OpenLedger(NamedTuple):
    """An open ledger, and its keys.

    ``lost`` says that they are gone, where that is so: then the ledger may only be read, and ``keys`` are any.
    """

    ledger: Ledger
    keys: KeyPair
    lost: str = ""

    @property
    def fingerprint_key(self) -> tuple[bytes, ...]:
        """The keys that tell values apart in it, the newest first; none where they are lost."""
        return () if self.lost else self.keys.fingerprints


@contextmanager
def open_ledger(
    home: Path,
    url: str | Path | None = None,
    *,
    environ: Mapping[str, str],
    write: bool,
    oldest: int = USABLE,
    reseal: bool = False,
    below: bool = False,
    keyless: bool = False,
) -> Iterator[OpenLedger]:
    """The ledger, opened with its key; with ``write``, both are made where there are none.

    Args:
        home: the directory that holds state: ``ledger.key`` unless ``environ`` says where the key is, and
            ``ledger.db`` unless ``url`` names another place.
        url: a path, ``sqlite:///path`` or ``postgresql://…``, SQLAlchemy's ``postgresql+psycopg2://…`` too.
        environ: where SECRETSYNC_KEY and SECRETSYNC_KEY_FILE are looked up.
        write: for writing; otherwise nothing is changed.
        oldest: refuse tables of an older version than this.
        below: ``home`` is one of several in a directory of ours, which is made as well.
        keyless: open it to read also where its key is lost.
        reseal: open it also where a former key has sealed it, only to seal it anew.

    Raises LedgerMissing where there is none and not ``write``, LedgerError where it cannot be used.
    """
    place = url or home / homes.LEDGER
    address_of(place)  # before a key is made for what can be no ledger
    # The documents may stand where nothing can be written, as a ConfigMap does.
    if write and (not url or not is_given(environ)):
        _make(home, below=below)
    try:
        pair = load_key(environ=environ, directory=home, create=write, ledger=place)
    except KeyLost as error:
        if write or not keyless:
            raise
        nobodys = KeyPair(token_bytes(), token_bytes())
        with Ledger.open(place, seal_key=nobodys.seal, read_only=True, oldest=oldest, any_key=True) as ledger:
            yield OpenLedger(ledger, nobodys, f"{error.message}: it can be read, but not verified")
        return
    except LedgerMissing as error:
        if url:
            raise
        raise LedgerMissing(f"there is no ledger at {name_of(place)} yet", hint=error.hint) from None
    with Ledger.open(
        place, seal_key=pair.seal, former=pair.former_seals, read_only=not write, oldest=oldest, reseal=reseal
    ) as ledger:
        yield OpenLedger(ledger, pair)


def _make(home: Path, *, below: bool) -> None:
    try:
        if below:
            homes.make(home.parent)
        homes.make_for_key(home, parents=False)
    except OSError as error:
        raise LedgerError(
            f"the directory {home} cannot be created: {error.strerror}",
            hint="--ledger (or SECRETSYNC_LEDGER) can name another place for the ledger",
        ) from None
