"""Which characters of a text from outside could steer a terminal, or turn or hide what stands beside them."""

from __future__ import annotations

import re

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
"""C0, DEL and C1 controls, line and paragraph separators, lone surrogates, and everything that turns or hides text."""
