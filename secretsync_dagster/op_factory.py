"""Ops that are made by the thousand, since every SyncJob has some of its own.

``@dg.op`` and ``@dg.asset_check`` find out what they are not told: they look at signatures, annotations and config
classes, each time anew, and a thousand jobs would wait seconds for that. Here everything is said outright.
"""

# No deferred annotations here: Dagster reads those of its ops, and takes none that are text.

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

NOTHING = dg.In(dg.Nothing)
"""An input that only says what comes before."""


def make_op(
    body: Callable[[dg.OpExecutionContext], Iterator[Any]],
    *,
    name: str,
    resource: str,
    ins: Mapping[str, dg.In],
    outs: Mapping[str, dg.Out],
    description: str | None = None,
    config_schema: Any = None,
    retry_policy: dg.RetryPolicy | None = None,
    pool: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.OpDefinition:
    """An op that runs ``body``, which yields its outputs and is given nothing but the context and one ``resource``.

    Everything else is as of ``@dg.op``; a ``config_schema`` may be shared by any number of ops.
    """

    def compute(context: dg.OpExecutionContext, _: Mapping[str, Any]) -> Iterator[Any]:
        yield from body(context)

    return dg.OpDefinition(
        compute,
        name=name,
        description=description,
        ins=ins,
        outs=outs,
        config_schema=config_schema,
        required_resource_keys={resource},
        retry_policy=retry_policy,
        pool=pool,
        tags=tags,
    )
