"""A query that matches nothing in AWS says so where there is more below, and costs nothing more where it matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from run.world import World
    from support.aws import Microburst, Region

    from aws.conftest import InAws

DEEPER = ": there are folders below, which recursive: true searches too"
both = pytest.mark.parametrize("provider", ["awsSecretsManager", "awsParameterStore"])


def seed(region: Region, provider: str, *names: str) -> None:
    """Make secrets or parameters."""
    for name in names:
        if provider == "awsSecretsManager":
            region.secrets.create_secret(Name=name, SecretString="x")
        else:
            region.parameters.put_parameter(Name=f"/{name}", Value="x", Type="SecureString")


@both
@pytest.mark.parametrize("root", [False, True], ids=["below a root", "at the top"])
async def test_nothing_found_beside_folders_names_recursive(
    world: World, in_aws: InAws, region: Region, provider: str, root: bool
) -> None:
    """What is in the folder alone counts as found; in Parameter Store the hint costs one request where nothing is."""
    sections = {"awsSecretsManager": {"prefix": "top/"}, "awsParameterStore": {"path": "/top"}}
    in_aws("src", provider, **({} if root else sections[provider]))
    at = "" if root else "top/"
    seed(region, provider, f"{at}app/deep/er/a", f"{at}flat/a", f"{at}both/a", f"{at}both/deep/a")
    requests = {}
    for path in ("app", "app/deep", "flat", "both", "none"):
        world.job(f"- {{name: all, query: {{path: {path}}}}}")
        planned = await world.plan()
        requests[path] = planned.requests["src"]["list"]
        told = {"app": DEEPER, "app/deep": DEEPER, "none": ""}
        assert planned.warnings == (
            [f"item all: the query for {path}/ in src matches nothing{told[path]}"] if path in told else []
        )
    more = provider == "awsParameterStore"
    assert requests == {"app": 1 + more, "app/deep": 1 + more, "flat": 1, "both": 1, "none": 1 + more}


@both
async def test_at_the_top_too(world: World, in_aws: InAws, region: Region, provider: str) -> None:
    """A query for all keys that is not recursive."""
    in_aws("src", provider)
    seed(region, provider, "app/a")
    world.job("- {name: all, query: {}}")
    planned = await world.plan()
    assert planned.warnings == [f"item all: the query for all keys in src matches nothing{DEEPER}"]
    assert planned.requests["src"]["list"] == 1


async def test_where_parameters_are_listed_by_path(
    world: World, in_aws: InAws, region: Region, burst: Microburst
) -> None:
    """Without the right to describe them the hint comes the other way."""
    seed(region, "awsParameterStore", "app/deep/a")
    in_aws("src", "awsParameterStore", endpointUrl=burst.address)
    world.job("- {name: all, query: {path: app}}")
    burst.rules({"operation": "DescribeParameters", "error": {"code": "AccessDeniedException", "status": 400}})
    assert (await world.plan()).warnings == [f"item all: the query for app/ in src matches nothing{DEEPER}"]
