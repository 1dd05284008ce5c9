"""What the source holds, and what the destinations must hold because of it. Pure: it asks nobody and writes nowhere."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from random import Random

Fields = dict[str, Any]
Place = tuple[str, str]
"""A destination's name and a key there."""

VAULT, FILES = "dst", "files"
CANARY = "CnRy7"
"""Every value has it, so that a value is found wherever it stands."""

_MOST = 420
_LEAST = 60
_FEW = 4
"""No folder but ``app`` gets fewer secrets: a job with nothing left in an item would be another case."""


class Edit(NamedTuple):
    """One change at the source.

    Attributes:
        key: of the secret.
        fields: what it holds from now on; None where it goes.
        forget: where it goes, all its versions go too.
    """

    key: str
    fields: Fields | None
    forget: bool = False


class Sources:
    """The secrets at the source. ``live`` are those that are there, ``gone`` the keys of those that were."""

    def __init__(self, random: Random, *, small: bool) -> None:
        self._random = random
        self._small = small
        self._count = 1000
        self.live: dict[str, Fields] = {}
        self.gone: set[str] = set()

    # -- What must be there

    def copies(self) -> dict[str, Fields]:
        """What must be at the destination that is a Vault, by key: what the documents make of the sources."""
        made: dict[str, Fields] = {}
        combined: Fields = {}
        for key, fields in self.live.items():
            folder, _, rest = key.partition("/")
            if folder == "app" and "skip-" not in rest:
                renamed = {("password" if name == "pw" else name): value for name, value in fields.items()}
                made[f"copy/{key}"] = {name: value for name, value in renamed.items() if name != "internal"}
            elif folder == "tpl":
                dsn = f"{fields['user']}:{fields['pw']}@{fields['host']}"
                made[f"copy/{key.lower()}"] = {"dsn": dsn, "who": fields["user"]}
            elif folder == "cmb":
                combined[rest] = fields["value"]
            elif folder == "split":
                made |= {f"copy/{key}/{name}": {"value": value} for name, value in fields.items()}
            elif folder == "mk":
                made[f"copym/{key}"] = fields
        return made | ({"copy/combined": combined} if combined else {})

    def places(self) -> dict[Place, Fields]:
        """What must be where: all copies are in the Vault, and those of the job ``main`` in files too."""
        copies = self.copies()
        return {(VAULT, key): fields for key, fields in copies.items()} | {
            (FILES, key): fields for key, fields in copies.items() if key.startswith("copy/")
        }

    # -- What happens

    def fill(self) -> list[Edit]:
        """The first secrets."""
        apps, templates, parts, whole, marked = (60, 12, 5, 6, 10) if self._small else (190, 40, 8, 18, 30)
        pick = self._random.choice
        keys = [f"app/{pick('abcde')}/{pick('xyz')}/k{n}" for n in range(apps)]
        keys += [f"app/a/skip-{n}" for n in range(3)]
        keys += [f"tpl/T{n}" for n in range(templates)]
        keys += [f"cmb/c{n}" for n in range(parts)]
        keys += [f"split/s{n}" for n in range(whole)]
        keys += [f"mk/{pick('ab')}/m{n}" for n in range(marked)]
        return self.renew(keys)

    def renew(self, keys: Iterable[str]) -> list[Edit]:
        """New values for these keys."""
        return [self._put(key) for key in keys]

    def remove(self, keys: Iterable[str], *, forget: bool = False) -> list[Edit]:
        """These go."""
        for key in (keys := list(keys)):
            del self.live[key]
            self.gone.add(key)
        return [Edit(key, None, forget) for key in keys]

    def change(self, count: int) -> list[Edit]:
        """Some changes: other values, new secrets, secrets that go, and some that come back."""
        return [edit for _ in range(count) for edit in self._one()]

    def _one(self) -> list[Edit]:
        random, live = self._random, sorted(self.live)
        how = random.random()
        if how < 0.5:
            return [self._put(random.choice(live))]
        if how < 0.62 and len(live) < _MOST:
            return [self._put(self._new_key())]
        if how < 0.78 and len(live) > _LEAST:
            key = random.choice(live)
            folder = key.partition("/")[0]
            if folder != "app" and sum(one.startswith(folder) for one in live) < _FEW:
                return []
            return self.remove([key], forget=random.random() < 0.4)
        if how < 0.92 and self.gone:
            return [self._put(random.choice(sorted(self.gone)))]
        key = random.choice(live)  # gone and back at once, with another value or the same
        back = self._put(key) if random.random() < 0.7 else Edit(key, self.live[key])
        return [Edit(key, None, forget=True), back]

    def _new_key(self) -> str:
        self._count += 1
        number, pick = self._count, self._random.choice
        return pick(
            (
                f"app/{pick('abcde')}/n{number}",
                f"app/new{number}/k",
                f"tpl/N{number}",
                f"split/n{number}",
                f"mk/{pick('ab')}/n{number}",
                f"cmb/n{number}",
            )
        )

    def _put(self, key: str) -> Edit:
        self.gone.discard(key)
        self.live[key] = self._value(key)
        return Edit(key, self.live[key])

    def word(self) -> str:
        """A value that was never before."""
        return f"{CANARY}{self._random.getrandbits(80):020x}"

    def _value(self, key: str) -> Fields:
        random, folder = self._random, key.partition("/")[0]
        if folder == "cmb":
            return {"value": self.word()}
        if folder == "split":
            return {name: self.word() for name in random.sample(("user", "pass", "host"), random.randint(1, 3))}
        word = self.word
        made: Fields = {"user": word(), "pw": f'{word()}é€"\\', "host": f"h{word()}", "internal": word()}
        if folder == "app" and random.random() < 0.2:
            number = random.randint(-9999, 9999)
            made |= {"n": number, "list": [1, word()], "none": None, "deep": {"a": word()}}
        if random.random() < 0.05:
            made["big"] = word() * random.choice((10, 400))
        return made


def changed(before: Mapping[str, Fields], after: Mapping[str, Fields]) -> Counter[str]:
    """How many versions a sync may write of each key, because it is another or new."""
    return Counter(key for key, fields in after.items() if before.get(key) != fields)


def surplus(written: Mapping[str, Collection[str]], allowed: Mapping[str, int]) -> dict[str, Collection[str]]:
    """The keys of which more versions were written than there were changes, with the versions."""
    return {key: versions for key, versions in written.items() if len(versions) > allowed.get(key, 0)}
