"""What documents say of the in-house service."""

from __future__ import annotations

from typing import Any

from support.rest.inhouse import TOKEN

ONE = "/teams/{{ team }}/secrets/{{ key }}"
ALL = "/teams/{{ team }}/secrets"
SHOWN = {"key": "$.name", "version": "$.etag"}

FULL: dict[str, Any] = {
    "auth": {"token": {"value": TOKEN}},
    "vars": {"team": "web"},
    "list": {"path": ALL, "query": {"cursor": "{{ cursor }}"}, "items": "$.secrets[*]", "total": "$.total",
             "next": {"cursor": "$.next"}, **SHOWN},
    "look": {"path": ONE, "absent": [404], **SHOWN},
    "read": {"path": f"{ONE}/value", "value": "$.value", "absent": [404], **SHOWN},
    "create": {"path": ALL, "body": {"name": "{{ key }}", "value": "{{ value }}"}, "exists": [409],
               "version": "$.secret.etag"},
    "update": {"path": ONE, "body": {"value": "{{ value }}"}, "headers": {"If-Match": "{{ version }}"},
               "absent": [404], "versionHeader": "ETag"},
    "delete": {"path": ONE, "headers": {"If-Match": "{{ version }}"}, "absent": [404]},
}  # fmt: skip
"""Everything that the service can do: with a value that is read, and with compare-and-set."""

MARKED: dict[str, Any] = {
    **FULL,
    "list": {**FULL["list"], "mark": "$.comment"},
    "look": {**FULL["look"], "mark": "$.comment"},
    "create": {**FULL["create"], "body": {**FULL["create"]["body"], "comment": "Ask the shop. {{ mark }}"}},
    "mark": {"path": ONE, "body": {"comment": "{{ mark }}"}, "absent": [404]},
}
"""The same with marks, in a comment that people see."""

BY_ID: dict[str, Any] = {
    "auth": {"token": {"value": TOKEN}},
    "vars": {"team": "web"},
    "list": {"path": ALL, "query": {"page": "{{ page }}"}, "items": "$.secrets[*]", "id": "$.id", "next": {"page": 1},
             **SHOWN},
    "create": {"path": ALL, "body": {"name": "{{ key }}", "value": "{{ value }}"}, "exists": [409]},
    "update": {"method": "PATCH", "path": "/teams/{{ team }}/by-id/{{ id }}", "body": {"value": "{{ value }}"},
               "absent": [404]},
    "delete": {"path": "/teams/{{ team }}/by-id/{{ id }}", "absent": [404]},
}  # fmt: skip
"""Names and versions alone, changed by an id that only a listing shows; a version takes a look after each write."""

MARKED_BY_ID: dict[str, Any] = {
    **BY_ID,
    "list": {**BY_ID["list"], "mark": "$.comment"},
    "create": {**BY_ID["create"], "body": {**BY_ID["create"]["body"], "comment": "{{ mark }}"}},
    "update": {**BY_ID["update"], "body": {**BY_ID["update"]["body"], "comment": "{{ mark }}"}},
    "mark": {"path": "/teams/{{ team }}/by-id/{{ id }}", "body": {"comment": "{{ mark }}"}, "absent": [404]},
}
"""The same with marks, of a service in which an update says again what stands in the comment."""
