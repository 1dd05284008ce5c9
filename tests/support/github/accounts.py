"""Who holds secrets at the fake: organisations, repositories under whatever names they have had, environments."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from support.github.refusals import moved, not_found
from support.github.shelves import Clock, Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator

_ids = itertools.count(1296269)


class Holder:
    """Whatever holds secrets and variables, for each use of them: ``actions``, ``dependabot`` or ``codespaces``."""

    def __init__(self, clock: Clock, kind: str, name: str) -> None:
        self.id = next(_ids)
        self.kind = kind
        self.name = name
        self._clock = clock
        self._shelves: dict[tuple[str, str], Shelf] = {}

    def shelf(self, use: str = "actions", what: str = "secrets") -> Shelf:
        """The shelf for one use."""
        return self._shelves.setdefault((use, what), Shelf(self._clock, self.kind, what))

    def __iter__(self) -> Iterator[Shelf]:
        return iter(self._shelves.values())


class Repository(Holder):
    """A private repository, with its environments. Both have names in whatever case they are asked by."""

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__(clock, "repository", name)
        self.environments: dict[str, Holder] = {}

    def environment(self, name: str) -> Holder:
        """Make an environment, or give the one that is there."""
        return self.environments.setdefault(name.lower(), Holder(self._clock, "environment", name))


class Accounts:
    """All of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.repositories: dict[str, Repository] = {}
        self.organisations: dict[str, Holder] = {}
        self._moved: dict[str, str] = {}

    def repository(self, name: str) -> Repository:
        """Make a repository, ``owner/name``, or give the one that is there; what was called so before is forgotten."""
        self._moved.pop(name.lower(), None)
        return self.repositories.setdefault(name.lower(), Repository(self.clock, name))

    def organisation(self, name: str) -> Holder:
        """Make an organisation, or give the one that is there."""
        return self.organisations.setdefault(name.lower(), Holder(self.clock, "organization", name))

    def rename(self, old: str, new: str) -> None:
        """Rename a repository, or transfer it: requests for its old name are redirected from now on."""
        found = self.repositories.pop(old.lower())
        found.name = new
        self.repositories[new.lower()] = found
        self._moved[old.lower()] = new.lower()

    def find(self, name: str, address: str, rest: str = "") -> Repository:
        """A repository by a request's path. Raises the redirect for one that has another name now."""
        found = self.repositories.get(name.lower())
        if found is not None:
            return found
        if now := self._moved.get(name.lower()):
            raise moved(f"{address}/repositories/{self.repositories[now].id}{rest}")
        raise not_found()

    def by_id(self, number: int) -> Repository:
        """A repository by its id."""
        found = next((each for each in self.repositories.values() if each.id == number), None)
        if found is None:
            raise not_found()
        return found
