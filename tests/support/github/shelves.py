"""What the fake keeps: secrets as GitHub does, which opens their sealed boxes, and variables; each beside its times.

Rules and limits: https://docs.github.com/actions/reference/security/secrets, and for variables
https://docs.github.com/actions/reference/workflows-and-actions/variables.
"""

from __future__ import annotations

import base64
import itertools
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from support.github.refusals import exists, invalid, not_found

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # "Naming your secrets", the same for variables
MAX_BYTES = 48 * 1024  # "Secrets are limited to 48 KB in size", and "Individual variables are limited to 48 KB"
MOST = {  # "Limits for secrets", "Limits for configuration variables"
    ("secrets", "repository"): 100,
    ("secrets", "environment"): 100,
    ("secrets", "organization"): 1000,
    ("variables", "repository"): 500,
    ("variables", "environment"): 100,
    ("variables", "organization"): 1000,
}

_key_ids = itertools.count(568250167242549743)


class Clock:
    """The time at GitHub: to the second, as its answers tell it. Each write comes a second after the one before.

    A clock that is ``still`` stays where it is: then several writes fall into one second, as they may at GitHub.
    """

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.still = False

    def tick(self) -> str:
        """The time of the next write."""
        if not self.still:
            self.now += timedelta(seconds=1)
        return self.text

    @property
    def text(self) -> str:
        """As answers have it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Held:
    """One secret or variable."""

    name: str
    value: str
    created_at: str
    updated_at: str
    visibility: str = ""
    repositories: list[int] = field(default_factory=list)


class Shelf:
    """The secrets, or the variables, of one repository, environment or organisation, for one use."""

    def __init__(self, clock: Clock, holder: str, what: str) -> None:
        """``holder`` is what MOST calls it, ``what`` is ``secrets`` or ``variables``."""
        self._clock = clock
        self.holder = holder
        self.what = what
        self.held: dict[str, Held] = {}
        self.most = MOST[what, holder]
        self.rotate()

    def rotate(self) -> None:
        """Have another key from now on; what is sealed for the one before is not taken any more."""
        self._private = PrivateKey.generate()
        self.key_id = str(next(_key_ids))

    @property
    def key(self) -> str:
        """The public key, in base64."""
        return base64.b64encode(bytes(self._private.public_key)).decode()

    def seal(self, name: str, encrypted: str, key_id: str, visibility: str, repositories: list[int]) -> bool:
        """Keep a secret; whether it is new."""
        if key_id != self.key_id:  # which refusal this is, no document says
            raise invalid("key_id does not match the public key")
        try:
            value = SealedBox(self._private).decrypt(base64.b64decode(encrypted, validate=True))
        except (CryptoError, ValueError):
            raise invalid("encrypted_value cannot be decrypted") from None
        return self.put(name, value.decode(), visibility, repositories)

    def put(self, name: str, value: str, visibility: str = "", repositories: list[int] | None = None) -> bool:
        """Keep a value; whether its name is new."""
        if not NAME.fullmatch(name) or name.upper().startswith("GITHUB_"):
            raise invalid("name is not allowed")
        if not value:
            raise invalid("value is blank")
        if len(value.encode()) > MAX_BYTES:
            raise invalid("value is too large")
        name = name.upper()  # "GitHub stores secret names as uppercase regardless of how they are entered"
        there = self.held.get(name)
        if there is None and len(self.held) >= self.most:
            raise invalid(f"no more than {self.most} {self.what} are allowed")
        now = self._clock.tick()
        created = now if there is None else there.created_at
        self.held[name] = Held(name, value, created, now, visibility, list(repositories or ()))
        return there is None

    def create(self, name: str, value: str, visibility: str = "", repositories: list[int] | None = None) -> None:
        """Keep a variable that is not there yet."""
        if name.upper() in self.held:
            raise exists()
        self.put(name, value, visibility, repositories)

    def get(self, name: str) -> Held:
        """One of them, in whatever case it is named."""
        found = self.held.get(name.upper())
        if found is None:
            raise not_found()
        return found

    def remove(self, name: str) -> None:
        """Forget it."""
        del self.held[self.get(name).name]

    def values(self) -> dict[str, str]:
        """What only GitHub sees."""
        return {name: held.value for name, held in self.held.items()}
