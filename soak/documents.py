"""The documents of a soak: two jobs, which together use most of what a plan item can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from soak.model import FILES, VAULT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JOBS = ("main", "marked")
"""``main`` makes what is below ``copy/``, ``marked`` what is below ``copym/``."""

USER = "sync"

_PLAN: list[dict[str, Any]] = [
    {
        "name": "app",
        "query": {"path": "app/", "recursive": True, "key": {"exclude": ["skip-"]}},
        "keyTransform": [{"regexp": {"source": "^app/(.*)$", "target": "copy/app/$1"}}],
        "valueTransform": [{"fields": {"exclude": ["internal"], "rename": {"pw": "password"}}}],
    },
    {
        "name": "tpl",
        "query": {"path": "tpl/", "recursive": True},
        "keyTransform": [{"prefix": "copy/"}, {"case": "Lower"}],
        "valueTransform": [{"template": {"data": {"dsn": "{{ user }}:{{ pw }}@{{ host }}", "who": "{{ user }}"}}}],
    },
    {"name": "comb", "key": "copy/combined", "combine": [{"name": "c", "query": {"path": "cmb/"}}]},
    {
        "name": "split",
        "query": {"path": "split/", "recursive": True},
        "split": "fields",
        "keyTransform": [{"prefix": "copy/"}],
    },
]
_MARKED = [{"name": "mk", "query": {"path": "mk/", "recursive": True}, "keyTransform": [{"prefix": "copym/"}]}]
# Some keys are there before the first sync. They are overwritten, and never deleted: they are not the jobs' own.
_COMMON = {"deletionPolicy": "Delete", "maxDelete": "100%", "writePolicy": "Replace"}


def documents(source: str, dest: str, *, password: Path, files: Path, more: Mapping[str, Any]) -> str:
    """The documents, in YAML.

    Args:
        source, dest: the addresses of the two Vaults.
        password: the file with the password of ``USER`` at the destination.
        files: the directory of the destination that is files.
        more: further fields of both jobs.
    """
    login = {"userPass": {"username": USER, "password": {"file": str(password)}}}
    vault = {"vault": {"address": source, "auth": {"token": {"env": "SRC_TOKEN"}}}}
    made = [
        _document("SecretStore", "src", {"permissions": "Read", "provider": vault}),
        _document("SecretStore", VAULT, {"provider": {"vault": {"address": dest, "auth": login}}}),
        _document("SecretStore", FILES, {"provider": {"file": {"path": str(files)}}}),
        _document("SyncJob", "main", {"source": "src", "dest": [VAULT, FILES], **_COMMON, **more, "plan": _PLAN}),
        _document(
            "SyncJob",
            "marked",
            {"source": "src", "dest": VAULT, **_COMMON, "ownership": {"mark": True}, **more, "plan": _MARKED},
        ),
    ]
    return yaml.safe_dump_all(made, sort_keys=False)


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "secretsync.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
