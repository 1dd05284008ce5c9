"""``secretsync stores``: the providers that documents may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli import exits
from secretsync_core.cli.escape import safe
from secretsync_core.cli.tables import show, table
from secretsync_core.cli.wording import size
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.registry import installed

if TYPE_CHECKING:
    from secretsync_core.cli.output import Output
    from secretsync_core.stores.registry import StoreTypeInfo


def run(output: Output) -> int:
    """List every provider with what it can do, and why one cannot be used."""
    infos = installed()
    if output.json:
        output.document({"stores": [_object(info) for info in infos]})
        return exits.OK
    grid = table("PROVIDER", "VARIANT", "ABILITIES", "MAX SIZE", "PACKAGE")
    for info in infos:
        grid.add_row(
            safe(info.provider),
            safe(info.variant) or "-",
            _abilities(info),
            _largest(info),
            safe(f"{info.package} {info.version}"),
        )
    show(grid, output)
    output.flush()
    for info in infos:
        if info.problem:
            output.warning(f"{info.provider} cannot be used: {info.problem}")
    return exits.OK


def _abilities(info: StoreTypeInfo) -> str:
    if info.abilities is None:
        return "unusable" if info.problem else "unknown until first use"
    return ", ".join(ability.value for ability in Ability if ability in info.abilities)


def _largest(info: StoreTypeInfo) -> str:
    largest = info.limits.max_bytes if info.limits else None
    return "-" if largest is None else size(largest)


def _object(info: StoreTypeInfo) -> dict[str, object]:
    limits = info.limits
    return {
        "provider": info.provider,
        "variant": info.variant,
        "package": info.package,
        "version": info.version,
        "abilities": None if info.abilities is None else sorted(info.abilities),
        "limits": None
        if limits is None
        else {
            "maxBytes": limits.max_bytes,
            "maxFields": limits.max_fields,
            "maxKeyBytes": limits.max_key_bytes,
            "keyPattern": limits.key_pattern,
            "keyRule": limits.key_rule,
        },
        "problem": info.problem,
    }
