"""Where the keys of a service are: its host, and the path and the parameters that one template leads to.

Two documents for one service are two places where their paths, parameters or filters differ: a project, a team, an
environment. What stands in bodies alone does not count, for nobody can tell what of it says where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.place import Place
from secretsync_core.stores.places import address, sound
from secretsync_core.stores.rest.config import ListRequest
from secretsync_core.stores.rest.templates import CURSOR, PAGE, names_in, path_of, query_of, text_of

if TYPE_CHECKING:
    from secretsync_core.stores.rest.config import HttpConfig, Request

SERVICE = "http"
_OF_ONE = frozenset({"key", "id", "version", CURSOR, PAGE})


def declared_place(config: HttpConfig) -> Place | None:
    """The place as the document tells it. What stands before a key is the path of the first operation there is."""
    where = address(config.address)
    first = next((request for _, request in config.requests), None)
    return sound(Place(SERVICE, where, _root(config, first))) if where and first is not None else None


def _root(config: HttpConfig, request: Request) -> str:
    before = []
    for segment in request.path.split("/"):
        if _OF_ONE & set(names_in(segment)):
            break
        before.append(segment)
    query = {name: text for name, text in sorted(request.query.items()) if not _OF_ONE & set(names_in(text))}
    where = request.where if isinstance(request, ListRequest) else {}
    filters = {path: text_of(wanted) for path, wanted in sorted(where.items())}
    told = path_of("/".join(before), config.vars) + query_of(query, config.vars)
    told += f"[{','.join(f'{path}={text}' for path, text in filters.items())}]" if filters else ""
    return f"{told.strip('/')}/"
