"""The options that several commands have, and the values that some of them take."""

# No ``from __future__ import annotations`` here: Typer reads these annotations when it builds a command.

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from secretsync_core.cli.complete import item_names, job_names


class Form(StrEnum):
    """In which form results are given."""

    text = "text"
    json = "json"


class PlanForm(StrEnum):
    """In which form a plan is given."""

    text = "text"
    json = "json"
    markdown = "markdown"


class DocumentKind(StrEnum):
    """The kinds of document that have a schema."""

    store = "SecretStore"
    job = "SyncJob"
    policy = "SyncPolicy"


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="DIR",
        envvar="SECRETSYNC_CONFIG",
        help="Directory with the documents. [default: ./secretsync]",
        show_default=False,
    ),
]
Jobs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="JOB", autocompletion=job_names, help="Names of SyncJobs. [default: all but suspended ones]"
    ),
]
AllJobs = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB", autocompletion=job_names, help="Names of SyncJobs. [default: all]"),
]
Items = Annotated[
    list[str] | None,
    typer.Option("--item", metavar="NAME", autocompletion=item_names, help="Only this plan item; repeatable."),
]
Source = Annotated[
    Path | None,
    typer.Option("--source", metavar="FILE", help="Source SecretStore; needs --dest and --job.", show_default=False),
]
Dest = Annotated[
    Path | None,
    typer.Option(
        "--dest", metavar="FILE", help="Destination SecretStore; with --source and --job.", show_default=False
    ),
]
JobFile = Annotated[
    Path | None,
    typer.Option(
        "--job", metavar="FILE", help="SyncJob; with --source and --dest, instead of --config.", show_default=False
    ),
]
Ledger = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="URL",
        envvar="SECRETSYNC_LEDGER",
        help="Ledger: a file or a postgresql:// URL. [default: DIR/.secretsync/ledger.db]",
        show_default=False,
    ),
]
Output = Annotated[Form, typer.Option("--output", "-o", help="Output format. JSON goes to stdout, messages to stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only problems and the result.")]
MaxDelete = Annotated[
    int | None,
    typer.Option(
        "--max-delete", metavar="N", min=0, help="Allow N deletes per destination this time, instead of maxDelete.",
        show_default=False,
    ),
]  # fmt: skip
Adopt = Annotated[
    list[str] | None,
    typer.Option(
        "--adopt", metavar="KEY", help="Take over the secret at this destination key (DEST:KEY: only in DEST).",
        show_default=False,
    ),
]  # fmt: skip
Restored = Annotated[
    list[str] | None,
    typer.Option(
        "--restored", metavar="STORE",
        help="STORE was restored or replaced: accept older versions than the ledger knows.", show_default=False,
    ),
]  # fmt: skip
Verify = Annotated[bool, typer.Option("--verify", help="Compare values even if versions match.")]
