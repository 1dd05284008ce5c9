"""What a run's config may say: plain text, numbers and switches, never the name of a variable to be looked up.

Whoever may launch runs writes their config. Dagster's config classes, and its usual IO manager, take ``{env: NAME}``
wherever they take a text, and look it up in the process that holds every store's credential; the text then goes where
people read it. So the fields are declared plain here, and what steps hand on is kept by an IO manager without config.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_origin

import dagster as dg
from pydantic_core import PydanticUndefined

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_PLAIN: dict[Any, Any] = {bool: dg.Bool, int: dg.Int, str: dg.String}

# Dagster's own default, of which it gives a variant to jobs of assets that takes `base_dir` as config.
IO_MANAGER: dg.ResourceDefinition = dg.GraphDefinition(name="no_steps").to_job().resource_defs["io_manager"]
"""Keeps what steps hand on: references, never values. Takes no config."""


def plain_schema(model: type[dg.Config]) -> dict[str, dg.Field]:
    """The config schema of a class whose fields are text, numbers, switches, lists of these, and such classes again.

    Raises TypeError where a field is of another type.
    """
    return {info.alias or name: _field(info) for name, info in model.model_fields.items()}


def _field(info: FieldInfo) -> dg.Field:
    kind = info.annotation
    if isinstance(kind, type) and issubclass(kind, dg.Config):
        return dg.Field(plain_schema(kind), is_required=False, description=info.description)
    default = {} if info.default is PydanticUndefined else {"default_value": info.default}
    return dg.Field(_type(kind), is_required=not default, description=info.description, **default)


def _type(kind: Any) -> Any:
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return dg.Array(_type(inner))
    if kind not in _PLAIN:
        raise TypeError(f"a run's config has no fields of the type {kind}")
    return _PLAIN[kind]
