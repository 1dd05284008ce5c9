"""What a document says of Secret Manager: where that is, what it refuses, and which place it stands for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from secretsync_core.stores.gcp_secret_manager import PROVIDER
from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig
from secretsync_core.stores.gcp_secret_manager.place import endpoint
from secretsync_core.stores.gcp_secret_manager.surroundings import is_login_of_google

KEY = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"


def config(**fields: Any) -> GcpSecretManagerConfig:
    """A configuration, checked as documents are."""
    return GcpSecretManagerConfig.model_validate({"project": "acme-test", **fields}, strict=False)


def place(**fields: Any) -> Any:
    """The place of a configuration."""
    assert PROVIDER.place is not None
    return PROVIDER.place(config(**fields))


def test_a_location_has_an_endpoint_of_its_own() -> None:
    """Global secrets, regional ones, and an address of the document's."""
    assert endpoint(config()) == "https://secretmanager.googleapis.com"
    assert endpoint(config(location="europe-west3")) == "https://secretmanager.europe-west3.rep.googleapis.com"
    assert endpoint(config(location="europe-west3", endpointUrl="https://sm.example.com/")) == "https://sm.example.com"


def test_one_place_is_one_however_it_is_reached() -> None:
    """Private Service Connect leads to the same secrets; an emulator, a location and another project do not."""
    assert place().is_same(place(endpointUrl="https://secretmanager-hub.p.googleapis.com"))
    assert place().overlaps(place(prefix="team-"))
    assert place().key_at(place(prefix="team-"), "db") == "team-db"
    for other in (
        place(endpointUrl="https://localhost:9000"),
        place(location="europe-west3"),
        place(project="acme-prod"),
    ):
        assert not place().overlaps(other)
    assert not place(endpointUrl="https://a.example").overlaps(place(endpointUrl="https://b.example"))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"project": "123456789012"}, "id, not its number"),
        ({"location": "europe-west3", "replication": {"automatic": {}}}, "regional secrets have no replication"),
        ({"kmsKeyName": KEY}, "kmsKeyName is for regional secrets"),
        ({"replication": {}}, "exactly one of automatic or userManaged"),
        (
            {
                "replication": {
                    "userManaged": [{"location": "europe-west3", "kmsKeyName": KEY}, {"location": "us-east1"}]
                }
            },
            "for all replicas, or for none",
        ),
        ({"oldVersions": {"keep": 0, "destroy": True}}, "oldVersions.keep"),
        ({"oldVersions": {"keep": 3}}, "exactly one of destroy or disable"),
        ({"oldVersions": {"keep": 3, "destroy": False}}, "leave out oldVersions"),
        ({"annotations": {"secretsync.io-owner": "x"}}, "set by SecretSync alone"),
        ({"labels": {"Team": "x"}}, "labels"),
        ({"ttlSeconds": 3600, "expireTime": "2127-01-01T00:00:00Z"}, "at most one of ttlSeconds and expireTime"),
        ({"expireTime": "2127-01-01T00:00:00"}, "say the time zone"),
        ({"expireTime": "tomorrow"}, "a time such as 2027-01-01"),
        ({"prefix": "prod"}, "prefix"),
        (
            {"auth": {"accessToken": {"env": "A"}, "serviceAccountKey": {"env": "B"}}},
            "at most one of serviceAccountKey",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_the_document(fields: dict[str, Any], told: str) -> None:
    """By words that say what to write."""
    with pytest.raises(ValidationError, match=told):
        config(**fields)


@pytest.mark.parametrize(
    "address",
    [
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "https://accounts.google.com/o/oauth2/token",
        "https://sts.googleapis.com/v1/token",
        "https://sts.googleapis.com:443/v1/introspect",
        "https://sts.europe-west3.rep.googleapis.com/v1/token",
        "https://sts.mtls.googleapis.com/v1/token",
    ],
)
def test_google_has_several_addresses_for_logins(address: str) -> None:
    """All that stand in files which Google's tools write."""
    assert is_login_of_google(address)
