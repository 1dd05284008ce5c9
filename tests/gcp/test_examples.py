"""The example runs as it is, but for the addresses and the login: with stores in memory and the fake of Google."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from run.world import World
    from support.google.server import Google

    from gcp.conftest import InGcp

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault-to-gcp"


def test_it_is_valid_as_it_is() -> None:
    """It loads without an error, and without a warning."""
    documents = load_directory(EXAMPLE)
    assert documents.jobs
    assert documents.warnings == ()


async def test_it_does_what_its_comments_say(world: World, in_gcp: InGcp, google: Google) -> None:
    """Secrets of Vault are there under the names that it gives, as JSON and as one value, and go when Vault's go."""
    documents = {
        each["metadata"]["name"]: each for each in yaml.safe_load_all((EXAMPLE / "secretsync.yaml").read_text())
    }
    config = documents["secret-manager"]["spec"]["provider"]["gcpSecretManager"]
    in_gcp("dst", **{**config, "project": google.secrets.project})
    job = documents["vault-to-secret-manager"]["spec"]
    world.job(yaml.safe_dump(job["plan"]), deletionPolicy=job["deletionPolicy"], limits=json.dumps(job["limits"]))
    card = {"number": "4111", "cvc": "1"}
    await world.seed("src", {"payments/card": card, "billing/db": {"password": "p", "user": "u"}})
    assert (await world.sync()).ok
    assert google.secrets.values() == {
        "prod-payments-card": b'{"cvc":"1","number":"4111"}',
        "prod-billing-db-password": b"p",
    }
    assert google.secrets.of("prod-payments-card").fields["labels"] == {"managed-by": "secretsync"}
    await world.remove("src", "payments/card")
    assert (await world.sync()).ok
    assert list(google.secrets.values()) == ["prod-billing-db-password"]
