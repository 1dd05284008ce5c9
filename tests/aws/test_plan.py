"""A plan refuses what AWS would refuse of a value, or of a write over what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from run.truth import compare

if TYPE_CHECKING:
    from run.world import World
    from support.aws import Region

    from aws.conftest import InAws

ALL = "- {name: all, query: {recursive: true}}"


@pytest.mark.parametrize("policy", ["Replace", "Managed"])
async def test_a_parameter_of_another_type(world: World, in_aws: InAws, region: Region, policy: str) -> None:
    """A String and a StringList are refused by the plan, in the words of the service; an Advanced one stays so."""
    in_aws("dst", "awsParameterStore", path="/prod")
    put = region.parameters.put_parameter
    put(Name="/prod/string", Value="old", Type="String")
    put(Name="/prod/list", Value="a,b", Type="StringList")
    put(Name="/prod/advanced", Value="a" * 5000, Type="SecureString", Tier="Advanced")
    put(Name="/prod/fine", Value="old", Type="SecureString")
    await world.seed("src", {key: {"value": "new"} for key in ("string", "list", "advanced", "fine", "new")})
    world.job(ALL, writePolicy=policy, ownership="{adopt: true}" if policy == "Managed" else "{}")
    both = await compare(world)
    assert both.refused.keys() == {"string", "list"}
    assert both.refused["list"] == "dst refuses to write list: a parameter of another type stands there"
    assert (await compare(world)).refused == both.refused  # the failed run changed nothing about it


async def test_a_parameter_that_can_be_replaced_is_not_refused(world: World, in_aws: InAws, region: Region) -> None:
    """With its own type, and with intelligent tiering, the same parameters are updated."""
    in_aws("dst", "awsParameterStore", path="/prod", type="String", tier="IntelligentTiering")
    region.parameters.put_parameter(Name="/prod/string", Value="old", Type="String")
    region.parameters.put_parameter(Name="/prod/advanced", Value="a" * 5000, Type="String", Tier="Advanced")
    await world.seed("src", {key: {"value": "new"} for key in ("string", "advanced")})
    world.job(ALL, writePolicy="Replace")
    both = await compare(world)
    assert (both.refused, both.report.ok) == ({}, True)


async def test_a_version_that_aws_does_not_have_is_named(world: World, in_aws: InAws, region: Region) -> None:
    """Parameter Store and Secrets Manager: the secret is there, and the pinned version of it is not."""
    in_aws("src", "awsParameterStore", path="/prod")
    in_aws("other", "awsSecretsManager", prefix="prod/")
    region.parameters.put_parameter(Name="/prod/k", Value="x", Type="SecureString")
    region.secrets.create_secret(Name="prod/k", SecretString="x")
    world.job("- {name: pin, secret: {key: k, version: '99'}}")
    assert (await compare(world)).refused == {"k": "version 99 of k is not in src"}
    world.job("- {name: pin, secret: {key: k, version: NOSUCHLABEL}}", source="other")
    assert (await compare(world)).refused == {"k": "version NOSUCHLABEL of k is not in other"}
