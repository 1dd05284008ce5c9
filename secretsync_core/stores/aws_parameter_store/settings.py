"""What a parameter has besides its value, and keeps when it is updated.

The service takes every write of a value for a description of the whole parameter: what is not said again (the key, the
pattern, the data type) is what the account has as a default. Description, tags and policies it keeps by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.aws_parameter_store.config import AwsParameterStoreConfig

TIERS = {"Standard": "Standard", "Advanced": "Advanced", "IntelligentTiering": "Intelligent-Tiering"}
"""The tiers as a document calls them, and as the service does."""


class Settings(NamedTuple):
    """What a description says of one parameter; empty where it does not say."""

    kind: str
    key_id: str
    tier: str
    data_type: str
    pattern: str


def settings_of(about: Part) -> Settings:
    """Read a description. Raises MalformedAnswer."""
    kind, key_id, tier, data_type, pattern = (
        about.text_or_none(name) or "" for name in ("Type", "KeyId", "Tier", "DataType", "AllowedPattern")
    )
    return Settings(kind, key_id, tier, data_type, pattern)


def options_of(config: AwsParameterStoreConfig, there: Settings | None) -> dict[str, Any]:
    """What a write says besides name and value; ``there`` is what it updates, None where it creates.

    The document's key goes before the one that is there. A tier above Standard is kept: there is no way back from it.
    """
    options: dict[str, Any] = {"Type": config.type, "Tier": TIERS[config.tier]}
    if config.kms_key_id:
        options["KeyId"] = config.kms_key_id
    if there is None:
        return options
    if there.key_id and config.type == there.kind == "SecureString":
        options.setdefault("KeyId", there.key_id)
    if there.tier not in ("", "Standard"):
        options["Tier"] = there.tier
    if there.data_type not in ("", "text"):
        options["DataType"] = there.data_type
    if there.pattern:
        options["AllowedPattern"] = there.pattern
    return options
