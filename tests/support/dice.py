"""One seed for all that the tests leave to chance: it is told at the start, and can be given again."""

from __future__ import annotations

import os
import random

VARIABLE = "SECRETSYNC_TEST_SEED"


def seed() -> str:
    """The seed of this session. Workers get it from the process that starts them, by the environment."""
    return os.environ.setdefault(VARIABLE, str(random.randrange(1 << 30)))


def told() -> str:
    """How to have the same chances again."""
    return f"{VARIABLE}={seed()} repeats what is left to chance"


def dice_of(name: str) -> random.Random:
    """The dice of one test, which are the same whatever other tests run before it."""
    print(told())
    return random.Random(f"{seed()}:{name}")
