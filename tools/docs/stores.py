"""The page of what each store can do and hold, read off the classes of the stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli.wording import size
from secretsync_core.distribution import NAME
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.registry import installed
from tools.docs.markdown import page as whole_page
from tools.docs.markdown import plain, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.model.capabilities import StoreLimits
    from secretsync_core.stores.registry import StoreTypeInfo

ABOUT = (
    "What the built-in stores can do, and what they can hold. `secretsync stores` shows the same, and what other "
    "packages have added. [Stores](../stores/README.md) has a page for each."
)

ABILITIES = {
    Ability.READ: "read",
    Ability.LOOK: "look",
    Ability.LIST: "query",
    Ability.WRITE: "write",
    Ability.COMPARE_AND_SET: "compare-and-set",
    Ability.CREATE: "create if absent",
    Ability.DELETE: "delete",
    Ability.MARK: "ownership mark",
    Ability.UNDELETE: "undelete",
    Ability.SET_METADATA: "metadata set",
}
MEANINGS = """\
- **look**: whether a secret is there, and at which version, is seen without its value.
- **compare-and-set**: a write succeeds only if nobody else has written since SecretSync read the version.
- **create if absent**: creating a secret never replaces one that somebody else has just created.
- **ownership mark**: a secret that a job created carries the job's mark: see [Ownership](../documents.md#ownership).
- **undelete**: [`secretsync undo`](../how-a-sync-decides.md#undo) can bring back what a run deleted.
- **metadata set**: what documents ask for is set on secrets that exist too: see [Metadata](../documents.md#metadata).
- **`version` pins**: `secret.version` can pin an old version, and `secretsync undo` can put one back.
- **metadata queries**: `query.metadata` can select by custom metadata, tags or labels.
- **type queries**: `query.type` can select by the type of a Secret."""

LIMITS: dict[str, Callable[[StoreLimits], str]] = {
    "largest secret": lambda limits: size(limits.max_bytes) if limits.max_bytes else "no limit",
    "longest key": lambda limits: f"{limits.max_key_bytes:,} bytes" if limits.max_key_bytes else "no limit",
    "fields": lambda limits: f"{limits.max_fields:,}" if limits.max_fields else "any number",
    "field names": lambda limits: limits.field_rule or "any",
    "blob": lambda limits: (
        ("UTF-8 text only" if limits.text_only else "any bytes") + ("" if limits.empty else ", not empty")
    ),
    "numbers": lambda limits: "exact" if limits.exact_numbers else "float64",
    "keys": lambda limits: limits.key_rule or "any",
}


def page() -> str:
    """The page for this version."""
    infos = [info for info in installed() if info.package == NAME]
    abilities = table(
        ["store", *ABILITIES.values(), "`version` pins", "metadata queries", "type queries"], map(_abilities, infos)
    )
    limits = table(["store", *LIMITS], map(_limits, infos))
    return whole_page("Stores", ABOUT, "## Abilities", abilities, MEANINGS, "## Limits", limits)


def _name(info: StoreTypeInfo) -> str:
    return f"`{info.provider}`" + (f" ({info.variant})" if info.variant else "")


def _abilities(info: StoreTypeInfo) -> list[str]:
    if info.abilities is None or info.limits is None:
        raise SystemExit(f"{info.provider}: {info.problem or 'its limits are not known'}")
    return [
        _name(info),
        *("yes" if ability in info.abilities else "" for ability in ABILITIES),
        "yes" if info.limits.pins else "",
        "yes" if info.limits.custom_metadata else "",
        "yes" if info.limits.types else "",
    ]


def _limits(info: StoreTypeInfo) -> list[str]:
    if info.limits is None:
        raise SystemExit(f"{info.provider}: its limits are not known")
    return [_name(info), *(plain(shown(info.limits)) for shown in LIMITS.values())]
