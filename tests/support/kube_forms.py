"""The forms in which the fake API server shows things: whole, as metadata alone, or as a table for kubectl."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from support.kube_status import not_acceptable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JSON, TABLE, METADATA, METADATA_LIST = "", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"


def chosen(accept: str, *, listing: bool, partial: bool) -> str:
    """The form to answer in, by the first clause of an Accept header that can be had. Raises Refused (406).

    ``partial``: whether this server knows metadata without the rest.
    """
    offered = {JSON, TABLE, *({METADATA_LIST if listing else METADATA} if partial else ())}
    for clause in accept.split(",") if accept else ["application/json"]:
        media, *parameters = (part.strip() for part in clause.split(";"))
        given = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        form = given.get("as", JSON)
        if media not in ("application/json", "application/*", "*/*") or form not in offered:
            continue
        if form == JSON or (given.get("g"), given.get("v")) == ("meta.k8s.io", "v1"):
            return form
    raise not_acceptable()


def shown(thing: Mapping[str, Any], form: str) -> dict[str, Any]:
    """One object in a form."""
    if form == TABLE:
        return _table([thing], thing["metadata"])
    return _metadata_only(thing) if form == METADATA else dict(thing)


def shown_list(kind: str, things: Sequence[Mapping[str, Any]], about: Mapping[str, Any], form: str) -> dict[str, Any]:
    """A listing in a form."""
    if form == TABLE:
        return _table(things, about)
    if form == METADATA_LIST:
        items = [_metadata_only(thing) for thing in things] or None  # as a real server tells that there are none
        return {"kind": METADATA_LIST, "apiVersion": "meta.k8s.io/v1", "metadata": dict(about), "items": items}
    # A real answer leaves kind and apiVersion out of the items.
    bare = [{name: part for name, part in thing.items() if name not in ("kind", "apiVersion")} for thing in things]
    return {"kind": f"{kind}List", "apiVersion": "v1", "metadata": dict(about), "items": bare}


def _metadata_only(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": METADATA, "apiVersion": "meta.k8s.io/v1", "metadata": thing["metadata"]}


def _table(things: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> dict[str, Any]:
    names = ("Name", "Type", "Data", "Age")
    kinds = {"Name": "name", "Age": ""}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {name: part for name, part in about.items() if name in _LIST_METADATA},
        "columnDefinitions": [
            {"name": name, "type": "string", "format": kinds.get(name, ""), "description": "", "priority": 0}
            for name in names
        ],
        "rows": [
            {
                "cells": [
                    thing["metadata"]["name"],
                    thing.get("type", "Active"),
                    str(len(thing.get("data", {}))),
                    _age(thing["metadata"]["creationTimestamp"]),
                ],
                "object": _metadata_only(thing),
            }
            for thing in things
        ],
    }


_LIST_METADATA = ("resourceVersion", "continue", "remainingItemCount")


def _age(since: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    return f"{int(seconds)}s"
