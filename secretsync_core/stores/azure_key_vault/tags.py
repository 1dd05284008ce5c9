"""What Key Vault takes as tags, and the one that is ours."""

from __future__ import annotations

from secretsync_core.model.metadata import MetadataRule

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
