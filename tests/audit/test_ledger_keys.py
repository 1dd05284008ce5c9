"""The ledger's key: where it comes from, who may read it, and what is said when it is gone."""

from __future__ import annotations

import base64
import hmac
import multiprocessing
import os
import pickle
import stat
from typing import TYPE_CHECKING

import pytest

from audit.lab import done
from secretsync_core.audit.databases import open_database
from secretsync_core.audit.keys import KeyPair, load_key, replace
from secretsync_core.audit.ledger import Ledger, LedgerMissing
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

KEY = bytes(range(100, 132))


@pytest.mark.parametrize(
    "text",
    [KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode() + "\n"],
    ids=["hex", "capitals", "base64", "urlsafe"],
)
def test_a_key_may_be_written_in_several_ways(tmp_path: Path, text: str) -> None:
    """Hex and base64 of the same bytes are the same key, from the environment and from a file."""
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(0o440)
    expected = load_key(environ={"SECRETSYNC_KEY": KEY.hex()}, directory=tmp_path, create=False)
    assert load_key(environ={"SECRETSYNC_KEY": text}, directory=tmp_path, create=False) == expected
    assert load_key(environ={"SECRETSYNC_KEY_FILE": str(file)}, directory=tmp_path, create=False) == expected


def test_the_two_keys_differ_and_are_not_shown(tmp_path: Path) -> None:
    """What makes fingerprints cannot seal, and neither gets into a log or a pickle."""
    pair = load_key(environ={"SECRETSYNC_KEY": "correct horse battery staple, twice"}, directory=tmp_path, create=False)
    assert len(pair.fingerprint) == len(pair.seal) == 32
    assert pair.fingerprint != pair.seal
    assert repr(pair) == str(pair) == "KeyPair()"
    with pytest.raises(TypeError):
        pickle.dumps(pair)


@pytest.mark.parametrize("text", ["tooweak", "ab" * 15, base64.b64encode(KEY[:20]).decode()])
def test_a_short_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    """It could be guessed; the hint says how to make a good one."""
    with pytest.raises(LedgerError, match="too short") as caught:
        load_key(environ={"SECRETSYNC_KEY": text}, directory=tmp_path, create=False)
    assert text not in f"{caught.value} {caught.value.hint}"
    assert "openssl rand" in caught.value.hint


def test_a_key_file_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    """It is found again the next time, and nothing else is left beside it."""
    place = tmp_path / "state"
    first = load_key(environ={}, directory=place, create=True)
    assert load_key(environ={}, directory=place, create=True) == first
    assert load_key(environ={}, directory=place, create=False) == first
    assert sorted(path.name for path in place.iterdir()) == [".gitignore", "ledger.key"]
    assert stat.S_IMODE((place / "ledger.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    text = (place / "ledger.key").read_text()
    assert load_key(environ={"SECRETSYNC_KEY": text}, directory=tmp_path, create=False) == first


def send_key(directory: Path, answer: Connection) -> None:
    """A process that wants a key."""
    pair = load_key(environ={}, directory=directory, create=True)
    answer.send((pair.fingerprint, pair.seal))


def test_what_a_killed_process_left_of_a_key_is_removed(tmp_path: Path) -> None:
    """The next program that opens the ledger for writing does so; what is being made now, and all else, stays."""
    names = (".ledger.key.77.0badcafe", ".ledger.key.78.0badcafe", ".ledger.key.mine", "ledger.key.77.0badcafe")
    dead, making, *others = (tmp_path / name for name in names)
    for path in (dead, making, *others):
        path.write_text("key")
    for path in (dead, *others):
        os.utime(path, (1, 1))
    with pytest.raises(LedgerMissing):
        load_key(environ={}, directory=tmp_path, create=False)
    assert dead.exists()
    load_key(environ={}, directory=tmp_path, create=True)
    assert [path.exists() for path in (dead, making, *others)] == [False, True, True, True]


def test_processes_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    """Whoever is slower takes the key of the faster one."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    processes = [context.Process(target=send_key, args=(tmp_path / "state", theirs)) for _ in range(6)]
    for process in processes:
        process.start()
    keys = {ours.recv() for _ in processes}
    for process in processes:
        process.join()
    ours.close()
    theirs.close()
    assert len(keys) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that puts it right."""
    load_key(environ={}, directory=tmp_path, create=True)
    (tmp_path / "ledger.key").chmod(mode)
    with pytest.raises(LedgerError, match="is accessible to others") as caught:
        load_key(environ={}, directory=tmp_path, create=True)
    assert "chmod 600" in caught.value.hint


def test_a_mounted_key_may_be_read_by_the_group_but_not_by_all(tmp_path: Path) -> None:
    """That is how Kubernetes mounts a secret for a pod with an fsGroup."""
    file = tmp_path / "key"
    file.write_text(KEY.hex())
    file.chmod(0o644)
    with pytest.raises(LedgerError, match="is accessible to others"):
        load_key(environ={"SECRETSYNC_KEY_FILE": str(file)}, directory=tmp_path, create=True)
    with pytest.raises(LedgerError, match="does not exist"):
        load_key(environ={"SECRETSYNC_KEY_FILE": str(tmp_path / "no")}, directory=tmp_path, create=True)


def test_no_key_yet_is_told_from_a_key_that_is_gone(tmp_path: Path) -> None:
    """A first use may go on without; a ledger that lost its key must not get a new one in silence."""
    ledger = tmp_path / "ledger.db"
    with pytest.raises(LedgerMissing):
        load_key(environ={}, directory=tmp_path, create=False, ledger=ledger)
    pair = load_key(environ={}, directory=tmp_path, create=True, ledger=ledger)
    assert isinstance(pair, KeyPair)
    with Ledger.open(ledger, seal_key=pair.seal) as opened:
        opened.append("job", [done("a")])
    (tmp_path / "ledger.key").unlink()
    for name in (ledger, str(ledger), f"sqlite:///{ledger}"):
        with pytest.raises(LedgerError, match=r"its key .*ledger\.key is missing") as caught:
            load_key(environ={}, directory=tmp_path, create=True, ledger=name)
        assert not isinstance(caught.value, LedgerMissing)
    assert not (tmp_path / "ledger.key").exists()


def test_a_place_where_no_key_can_be_made(tmp_path: Path) -> None:
    """Says why, and what to do instead."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"cannot be (created|read)"):
        load_key(environ={}, directory=tmp_path / "file", create=True)


def test_a_key_may_be_followed_by_former_ones(tmp_path: Path) -> None:
    """The first one is the key, as if it stood alone; the others are known by their word, in order."""
    alone = [load_key(environ={"SECRETSYNC_KEY": chr(97 + n) * 40}, directory=tmp_path, create=False) for n in range(3)]
    text = f"{'a' * 40}\nformer {'b' * 40}\nformer   {'c' * 40}\n"
    ring = load_key(environ={"SECRETSYNC_KEY": text}, directory=tmp_path, create=False)
    assert (ring.fingerprint, ring.seal) == (alone[0].fingerprint, alone[0].seal)
    assert ring.fingerprints == tuple(pair.fingerprint for pair in alone)
    assert ring.former_seals == (alone[1].seal, alone[2].seal)
    assert repr(ring) == "KeyPair()"
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(0o400)
    assert load_key(environ={"SECRETSYNC_KEY_FILE": str(file)}, directory=tmp_path, create=False) == ring


@pytest.mark.parametrize(
    "text",
    ["some lines of text\nthat are one key\n\nas they always were", "former times, as a pass phrase, are one key too"],
)
def test_a_key_of_several_lines_is_one_key(tmp_path: Path, text: str) -> None:
    """Only a line after the first that begins with the word makes a former key of itself."""
    pair = load_key(environ={"SECRETSYNC_KEY": text}, directory=tmp_path, create=False)
    assert pair.former == ()
    assert pair.seal == hmac.digest(text.encode(), b"secretsync/seal/v1", "sha256")


def test_a_former_key_that_is_too_short_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """A line that was cut would make all that it named look changed."""
    with pytest.raises(LedgerError, match="too short") as caught:
        load_key(environ={"SECRETSYNC_KEY": f"{'a' * 40}\nformer canary"}, directory=tmp_path, create=False)
    assert "canary" not in f"{caught.value} {caught.value.hint}"


def test_our_own_key_is_replaced_in_one_step(tmp_path: Path) -> None:
    """The new one first, all that were there after it, readable for us alone, and nothing else left behind."""
    first = load_key(environ={}, directory=tmp_path, create=True)
    second = replace(tmp_path)
    assert second.former_seals == (first.seal,)
    third = replace(tmp_path)
    assert third.former_seals == (second.seal, first.seal)
    assert load_key(environ={}, directory=tmp_path, create=False) == third
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "ledger.key"]
    assert stat.S_IMODE((tmp_path / "ledger.key").stat().st_mode) == 0o600
    with pytest.raises(LedgerMissing):
        replace(tmp_path / "nowhere")


@pytest.mark.parametrize("key", ["c2VjcmV0LWtleS1jYW5hcnk=", "canary" * 60])
def test_a_key_in_place_of_its_file_is_not_told(key: str, tmp_path: Path) -> None:
    """Somebody may put the key itself where the file's name belongs."""
    with pytest.raises(LedgerError, match="names does not exist") as raised:
        load_key(environ={"SECRETSYNC_KEY_FILE": key}, directory=tmp_path, create=True)
    assert key not in f"{raised.value.message} {raised.value.hint}"


@pytest.mark.parametrize(
    "address", ["host=db password=canary", "sync:canary@db/ledger", "dbname=x PASSWORD = 'canary'"]
)
def test_an_address_in_place_of_a_path_is_not_told(address: str) -> None:
    """What looks like a database's address is no path: it would be told, and a file be called so."""
    with pytest.raises(LedgerError, match="nor surely a path") as raised:
        open_database(address, read_only=False)
    assert "canary" not in f"{raised.value.message} {raised.value.hint}"
