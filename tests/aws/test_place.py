"""Where the secrets of an AWS store are: region, endpoint and prefix, and the account where it can be told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.aws import KEYS
from support.faulty_http import FaultyHttp

from secretsync_core.model.place import Place
from secretsync_core.stores import aws_parameter_store, aws_secrets_manager
from secretsync_core.stores.places import address

if TYPE_CHECKING:
    from support.aws import Region

    from aws.conftest import OpenStore
    from secretsync_core.testing.gates import CountingGate

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sync"


def _place(provider: Any = aws_secrets_manager, **section: Any) -> Place:
    config = provider.PROVIDER.config.model_validate_json(json.dumps({"region": "eu-central-1", **section}))
    place = provider.PROVIDER.place(config)
    assert isinstance(place, Place)
    return place


def test_by_the_documents() -> None:
    """One region and one way to authenticate are one place; any other may be another account."""
    plain = _place()
    assert plain.is_same(_place())
    assert plain.key_at(_place(prefix="backup/"), "a") == "backup/a"
    keys = {"accessKey": {"id": {"env": "ID"}, "secret": {"env": "KEY"}}}
    other_keys = {"accessKey": {"id": {"env": "ID_2"}, "secret": {"env": "KEY_2"}}}
    in_role, in_other = ({"assumeRole": {"roleArn": role}} for role in (ROLE, ROLE.replace("1234", "9999")))
    ways: list[dict[str, Any]] = [{}, {"profile": "a"}, {"profile": "b"}, keys, other_keys, in_role, in_other]
    for index, way in enumerate(ways):
        for other_index, other in enumerate(ways):
            assert _place(auth=way).overlaps(_place(auth=other)) is (index == other_index)
    assert _place(auth=in_role).is_same(_place(auth={**keys, **in_role}))
    assert not plain.overlaps(_place(region="eu-west-1"))
    assert not plain.overlaps(_place(endpointUrl="http://127.0.0.1:4566"))
    assert not plain.overlaps(_place(aws_parameter_store))


def test_no_credential_is_in_it() -> None:
    """Not even one that is written into the document."""
    auth = {"accessKey": {"id": {"value": "AKIACANARY"}, "secret": {"value": "canary"}}}
    assert "canary" not in str(_place(auth=auth)).lower()


def test_a_path_of_parameters_begins_and_ends_with_a_slash() -> None:
    """However it is written."""
    roots = {path: _place(aws_parameter_store, path=path).root for path in ("/", "", "/prod", "/prod/")}
    assert roots == {"/": "/", "": "/", "/prod": "/prod/", "/prod/": "/prod/"}
    assert _place(aws_parameter_store).key_at(_place(aws_parameter_store, path="/prod"), "a") == "prod/a"


async def test_the_account_is_asked_of_sts_once(
    secrets_manager: OpenStore, parameter_store: OpenStore, gate: CountingGate, region: Region
) -> None:
    """One request when the store opens; an emulator's account is no other emulator's."""
    opened = await secrets_manager(prefix="a/", stsEndpointUrl=region.address)
    assert gate.counts == {"login": 1}
    told = f"aws:{region.name}:{ACCOUNT} {region.address}"
    assert opened.facts.place == Place("awsSecretsManager", f"{region.name} {region.address}", "a/", told)
    opened = await parameter_store(path="/b", stsEndpointUrl=region.address)
    assert opened.facts.place == Place("awsParameterStore", f"{region.name} {region.address}", "/b/", told)


async def test_a_role_names_its_account(secrets_manager: OpenStore, gate: CountingGate, region: Region) -> None:
    """Nobody has to be asked, and an endpoint of AWS in a VPC is no other place."""
    auth = {"accessKey": KEYS, "assumeRole": {"roleArn": ROLE}}
    vpc = "https://vpce-1.secretsmanager.eu-central-1.vpce.amazonaws.com"
    inside = await secrets_manager(auth=auth, stsEndpointUrl=region.address, endpointUrl=vpc)
    outside = await secrets_manager(auth=auth, stsEndpointUrl=region.address, endpointUrl=None)
    assert gate.counts == {"login": 2}
    assert inside.facts.place.identity == outside.facts.place.identity == f"aws:{region.name}:{ACCOUNT}"
    assert inside.facts.place.server == f"{region.name} {address(vpc)}"
    assert inside.facts.place.is_same(outside.facts.place)


async def test_who_does_not_tell_is_known_by_how_one_logs_in(
    secrets_manager: OpenStore, gate: CountingGate, region: Region
) -> None:
    """An STS that refuses, or talks nonsense, is no error, and its account is none that is known.

    With an endpoint of one's own nobody else is asked.
    """
    for status, body in ((403, b"<ErrorResponse/>"), (200, b"<html>"), (500, b"")):
        async with FaultyHttp() as sts:
            sts.answer("POST", status, body)
            opened = await secrets_manager(stsEndpointUrl=sts.address)
            assert opened.facts.place.identity.startswith(f"aws:{region.name}:by ")
            assert sts.count() == 1
    gate.counts.clear()
    opened = await secrets_manager()
    assert opened.facts.place.server == f"{region.name} {region.address}"
    assert opened.facts.place.identity.startswith(f"aws:{region.name}:by ")
    assert gate.counts == {}
    told = await secrets_manager(stsEndpointUrl=region.address)
    assert not opened.facts.place.is_same(told.facts.place)
