"""The fuzzers of ``make fuzz``: a few inputs of each, and that a fault is seen, kept and tried again."""

from __future__ import annotations

import json
import socket
import sys
from random import Random
from typing import TYPE_CHECKING

import pytest

from fuzz import __main__ as program
from fuzz.fake_vault import FakeVault
from fuzz.fuzzer import judge, keep, run
from fuzz.servers import Servers, harm
from fuzz.spoiling import Spoiled, with_value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fuzz.spoiling import At

FEW = {"ledgers": 8, "documents": 12}
_HTTP = (
    "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: a}\nspec: {provider: {http: {address: "
    "'http://127.0.0.1:1', vars: {Zq7CANARY: x}, look: {path: '/{{ other }}/{{ key }}', absent: [404]}}}}\n"
)
FOUND = {
    "templates": ["{{ 1e999 }}", "{{ -1e999 }}", "{% set x, y = n %}", "{% for x, y in l %}{% endfor %}"],
    "regexps": ['["x.*z|x", ""]', '["", "$$"]'],
    "quantities": ["Infinity", "-Infinity", "NaN", "-5.5", "0.0", "1e18", '"0.000001/h"', '"0 3 * * 3-3"'],
    "schedules": [
        json.dumps([cron, "UTC", "2026-03-29T01:28:00+00:00"])
        for cron in (
            "0 3 * * 3-3", "0 0 *,*/4 10 2", "19 0 */2 * 0-6", "0 0 */10 * 5-6/4,*/1,6", "0 0 1-31 * 1",
            "57 0 31 4 0", "57 0 31-31/18 4-4 0",
        )
    ],
    "ledgers": [
        json.dumps({"commands": ["log json", "export"], "sql": sql})
        for sql in ("UPDATE run_requests SET store = x'ff'", "UPDATE heads SET seq = '[]'", "DROP TABLE current")
    ]
    + [json.dumps({"commands": ["verify json", "sync"], "sql": "UPDATE places SET seq = x'ff'"})],
    "documents": ["a: 'x", "a: 'x\n", "a: [\r\n", "a: 'x\u2028'\nb: [\n", "token: {hvs.Zq7CANARY}\n", _HTTP],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # of what Dagster may still change
@pytest.mark.parametrize("name", FOUND)
def test_a_few_inputs_of_each_fuzzer_have_no_fault(name: str) -> None:
    """The first inputs of a fixed seed, and what the fuzzers found once, are taken or refused as they should be."""
    fuzzer = program.FUZZERS[name]()
    assert {case: judge(fuzzer, case) for case in FOUND[name]} == dict.fromkeys(FOUND[name], "")
    tally = run(fuzzer, Random(name), count=FEW.get(name, 25), seconds=60)
    assert (tally.tried, tally.shortest) == (FEW.get(name, 25), {})


def test_a_spoiled_answer_does_no_harm_and_harm_is_noticed() -> None:
    """What the fuzzer of servers found once is harmless now, and each kind of harm has its name."""
    fuzzer = Servers()
    scene = fuzzer.scene("vault2 source scan")
    right = scene.right["SCAN details"]
    info: At = ("data", "key_info", "k4")
    others: list[tuple[At, object]] = [
        ((*info, "current_version"), 1),
        ((*info, "current_version"), None),
        ((*info, "versions"), {}),
        ((*info, "versions", "2", "destroyed"), "false"),
        (("data", "keys"), None),
    ]
    for at, value in others:
        body = json.dumps(with_value(right.body, at, value))
        told = Spoiled("another", at, 200, {}, b"")._asdict() | {"body": body, "once": False}
        assert fuzzer.attempt(json.dumps({"scene": scene.name, "label": right.label, **told})) == ""
    scene.reset()
    peer = scene.peer.fake
    assert isinstance(peer, FakeVault)
    harms: list[tuple[Callable[[], object], int, str]] = [
        (lambda: None, 1, ""),
        (lambda: None, 0, "ends with 0, and not all is copied"),
        (lambda: peer.put("k5", {"password": "nonsense"}), 1, "copies nonsense"),
        (lambda: peer.put("k9", {}), 1, "makes up a secret"),
        (lambda: peer.writes.append(("write", "k1")), 1, "writes without need"),
        (lambda: peer.put("k1", {}), 1, "overwrites what its source still holds"),
        (lambda: peer.data.pop("k1"), 1, "deletes"),
    ]
    for act, code, found in harms:
        act()
        assert harm(scene, code) == found
    fuzzer.close()


@pytest.mark.slow
def test_answers_of_every_kind_of_server_are_spoiled() -> None:
    """A few of each kind in each role."""
    fuzzer = Servers()
    tally = run(fuzzer, Random("servers"), count=120, seconds=200)
    assert tally.shortest == {}
    fuzzer.close()


class Faulty:
    """Takes no input that is longer than three characters."""

    def draw(self, random: Random) -> str:
        return "x" * random.randrange(9)

    def attempt(self, case: str) -> str:
        if len(case) > 6:
            raise ValueError(case)
        return "it is long" if len(case) > 3 else ""


def test_faults_are_counted_kept_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each fault the shortest input is kept, the seed gives the same ones again, and a kept one is tried alone."""
    one, other = (run(Faulty(), Random(1), count=200, seconds=60) for _ in range(2))
    assert one.faults == other.faults
    assert one.shortest == {"it is long": "xxxx", "ValueError in test_fuzz.py:attempt": "x" * 7}
    kept = keep(tmp_path / "kept", "faulty", one)
    monkeypatch.setitem(program.FUZZERS, "faulty", Faulty)
    monkeypatch.setattr(sys, "addaudithook", lambda hook: None)
    for path in kept:
        assert program.main(["--replay", str(path)]) == 1
    assert program.main(["faulty", "--seed", "1", "--count", "50", "--keep", str(tmp_path / "more")]) == 1
    assert "faulty: seed 1, 50 inputs in 0 s" in capsys.readouterr().out


def test_a_fuzzer_stays_on_this_machine() -> None:
    """Neither a connection to another machine nor a question to DNS is made."""
    program.stay_here("socket.connect", (socket, ("127.0.0.1", 1)))
    with pytest.raises(PermissionError, match="connects to nobody"):
        program.stay_here("socket.connect", (socket, ("192.0.2.1", 443)))
    with pytest.raises(PermissionError, match="asks no DNS"):
        program.stay_here("socket.getaddrinfo", ("vault.example.com", 443))
