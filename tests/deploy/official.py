"""What the official Dagster chart makes of its values, as far as ours use it.

That chart is in no package registry, so these few objects are put together here from what its templates and its
schema say (dagster-io/dagster, helm/dagster, read in November 2026). It is the structure of the values that this
checks, and not that chart.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.manifests import Object

RELEASE, NAMESPACE = "dagster", "sync"

_POD = {"podSecurityContext", "securityContext", "resources", "volumes", "volumeMounts", "env", "envConfigMaps"}
_POD |= {"envSecrets", "annotations", "labels", "nodeSelector", "affinity", "tolerations", "schedulerName", "image"}
_PROBES = {"startupProbe", "readinessProbe", "livenessProbe"}
_ON_OFF = {"enabled": None}

KNOWN: dict[str, Any] = {
    "global": dict.fromkeys(("dagsterHome", "postgresqlSecretName", "celeryConfigSecretName", "serviceAccountName")),
    "generatePostgresqlPasswordSecret": None,
    "postgresql": {
        **dict.fromkeys(("image", "enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword")),
        **dict.fromkeys(("postgresqlDatabase", "postgresqlParams", "postgresqlScheme")),
        "service": {"port": None},
    },
    "serviceAccount": dict.fromkeys(("create", "name", "annotations")),
    "rbacEnabled": None,
    "dagster-user-deployments": {
        **dict.fromkeys(("enabled", "enableSubchart", "imagePullSecrets", "rbacEnabled")),
        "serviceAccount": dict.fromkeys(("create", "name", "annotations")),
        "deployments": dict.fromkeys(
            {"name", "dagsterApiGrpcArgs", "codeServerArgs", "includeConfigInLaunchedRuns", "port", "service"}
            | {"initContainers", "sidecarContainers", *_POD, *_PROBES}
        ),
    },
    "runLauncher": {
        "type": None,
        "config": {
            # `config` is handed to the launcher as it stands; of what Dagster's own entry takes nothing else is known.
            "customRunLauncher": dict.fromkeys(("module", "class", "config")),
            "k8sRunLauncher": {
                **dict.fromkeys(("image", "imagePullPolicy", "jobNamespace", "loadInclusterConfig", "kubeconfigFile")),
                **dict.fromkeys(("envConfigMaps", "envSecrets", "envVars", "volumeMounts", "volumes", "labels")),
                **dict.fromkeys(("failPodOnRunFailure", "resources", "schedulerName", "securityContext")),
                "runK8sConfig": dict.fromkeys(
                    ("containerConfig", "podSpecConfig", "podTemplateSpecMetadata", "jobSpecConfig", "jobMetadata")
                ),
            },
        },
    },
    "computeLogManager": {"type": None},
    "dagsterWebserver": {
        **dict.fromkeys(
            _POD | _PROBES | {"replicaCount", "nameOverride", "pathPrefix", "workspace", "deploymentLabels"}
        ),
        **dict.fromkeys(("enableReadOnly", "dbStatementTimeout", "dbPoolRecycle", "logLevel")),
        "service": dict.fromkeys(("type", "port", "annotations")),
    },
    "dagsterDaemon": {
        **dict.fromkeys(_POD | _PROBES | {"enabled", "heartbeatTolerance", "deploymentLabels"}),
        "runCoordinator": _ON_OFF,
        "runMonitoring": dict.fromkeys(
            ("enabled", "startTimeoutSeconds", "cancelTimeoutSeconds", "maxResumeRunAttempts", "pollIntervalSeconds")
        ),
        "runRetries": dict.fromkeys(("enabled", "maxRetries")),
        "sensors": dict.fromkeys(("useThreads", "numWorkers", "numSubmitWorkers")),
        "schedules": dict.fromkeys(("useThreads", "numWorkers", "numSubmitWorkers")),
    },
    "additionalInstanceConfig": None,
    "telemetry": _ON_OFF,
    "rabbitmq": _ON_OFF,
    "redis": _ON_OFF,
    "flower": _ON_OFF,
    "ingress": _ON_OFF,
}
"""The names that the chart's values have, of the parts that ours set; ``None`` where it is Kubernetes' own, or free."""


def unknown(values: Any, known: Any = KNOWN, path: str = "") -> set[str]:
    """The values that the chart does not know."""
    if known is None:
        return set()
    if isinstance(values, list):
        return {deeper for one in values for deeper in unknown(one, known, path)}
    found = {f"{path}.{name}" for name in values if name not in known}
    return found | {
        deeper
        for name, one in values.items()
        if name in known
        for deeper in unknown(one, known[name], f"{path}.{name}")
    }


def code_location(values: Object) -> Object:
    """The Deployment of the one code location."""
    chart = values["dagster-user-deployments"]
    (given,) = chart["deployments"]
    probe = {"exec": {"command": ["dagster", "api", "grpc-health-check", "-p", str(given["port"])]}}
    probes = {
        name: probe | {key: value for key, value in given[name].items() if key != "enabled"}
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    listen = ["-h", "0.0.0.0", "-p", str(given["port"])]
    container = {
        "name": "dagster-user-deployments",
        "image": image_of(given),
        "imagePullPolicy": given["image"]["pullPolicy"],
        "args": ["dagster", "code-server", "start", *listen, *given["codeServerArgs"]],
        "env": [
            {"name": "DAGSTER_HOME", "value": values["global"]["dagsterHome"]},
            _password(values),
            *given["env"],
        ],
        **probes,
    }
    labels = {"app.kubernetes.io/instance": RELEASE, "deployment": given["name"], **given["labels"]}
    return _deployment(f"{RELEASE}-{given['name']}", chart["serviceAccount"]["name"], given, container, labels)


def webserver(values: Object) -> Object:
    """The Deployment of the webserver."""
    given = values["dagsterWebserver"]
    command = f"dagster-webserver -h 0.0.0.0 -p {given['service']['port']} -w /dagster-workspace/workspace.yaml"
    return _core(
        values, "webserver", given, command, ports=[{"name": "http", "containerPort": given["service"]["port"]}]
    )


def daemon(values: Object) -> Object:
    """The Deployment of the daemon."""
    return _core(values, "daemon", values["dagsterDaemon"], "dagster-daemon run -w /dagster-workspace/workspace.yaml")


def instance(values: Object) -> Object:
    """The dagster.yaml of the webserver, the daemon and the runs, but for where PostgreSQL is."""
    launcher = values["runLauncher"]
    assert launcher["type"] == "CustomRunLauncher"
    # What a code location tells Dagster for the pods of its runs; the chart leaves it out where this is off.
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["includeConfigInLaunchedRuns"] == {"enabled": False}
    daemon = values["dagsterDaemon"]
    assert values["computeLogManager"] == {"type": "NoOpComputeLogManager"}
    assert not daemon["runCoordinator"]["enabled"]
    return {
        # helm/dagster/templates/helpers/instance/_run-launcher.tpl: module, class and config as values have them.
        "run_launcher": deepcopy(launcher["config"]["customRunLauncher"]),
        "compute_logs": {
            "module": "dagster.core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        },
        "run_monitoring": {
            "enabled": daemon["runMonitoring"]["enabled"],
            "poll_interval_seconds": daemon["runMonitoring"]["pollIntervalSeconds"],
            "start_timeout_seconds": daemon["runMonitoring"]["startTimeoutSeconds"],
            "cancel_timeout_seconds": daemon["runMonitoring"]["cancelTimeoutSeconds"],
        },
        # A limit of 0 is left out by the chart, and is what Dagster takes then.
        "run_retries": {"enabled": daemon["runRetries"]["enabled"]},
        **{
            name: {"use_threads": daemon[name]["useThreads"], "num_workers": daemon[name]["numWorkers"]}
            for name in ("sensors", "schedules")
        },
        "telemetry": values["telemetry"],
        **values["additionalInstanceConfig"],
    }


def image_of(given: Object) -> str:
    """The image of one of the parts."""
    return f"{given['image']['repository']}:{given['image']['tag']}"


def _core(values: Object, name: str, given: Object, command: str, ports: list[Object] | None = None) -> Object:
    home = values["global"]["dagsterHome"]
    mounts = [
        {"name": "dagster-instance", "mountPath": f"{home}/dagster.yaml", "subPath": "dagster.yaml", "readOnly": True},
        {"name": "dagster-workspace-yaml", "mountPath": "/dagster-workspace/", "readOnly": True},
    ]
    volumes = [
        {"name": "dagster-instance", "configMap": {"name": f"{RELEASE}-instance"}},
        {"name": "dagster-workspace-yaml", "configMap": {"name": f"{RELEASE}-workspace-yaml"}},
    ]
    container = {
        "name": "dagster",
        "image": image_of(given),
        "imagePullPolicy": given["image"]["pullPolicy"],
        "command": ["/bin/bash", "-c", command],
        "env": [_password(values), *given["env"]],
        "ports": ports or [],
        **{
            probe: {key: one for key, one in given[probe].items() if key != "enabled"}
            for probe in _PROBES & given.keys()
        },
    }
    given = given | {"volumes": volumes + given["volumes"], "volumeMounts": mounts + given["volumeMounts"]}
    labels = {"app.kubernetes.io/instance": RELEASE, "component": f"dagster-{name}"}
    return _deployment(f"{RELEASE}-{name}", values["serviceAccount"]["name"], given, container, labels)


def _deployment(name: str, account: str, given: Object, container: Object, labels: dict[str, str]) -> Object:
    spec = {
        "serviceAccountName": account,
        "securityContext": given["podSecurityContext"],
        "containers": [container | {key: given[key] for key in ("securityContext", "resources", "volumeMounts")}],
        "volumes": given["volumes"],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": given.get("replicaCount", 1),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _password(values: Object) -> Object:
    secret = values["global"]["postgresqlSecretName"]
    return {
        "name": "DAGSTER_PG_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": secret, "key": "postgresql-password"}},
    }
