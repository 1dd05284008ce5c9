"""Fetches a credential from where a document points. What is fetched never enters a message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.errors import PolicyDenied, StoreError
from secretsync_core.known import looks_like_a_token
from secretsync_core.plain_files import UnfitFileError, content_of
from secretsync_core.protected import protect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.schema.base import Credential

_LONGEST_NAME = 100
_LIKE_A_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
MAX_BYTES = 64 * 1024
"""The largest credential file that is read. A token or a password is far smaller; a larger file is a wrong path."""


def describe(credential: Credential) -> str:
    """Where a credential is found, for people: ``environment variable VAULT_TOKEN``, ``file /run/token``."""
    if credential.env is not None:
        return f"environment variable {_variable(credential.env)}"
    if credential.file is not None:
        return f"file {_path(credential.file)}"
    return "the value in the document"


def _variable(name: str) -> str:
    """A variable's name where it looks like one: people paste the credential itself there."""
    if _LIKE_A_VARIABLE.fullmatch(name) and not looks_like_a_token(name):
        return name
    return f"of a name that is not shown ({len(name):,} long)"


def _path(path: str) -> str:
    """A path, less a last part that looks like a credential."""
    given = Path(path)
    hidden = looks_like_a_token(given.name) or len(given.name) > _LONGEST_NAME
    return f"{given.parent}/(a name that is not shown)" if hidden else path


def resolve(credential: Credential, environ: Mapping[str, str], *, store: str = "") -> str:
    """The credential itself, without the newline that editors and ``echo`` leave at its end.

    Raises StoreError where it is missing, empty, unreadable, or too large to be a credential, and PolicyDenied where
    the file holds what is ours.
    """
    if credential.env is not None:
        text = environ.get(credential.env)
        if text is None:
            raise StoreError(f"the {describe(credential)} is not set", store=store, hint="set it where the sync runs")
    elif credential.file is not None:
        text = _read(credential.file, store, environ)
    else:
        text = credential.value or ""
    text = text.rstrip("\r\n")
    if not text:
        raise StoreError(f"the {describe(credential)} is empty", store=store, hint="it must contain a credential")
    return text


def _read(path: str, store: str, environ: Mapping[str, str]) -> str:
    shown = _path(path)

    def forbids(descriptor: int) -> None:
        # Looked at anew for every read: the file may be a link by now, and a server asks for it by refusing us.
        if fault := protect(environ, ()).forbids_file(path, descriptor):
            raise PolicyDenied(f"the credential file {shown} {fault}", store=store, hint="name another file")

    try:
        content = content_of(path, MAX_BYTES, forbids)
    except UnfitFileError as error:
        larger = error.what.startswith("is larger")
        raise StoreError(
            f"the credential file {shown} {error.what}",
            store=store,
            hint="it is probably not a credential"
            if larger
            else "name a regular file; what a shell hands over as <(command) is taken too",
        ) from None
    except FileNotFoundError:
        raise StoreError(f"the credential file {shown} does not exist", store=store) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreError(f"the credential file {shown} cannot be read: {reason}", store=store) from None
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise StoreError(f"the credential file {shown} is not UTF-8 text", store=store) from None
