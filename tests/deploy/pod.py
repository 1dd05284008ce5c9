"""Runs a pod's container as a kubelet would, in the image: its volumes, its variables, its command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from deploy.image import USER

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.image import Image
    from deploy.manifests import Object

Texts = dict[str, dict[str, str]]


class Kubelet:
    """What is in the cluster, for the pods that are run."""

    def __init__(
        self,
        image: Image,
        directory: Path,
        *,
        config_maps: Texts,
        secrets: Texts,
        claims: Mapping[str, Path],
        tokens: Mapping[str, str] | None = None,
    ) -> None:
        """``claims``: directories by the claim's name. ``tokens``: of the service account, by their audience."""
        self._image = image
        self._directory = directory
        self._config_maps = config_maps
        self._secrets = secrets
        self._claims = claims
        self._tokens = tokens or {}
        for path in claims.values():
            os.chown(path, USER, USER)

    def run(self, template: Object) -> subprocess.CompletedProcess[str]:
        """Run the pod to its end."""
        spec = template["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsUser"] == USER
        volumes = {
            volume["name"]: self._volume(volume, spec["securityContext"]["fsGroup"]) for volume in spec["volumes"]
        }
        mounts = {
            mount["mountPath"]: volumes[mount["name"]]
            for mount in container["volumeMounts"]
            if mount["mountPath"] != "/tmp"  # the image's own is one already
        }
        env = {
            one["name"]: one["value"] if "value" in one else self._from(one["valueFrom"]) for one in container["env"]
        }
        return self._image.run(*container["args"], env=env, mounts=mounts)

    def _from(self, source: Object) -> str:
        reference = source["secretKeyRef"]
        text: str = self._secrets[reference["name"]][reference["key"]]
        return text

    def _volume(self, volume: Object, group: int) -> Path:
        if claim := volume.get("persistentVolumeClaim"):
            return self._claims[claim["claimName"]]
        directory: Path = self._directory / volume["name"]
        directory.mkdir(parents=True, exist_ok=True)
        files: dict[str, str] = {}
        mode = 0o644
        if config := volume.get("configMap"):
            files = self._config_maps[config["name"]]
        elif secret := volume.get("secret"):
            files, mode = self._secrets[secret["secretName"]], secret.get("defaultMode", mode)
        elif projected := volume.get("projected"):
            files = {
                one["serviceAccountToken"]["path"]: self._tokens[one["serviceAccountToken"]["audience"]]
                for one in projected["sources"]
            }
            mode = 0o640
        else:
            assert "emptyDir" in volume, volume
        # As kubelet does it: the files in a hidden directory, and links to them.
        (directory / "..data").mkdir(exist_ok=True)
        for name, text in files.items():
            path = directory / "..data" / name
            path.write_text(text)
            path.chmod(mode)
            os.chown(path, 0, group)
            if not (directory / name).is_symlink():
                (directory / name).symlink_to(f"..data/{name}")
        return directory
