"""Kubernetes objects: read, checked against the schemas of the API, and looked at for what a pod may do."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import yaml

Object = dict[str, Any]

VERSIONS = ("1.29", "1.37")
"""The oldest that we promise to run on, and the newest whose schemas there are."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but without dates: Kubernetes has none."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str) -> list[Object]:
    """The objects in a stream of YAML documents."""
    return [one for one in yaml.load_all(text, _Loader) if one]


def check(objects: list[Object]) -> None:
    """Every object fits the schema of its kind, unknown fields included; no two have one name."""
    for one in objects:
        for version in VERSIONS:
            kubernetes_validate.validate(one, version, strict=True)
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names), names


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """The objects of one kind, by name."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def pods(objects: list[Object]) -> dict[str, Object]:
    """The pod templates of all workloads, by kind and name."""
    found = {}
    for one in objects:
        name = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] == "CronJob":
            found[name] = one["spec"]["jobTemplate"]["spec"]["template"]
        elif one["kind"] in ("Job", "Deployment", "StatefulSet", "DaemonSet"):
            found[name] = one["spec"]["template"]
        elif one["kind"] == "Pod":
            found[name] = one
    return found


def check_restricted(template: Object) -> None:
    """The pod meets the Pod Security Standard "restricted", and what we ask beyond it."""
    spec = template["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    kinds = {"configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim"}
    assert all(volume.keys() - {"name"} <= kinds for volume in spec.get("volumes", []))
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not own.get("privileged")
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert not any("hostPort" in port for port in container.get("ports", []))
        check_mounts(spec, container)


def check_mounts(spec: Object, container: Object) -> None:
    """Every mount has its volume and a place of its own, and what is no place to write is mounted read-only."""
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    assert len(volumes) == len(spec.get("volumes", []))
    mounts = container["volumeMounts"]
    assert {mount["name"] for mount in mounts} <= volumes.keys()
    assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
    for mount in mounts:
        if not {"emptyDir", "persistentVolumeClaim"} & volumes[mount["name"]].keys():
            assert mount.get("readOnly") is True, mount
