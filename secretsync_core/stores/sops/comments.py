"""Comments in a file's text, which sops encrypts like values: ``#ENC[AES256_GCM,…,type:comment]``. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsync_core.stores.sops.values import Broken, is_comment, open_text, path_text, seal_text

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_TRIES = 200_000
"""How often one comment or another is decrypted in vain; a long one counts once more for each 256 characters."""

_COMMENT = re.compile(r"(?<=[#;])( ?)(ENC\[AES256_GCM,[A-Za-z0-9+/=:,]*,type:comment\])")


def sealed_anew(text: str, paths: Iterable[tuple[str, ...]], before: bytes, after: bytes) -> str:
    """The text with all comments encrypted by another key; those that the former one does not open stay as they are.

    Of which object a comment is, sops tells by rules of its own, so that each path is tried. Raises Broken.
    """
    known = dict.fromkeys(map(path_text, paths))
    tries = 0

    def again(found: re.Match[str]) -> str:
        nonlocal tries
        if not is_comment(found[2]):
            return found[0]
        for authenticated in known:
            tries += 1 + len(found[2]) // 256
            if tries > MOST_TRIES:
                raise Broken("it has too many comments to encrypt all of them anew", "run: sops rotate --in-place")
            try:
                plain, kind = open_text(found[2], before, authenticated)
            except Broken:
                continue
            return found[1] + seal_text(plain, kind, after, authenticated)
        return found[0]

    return _COMMENT.sub(again, text)
