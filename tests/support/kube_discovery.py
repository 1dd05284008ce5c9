"""What the fake API server says of itself, so that kubectl finds its way."""

from __future__ import annotations

from typing import Any

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_GVK = [{"group": "", "kind": "Secret", "version": "v1"}]
_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string", "default": ""}}

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0-fake",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.26",
    "compiler": "gc",
    "platform": "linux/amd64",
}

_RESOURCES = {
    "kind": "APIResourceList",
    "groupVersion": "v1",
    "resources": [
        {
            "name": "secrets",
            "singularName": "secret",
            "namespaced": True,
            "kind": "Secret",
            "verbs": _VERBS,
        },
        {
            "name": "namespaces",
            "singularName": "namespace",
            "namespaced": False,
            "kind": "Namespace",
            "verbs": ["create", "delete", "get", "list"],
            "shortNames": ["ns"],
        },
    ],
}

_AUTHORIZATION = {
    "name": "authorization.k8s.io",
    "versions": [{"groupVersion": "authorization.k8s.io/v1", "version": "v1"}],
    "preferredVersion": {"groupVersion": "authorization.k8s.io/v1", "version": "v1"},
}
_REVIEWS = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": "authorization.k8s.io/v1",
    "resources": [
        {
            "name": "selfsubjectaccessreviews",
            "singularName": "selfsubjectaccessreview",
            "namespaced": False,
            "kind": "SelfSubjectAccessReview",
            "verbs": ["create"],
        },
        {
            "name": "selfsubjectrulesreviews",
            "singularName": "selfsubjectrulesreview",
            "namespaced": False,
            "kind": "SelfSubjectRulesReview",
            "verbs": ["create"],
        },
    ],
}

_METADATA = {
    "type": "object",
    "properties": {"name": _TEXT, "namespace": _TEXT, "labels": _TEXTS, "annotations": _TEXTS},
    "x-kubernetes-group-version-kind": [],
}
_SECRET = {
    "type": "object",
    "properties": {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "type": _TEXT,
        "immutable": {"type": "boolean"},
        "data": _TEXTS,
        "stringData": _TEXTS,
        "metadata": {"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]},
    },
    "x-kubernetes-group-version-kind": _GVK,
}
_PARAMETERS = [{"in": "query", "name": name, "schema": _TEXT} for name in ("fieldManager", "fieldValidation", "dryRun")]


def _operation(action: str) -> dict[str, Any]:
    return {
        "operationId": f"{action}CoreV1NamespacedSecret",
        "parameters": _PARAMETERS,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _GVK[0],
    }


_OPENAPI = {
    "openapi": "3.0.0",
    "info": {"title": "Kubernetes", "version": "v1.36.0-fake"},
    "paths": {
        "/api/v1/namespaces/{namespace}/secrets": {"post": _operation("post")},
        "/api/v1/namespaces/{namespace}/secrets/{name}": {"put": _operation("put"), "patch": _operation("patch")},
    },
    "components": {
        "schemas": {
            "io.k8s.api.core.v1.Secret": _SECRET,
            "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": _METADATA,
        }
    },
}

PATHS: dict[str, dict[str, Any]] = {
    "/version": VERSION,
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_AUTHORIZATION]},
    "/apis/authorization.k8s.io/v1": _REVIEWS,
    "/api/v1": _RESOURCES,
    "/openapi/v3": {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=0"}}},
    "/openapi/v3/api/v1": _OPENAPI,
}
"""What is answered to a GET, by path."""
