"""What a document can name that is not its author's to grant: variables, files, hosts. A policy bounds these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What kind of thing is named; the value is how people call it."""

    VARIABLE = "environment variable"
    FILE = "file"
    DIRECTORY = "directory"
    """One that a store keeps its secrets in, and so reads and writes."""
    HOST = "host"
    AWS_PROFILE = "AWS profile"
    AWS_ROLE = "AWS role"
    GCP_SERVICE_ACCOUNT = "Google service account"


@dataclass(frozen=True, slots=True)
class Names:
    """Stands in ``Annotated`` beside the type of a field, and says what the field's text names.

    Attributes:
        kind: of what kind it is.
        port: of a host, the attribute of the model that has its port, where that is given apart.
    """

    kind: Kind
    port: str = ""


class Use(NamedTuple):
    """One thing that a store's configuration names.

    Attributes:
        kind: of what kind it is.
        text: what is named: a variable's name, a path, a URL or ``host:port``. It may be a secret in the wrong place,
            so it is never shown unless it looks like a name.
        path: the way to the field, from the top of the configuration, by the names of the document.
    """

    kind: Kind
    text: str
    path: tuple[str | int, ...] = ()
