"""The table of stores in the documentation is made of what the stores themselves say.

``UPDATE_DOCS=1`` writes it anew; look at the difference before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.cli.wording import size
from secretsync_core.distribution import NAME
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.registry import installed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsync_core.stores.registry import StoreTypeInfo

PAGE = Path(__file__).parents[2] / "docs" / "stores" / "README.md"
BEGIN, END = "<!-- stores: begin -->\n", "<!-- stores: end -->"

COLUMNS = {
    Ability.READ: "read",
    Ability.LIST: "query",
    Ability.WRITE: "write",
    Ability.COMPARE_AND_SET: "compare and set",
    Ability.CREATE: "create if absent",
    Ability.DELETE: "delete",
    Ability.MARK: "mark",
}


def _table(infos: Iterable[StoreTypeInfo]) -> str:
    head = ["store", *COLUMNS.values(), "`version` pins", "metadata queries", "largest secret", "keys"]
    rows = [head, ["---"] * len(head), *(_row(info) for info in infos if info.package == NAME)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(info: StoreTypeInfo) -> list[str]:
    assert info.abilities is not None, f"{info.provider}: {info.problem}"
    assert info.limits is not None
    return [
        f"`{info.provider}`" + (f" ({info.variant})" if info.variant else ""),
        *("yes" if ability in info.abilities else "" for ability in COLUMNS),
        "yes" if info.limits.pins else "",
        "yes" if info.limits.custom_metadata else "",
        size(info.limits.max_bytes) if info.limits.max_bytes else "no limit",
        info.limits.key_rule or "any",
    ]


def test_the_documentation_says_what_the_stores_say() -> None:
    """Abilities and limits in docs/stores are those of the classes."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = f"{before}{BEGIN}{_table(installed())}{END}{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(written)
    assert written == text or os.environ.get("UPDATE_DOCS")
