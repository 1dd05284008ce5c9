"""Places of a ledger that can be none, and files that its URL names: told in words, and not waited for."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from audit.lab import SEAL_KEY
from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("host", ["h" * 300, "a..b", "\ufeff"])
def test_a_host_that_nobody_can_look_up(host: str) -> None:
    """A label of over 63 letters, an empty one, and one of nothing that is seen."""
    with pytest.raises(LedgerError):
        Ledger.open(f"postgresql://{host}/x", seal_key=SEAL_KEY, read_only=True)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_whose_name_is_too_long(tmp_path: Path, read_only: bool) -> None:
    """Of over 255 bytes, for reading and for writing."""
    with pytest.raises(LedgerError, match="File name too long"):
        Ledger.open(f"sqlite:///{tmp_path / ('x' * 300)}", seal_key=SEAL_KEY, read_only=read_only)


@pytest.mark.parametrize("how", ["passfile", "PGPASSFILE", "PGSERVICEFILE", "sslrootcert"])
def test_no_file_of_a_url_is_waited_for(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody writes into, where libpq would read a password, a service or a certificate."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    timer = threading.Timer(10, lambda: _end(pipe))  # else a test that fails would never end
    timer.daemon = True
    timer.start()
    url = "postgresql://127.0.0.1:1/x"
    if how.isupper():
        monkeypatch.setenv(how, str(pipe))
    else:
        url += f"?{how}={pipe}"
    with pytest.raises(LedgerError, match=f"the file that {how}.* names is a named pipe"):
        Ledger.open(url, seal_key=SEAL_KEY, read_only=True)
    timer.cancel()


def _end(pipe: Path) -> None:
    with suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
