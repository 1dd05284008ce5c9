"""Which names of fields a message may quote: those that the documents' schema has, and no other.

A document may hold anything in place of a field's name, such as a token where ``token: {env: NAME}`` was meant.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel

_names: set[str] = set()
_seen: set[type[BaseModel]] = set()


def learn(model: type[BaseModel], *names: str) -> None:
    """Take the names of a model's fields for known, with those of all models within it; and ``names``."""
    _names.update(names)
    pending: list[Any] = [model]
    while pending:
        part = pending.pop()
        if not (isinstance(part, type) and issubclass(part, BaseModel)):
            pending.extend(get_args(part))
        elif part not in _seen:
            _seen.add(part)
            for own, field in part.model_fields.items():
                _names.add(field.alias or own)
                pending.append(field.annotation)


def is_known(name: str) -> bool:
    """Whether a field of the documents' schema has this name, as far as its models were learned."""
    return name in _names
