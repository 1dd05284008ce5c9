"""What SecretSync is called as a package, and how every hint names a part of it that is not installed."""

from __future__ import annotations

NAME = "secretsync-core"
"""The distribution's name. Not ``secretsync``, which on the package index is somebody else's."""


def extra_hint(*extras: str) -> str:
    """How to get what is missing: ``install the extra [vault]; see Install in the README``."""
    return f"install the extra{'s' if len(extras) > 1 else ''} [{','.join(extras)}]; see Install in the README"
