"""Runs an exec plugin of a kubeconfig, as the official client has it, but with an end: see ``stores.programs``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from kubernetes.config.config_exception import ConfigException
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import ConfigNode

from secretsync_core.stores.programs import Program


class PluginError(Exception):
    """It gives no credential: a sentence's end, without anything of what it said, which may hold one."""


def status_of(plugin: dict[str, Any], cluster: dict[str, Any], directory: str) -> object:
    """What a plugin gives as its ``status``. Raises PluginError."""
    why = ""
    try:
        return _run(ExecProvider(ConfigNode("exec", plugin), directory, ConfigNode("cluster", cluster)))
    except FileNotFoundError:
        why = "is not installed here"
    except (ConfigException, OSError, ValueError, TypeError, LookupError, RecursionError):
        why = "fails"
    raise PluginError(why)


def _run(given: Any) -> object:
    """The client's own ``run``, whose program nobody can end."""
    interactive = sys.stdout is not None and sys.stdout.isatty()
    spec: dict[str, Any] = {"interactive": interactive}
    if given.cluster is not None:
        spec["cluster"] = dict(given.cluster.value)
        for each in spec["cluster"].get("extensions") or ():
            if each["name"] == "client.authentication.k8s.io/exec":
                spec["cluster"]["config"] = each["extension"]
                break
    told = {"apiVersion": given.api_version, "kind": "ExecCredential", "spec": spec}
    environ = {**given.env, "KUBERNETES_EXEC_INFO": json.dumps(told)}
    program = Program(
        given.args,
        stdin=sys.stdin if interactive else None,
        stdout=subprocess.PIPE,
        stderr=sys.stderr if interactive else subprocess.PIPE,
        cwd=given.cwd,
        env=environ,
    )
    said, _ = program.communicate()
    if program.returncode:
        raise ConfigException("it fails")
    answer = json.loads(said)
    if not isinstance(answer, dict) or answer["apiVersion"] != given.api_version or answer["kind"] != told["kind"]:
        raise ConfigException("it answers something else")
    return answer["status"]
