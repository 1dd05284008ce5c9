"""What Key Vault takes as tags and as settings, and the tag that is ours."""

from __future__ import annotations

from secretsync_core.metadata_rules import SWITCH, TIME
from secretsync_core.model.metadata import Kind, MetadataRule

OURS = "secretsync.io"
"""Tags whose names begin so are SecretSync's own. No slash: nothing says that Azure takes one in a name."""

MARK = f"{OURS}-owner"
"""The tag that says which job created a secret."""

MOST = 15
MOST_ASKED = MOST - 1

# https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates: 15 tags, each name and value of
# at most 256 characters.
TAG = MetadataRule(
    most=MOST,
    longest_name=256,
    longest_text=256,
    in_characters=True,
    name_pattern=r"[^\pC]+",
    name_rule="printable",
    reserved=(OURS,),
)

MOST_CONTENT_TYPE = 255
"""Characters, by the same page."""

SETTINGS = {
    Kind.CONTENT_TYPE: MetadataRule(
        longest_text=MOST_CONTENT_TYPE,
        in_characters=True,
        text_pattern=r"[^\pC]+",
        text_rule="printable, and not empty",
    ),
    Kind.ENABLED: SWITCH,
    Kind.NOT_BEFORE: TIME,
    Kind.EXPIRES: TIME,
}
"""What its secrets have beside their values that are no tags."""
