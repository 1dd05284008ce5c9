"""Two stores in one account that the documents do not show: the account is asked for, and tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.aws import KEYS

from secretsync_core.errors import PlanRefused

if TYPE_CHECKING:
    from run.world import World
    from support.aws import Region

    from aws.conftest import InAws

OTHER = {"accessKey": {"id": {"value": "AKIAOTHEROTHER"}, "secret": {"value": "other"}}}


@pytest.mark.parametrize(
    ("provider", "inner"),
    [("awsSecretsManager", {"prefix": "backup/"}), ("awsParameterStore", {"path": "/backup"})],
)
async def test_a_prefix_in_a_prefix(
    world: World, in_aws: InAws, region: Region, provider: str, inner: dict[str, str]
) -> None:
    """A reader's keys and a writer's keys of one account: refused before the first write."""
    in_aws("src", provider, auth={"accessKey": KEYS}, stsEndpointUrl=region.address)
    in_aws("dst", provider, auth=OTHER, stsEndpointUrl=region.address, **inner)
    await world.put("src", "app/db", b"v")
    world.job("- {name: all, query: {recursive: true}}")
    for attempt in (world.plan, world.sync, world.sync):
        with pytest.raises(PlanRefused) as refused:
            await attempt()
        assert list(refused.value.reasons) == ["app/db in dst: item all would read it as a source (src: backup/app/db)"]
    assert list(await world.all("src")) == ["app/db"]
    world.job("- {name: all, query: {path: app, recursive: true}}")
    assert (await world.sync()).ok
    assert (await world.sync()).ok
    assert sorted(await world.all("src")) == ["app/db", "backup/app/db"]
