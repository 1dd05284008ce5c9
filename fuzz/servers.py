"""Spoiled answers of stores that are servers, one in each sync: they lose, invent and quote nothing."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

from fuzz.fake_server import Sent
from fuzz.fake_vault import TOKEN
from fuzz.scenes import CHANGED, KEPT, KINDS, Scene, password
from fuzz.spoiling import VALUE, Spoiled, spoil

if TYPE_CHECKING:
    from random import Random

    from fuzz.fake_server import Answer

SLOW = 20.0
"""Seconds: with retries within milliseconds, a sync that takes longer waits for something."""

INCOMPLETE = "ends with 0, and not all is copied"

_ANY_KEY = re.compile(r"\b(p/|/p/|p-)?k[0-9]\b")
_ANY_ADDRESS = re.compile(r"https://127\.0\.0\.1:[0-9]+")
_TESTIFIES = re.compile("unexpected|internal error|Traceback")


class Servers:
    """A sync of each kind of store, in which one answer is spoiled, once or each time that it is given."""

    def __init__(self) -> None:
        self._scenes: dict[str, Scene] = {}

    def draw(self, random: Random) -> str:
        """A kind of store, one of its answers, and how it is spoiled, in JSON."""
        scene = self.scene(random.choice(list(KINDS)))
        # Of answers that differ by their key alone, those for a kept, a changed and a new one are enough.
        label = random.choice(sorted(label for label in scene.right if not re.search(r"\bk[23]\b", label)))
        spoiled = spoil(random, scene.right[label])
        told = {**spoiled._asdict(), "body": spoiled.body.decode("latin-1")}
        return json.dumps({"scene": scene.name, "label": label, "once": random.random() < 0.12, **told})

    def attempt(self, case: str) -> str:
        """A sync with a spoiled answer ends in good time, quotes nothing, and never takes nonsense for the truth."""
        told = json.loads(case)
        scene, label = self.scene(told["scene"]), told["label"]
        at = tuple(told["at"])
        # Where an answer has the server's own address, a case that was kept has that of another one.
        body = _ANY_ADDRESS.sub(scene.server.address, told["body"]).encode("latin-1")
        spoiled = Spoiled(told["how"], at, told["status"], told["headers"], body)
        where = f"{scene.name}, {_ANY_KEY.sub('KEY', label)}"
        scene.reset()
        said, code, took = self._sync(scene, label, spoiled, once=told["once"])
        if took > SLOW:
            return f"takes more than {SLOW:g} s: {where}"
        if found := _TESTIFIES.search(said):
            line = next(line for line in said.split("\n") if found[0] in line)
            return f"{_ANY_KEY.sub('KEY', line.strip())[:130]}: {where}"
        for canary in (VALUE, TOKEN):
            if canary in said:
                return f"quotes a value or a token: {where}"
            if canary.encode() in scene.ledger():
                return f"a value or a token is in the ledger: {where}"
        if _is_own_data(scene.name, label, spoiled) or _is_another_listing(scene.name, label, spoiled):
            return ""
        fault = harm(scene, code)
        if fault == INCOMPLETE and _is_named_otherwise(scene.name, label, spoiled):
            return ""
        return f"{fault}: {where}, {_cause(spoiled.how)}" if fault else ""

    def _sync(self, scene: Scene, label: str, spoiled: Spoiled, *, once: bool) -> tuple[str, int, float]:
        done = 0

        def replace(answer: Answer) -> Sent | None:
            nonlocal done
            if answer.label != label or (once and done):
                return None
            done += 1
            return Sent(spoiled.status, spoiled.headers, spoiled.body)

        scene.server.spoil = replace
        started = time.monotonic()
        try:
            code, said = scene.sync()
        finally:
            scene.server.spoil = None
        return said, code, time.monotonic() - started

    def scene(self, name: str) -> Scene:
        """The scene of one of ``KINDS``, made when it is first asked for."""
        if name not in self._scenes:
            self._scenes[name] = Scene(name)
        return self._scenes[name]

    def close(self) -> None:
        """Stop all servers."""
        for scene in self._scenes.values():
            scene.close()
        self._scenes.clear()


def harm(scene: Scene, code: int) -> str:
    """What a sync did that no nonsense may bring about."""
    found, writes = scene.contents(), scene.writes()
    if any(how == "delete" for how, _ in writes) or not found.keys() >= {*KEPT, "k4"}:
        return "deletes"
    if any(found[key] != {"password": password(key)} for key in KEPT):
        return "overwrites what its source still holds"
    if any(how == "write" and key.rpartition("/")[2].removeprefix("p-").lower() in KEPT for how, key in writes):
        return "writes without need"
    if found.keys() - {*KEPT, *CHANGED}:
        return "makes up a secret"
    known = [{"password": password(key, state)} for key in CHANGED for state in ("old", "new")]
    if any(found[key] not in known for key in CHANGED if key in found):
        return "copies nonsense"
    return INCOMPLETE if code == 0 and not scene.good() else ""


def _is_own_data(scene: str, label: str, spoiled: Spoiled) -> bool:
    """Whether what is spoiled is the secret's own value, of which nobody can say what is right."""
    at = spoiled.at
    if not label.startswith("read"):
        return False
    if scene.startswith("vault2"):
        # A secret may be null: somebody wrote that, and the server keeps it.
        return at[:2] == ("data", "data") or (at == ("data",) and spoiled.how.endswith(" twice"))
    if scene.startswith("vault1"):
        return at[:1] == ("data",)
    if scene.startswith("http"):
        return at[:1] == ("value",)
    if scene.startswith("gcp"):
        return False  # a value that is another one does not fit its checksum
    if scene.startswith("gitlab"):
        # Hidden, it has no value to be read.
        return at in (("value",), ("hidden",)) or (not at and spoiled.how.endswith(" twice"))
    if scene.startswith(("azure", "github")):
        return at[:1] == ("value",)
    return "SecretString" in at or "Value" in at or "SecretBinary" in at or at[:1] == ("data",)


def _is_another_listing(scene: str, label: str, spoiled: Spoiled) -> bool:
    """Whether a spoiled listing is a right one of fewer, or of other, secrets."""
    at = spoiled.at
    if at[-1:] == ("missing",) and (isinstance(at[-2], int) or _ANY_KEY.fullmatch(str(at[-2]))):
        return True  # a secret that is not there, or one without a current version
    if scene.startswith(("azure", "github")) and label.startswith("list ") and at[-1:] in (("name",), ("id",)):
        return True  # what is not the name of a secret, or its address, is refused, or a name without a key
    if scene.startswith("gitlab") and label.startswith("list ") and at[-1:] == ("environment_scope",):
        return True  # a variable of another scope, which is none of the store's
    if scene.startswith("azure") and at[-2:] == ("attributes", "created"):
        return True  # another time is another version, and which of them is the current one nothing else tells
    if not scene.startswith("vault") or at[:2] != ("data", "keys") or "details" in label:
        return False
    try:
        names = json.loads(spoiled.body)["data"]["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(names, list) and all(isinstance(name, str) and name for name in names)


def _is_named_otherwise(scene: str, label: str, spoiled: Spoiled) -> bool:
    """Whether a listing has another name, in which case it may be one beyond the store's path: none of its own."""
    of_aws = scene.startswith(("parameterstore", "secretsmanager"))
    return of_aws and label.startswith("list ") and spoiled.at[-1:] == ("Name",) and ' = "' in spoiled.how


def _cause(how: str) -> str:
    """How an answer was spoiled, without the value that was put there."""
    return re.sub(r"status \d+.*", "a status", re.sub(r" = .*", " is another", how))
