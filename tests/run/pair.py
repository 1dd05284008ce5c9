"""A world with a real OpenBao on one side and Kubernetes on the other: a fake API server, the official client."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.http import Api
    from support.kube_api import KubeApi

    from run.world import World
    from secretsync_core.model.report import Report

UP = """
- name: app
  query: {path: app, recursive: true}
  keyTransform: [{regexp: {source: "/", target: "-"}}]
"""
DOWN = """
- name: app
  query: {path: "", key: {regexp: "^app-"}}
  keyTransform: [{regexp: {source: "^app-", target: "back/"}}]
"""


class Pair:
    """A World whose stores are ``bao``, one fresh mount, and ``k8s``, the namespace team-a."""

    def __init__(self, world: World, api: Api, mount: str, kube: KubeApi) -> None:
        self.world, self.kube = world, kube
        self._api, self._mount = api, mount
        vault = f"address: '{api.address}', mount: {mount}, auth: {{token: {{value: {api.token}}}}}"
        world.store("bao", f"vault: {{{vault}}}")
        self.k8s()

    def k8s(self, server: str = "", *, permissions: str = "ReadWrite", **more: str) -> None:
        """Write the document of ``k8s``."""
        section = {
            "namespace": "team-a",
            "server": f"'{server or self.kube.address}'",
            "auth": self.kube_auth,
            **more,
        }
        inner = ", ".join(f"{name}: {value}" for name, value in section.items())
        self.world.store("k8s", f"kubernetes: {{{inner}}}", permissions)

    @property
    def kube_auth(self) -> str:
        """The ``auth`` of a store that may do everything in the cluster."""
        return f"{{token: {{value: {self.kube.admin}}}}}"

    def put(self, key: str, fields: dict[str, Any]) -> None:
        """Write to OpenBao."""
        self._api.put(self._mount, key, fields)

    def get(self, key: str) -> dict[str, Any] | None:
        """Read from OpenBao."""
        return self._api.get(self._mount, key)

    def remove(self, key: str) -> None:
        """Delete in OpenBao, with all versions."""
        self._api.call("DELETE", f"{self._mount}/metadata/{key}")

    def create(self, name: str, data: dict[str, bytes], **parts: Any) -> None:
        """Create a Secret."""
        encoded = {field: base64.b64encode(value).decode() for field, value in data.items()}
        metadata = {"name": name, **parts.pop("metadata", {})}
        self.kube.cluster.create("team-a", {"metadata": metadata, "data": encoded, **parts})

    def patch(self, name: str, patch: dict[str, Any]) -> None:
        """Change a Secret behind everybody's back."""
        self.kube.cluster.patch("team-a", name, patch, "application/merge-patch+json")

    def secret(self, name: str) -> dict[str, bytes]:
        """The data of a Secret."""
        data = self.kube.cluster.get("team-a", name).get("data", {})
        return {field: base64.b64decode(text) for field, text in data.items()}

    def names(self) -> list[str]:
        """The Secrets that there are."""
        return [each["metadata"]["name"] for each in self.kube.cluster.list("team-a").items]

    async def up(self, plan: str = UP, **spec: str) -> Report:
        """Sync from OpenBao to Kubernetes."""
        self.world.job(plan, source="bao", dest="k8s", **spec)
        return await self.world.sync()

    async def down(self, plan: str = DOWN, **spec: str) -> Report:
        """Sync from Kubernetes to OpenBao."""
        self.world.job(plan, source="k8s", dest="bao", **spec)
        return await self.world.sync()
