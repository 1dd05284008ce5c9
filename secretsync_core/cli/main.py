"""The commands and their options. Imports nothing but the CLI library: each body is imported when it is run."""

# No ``from __future__ import annotations`` here: Typer reads these annotations when it builds a command.

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from secretsync_core.cli import guard, streams
from secretsync_core.cli.call import Call
from secretsync_core.cli.complete import job_names
from secretsync_core.cli.launch import asked_for_json, finish, launch, usage_error
from secretsync_core.cli.options import (
    Adopt,
    AllJobs,
    Config,
    Dest,
    DocumentKind,
    Form,
    Items,
    JobFile,
    Jobs,
    Ledger,
    MaxDelete,
    Output,
    PlanForm,
    Quiet,
    Restored,
    Source,
    Verify,
)

# Plain help: with markup Typer would import Rich for it, which takes longer than everything else together.
# Pretty exceptions stay off, because they show local variables.
app = typer.Typer(
    name="secretsync",
    help="Copy secrets from one store to another, and prove what was done.",
    epilog="Exit codes: 0 success; 1 some secrets failed; 2 wrong documents or command line; "
    "3 a store or the ledger is unreachable or refuses access; 10 changes (plan --detailed-exitcode) or drift (check); "
    "74 stdout cannot be written.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(
        name=name, help=text, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.add_typer(group)
    return group


audit = _group("audit", "Read, verify and export the ledger: what was done, when and why.")
lease = _group("lease", "Leases, which let only one run of a SyncJob work at a time.")
dagster = _group("dagster", "Set up Dagster, to run SyncJobs with a web UI.")


def _version(asked: bool) -> None:
    if asked:
        from secretsync_core import __version__

        typer.echo(f"secretsync {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(short_help="Write a starter directory with a working example.")
def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Directory to create.")] = Path("secretsync"),
    quiet: Quiet = False,
) -> int:
    """Write a starter directory with a working example: two stores and a job."""
    from secretsync_core.cli.commands import init as command

    return launch(lambda output: command.run(output, directory), quiet=quiet)


@app.command(short_help="Check the documents and list every problem.")
def validate(
    jobs: AllJobs = None,
    config: Config = None,
    source: Source = None,
    dest: Dest = None,
    job: JobFile = None,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Check the documents and list every problem with file and line. Contacts no store."""
    from secretsync_core.cli.commands import validate as command

    call = _call(config, jobs, None, source, dest, job, None)
    return launch(lambda out: command.run(out, call), json=output is Form.json, quiet=quiet)


@app.command()
def plan(
    jobs: Jobs = None,
    config: Config = None,
    items: Items = None,
    source: Source = None,
    dest: Dest = None,
    job: JobFile = None,
    ledger: Ledger = None,
    verify: Verify = False,
    max_delete: MaxDelete = None,
    adopt: Adopt = None,
    restored: Restored = None,
    show_all: Annotated[
        bool, typer.Option("--all", "-a", "-v", help="Show every key, including unchanged ones.")
    ] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 10 if there are changes.")
    ] = False,
    no_render: Annotated[
        bool, typer.Option("--no-render", help="Do not read values. The plan then lacks what only values show.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Save the plan, signed, for `sync --plan FILE`.", show_default=False
        ),
    ] = None,
    output: Annotated[
        PlanForm,
        typer.Option(
            "--output",
            "-o",
            help="Output format. JSON and Markdown (for a pull request's comment) go to stdout, messages to stderr.",
        ),
    ] = PlanForm.text,
    quiet: Quiet = False,
) -> int:
    """Show what a sync would do with each key, and why, and refuse what would fail. Writes nothing to any store."""
    from secretsync_core.cli.commands import plan as command

    call = _call(config, jobs, items, source, dest, job, ledger)
    return launch(
        lambda to: command.run(
            to,
            call,
            _options(call, verify, max_delete, adopt, restored, render=not no_render),
            show_all=show_all,
            detailed_exitcode=detailed_exitcode,
            out=out,
            markdown=output is PlanForm.markdown,
        ),
        json=output is PlanForm.json,
        quiet=quiet,
    )


@app.command()
def sync(
    jobs: Jobs = None,
    config: Config = None,
    items: Items = None,
    source: Source = None,
    dest: Dest = None,
    job: JobFile = None,
    ledger: Ledger = None,
    verify: Verify = False,
    max_delete: MaxDelete = None,
    adopt: Adopt = None,
    restored: Restored = None,
    saved: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Apply this saved plan, and nothing else.", show_default=False),
    ] = None,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Copy what differs, and record it. Ctrl-C finishes requests in flight; a second Ctrl-C stops at once."""
    from secretsync_core.cli.commands import sync as command

    call = _call(config, jobs, items, source, dest, job, ledger)
    return launch(
        lambda out: command.run(out, call, _options(call, verify, max_delete, adopt, restored), saved),
        json=output is Form.json,
        quiet=quiet,
    )


@app.command(short_help="Undo what a run wrote; shows the plan first.")
def undo(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `secretsync audit log` shows it.")],
    keys: Annotated[
        list[str] | None, typer.Option("--key", metavar="KEY", help="Only this destination key; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    config: Config = None,
    source: Source = None,
    dest: Dest = None,
    job: JobFile = None,
    ledger: Ledger = None,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Undo what a run wrote: restore updated and deleted secrets, delete created ones.

    Touches only secrets that have not changed since the run. Shows the plan, then asks; needs --yes without a terminal.
    """
    from secretsync_core.cli.commands import undo as command

    call = _call(config, None, None, source, dest, job, ledger)
    return launch(
        lambda out: command.run(out, call, run_id, keys=tuple(keys or ()), yes=yes),
        json=output is Form.json,
        quiet=quiet,
    )


@app.command(short_help="List copies that a job no longer wants; delete or forget them.")
def orphans(
    jobs: AllJobs = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Only this destination key, or DESTINATION:KEY; repeatable."),
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Remove them from the ledger. The copies stay.")] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete those that have not changed since the job wrote them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    config: Config = None,
    ledger: Ledger = None,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """List orphans: copies that a job made and no longer wants. --delete or --forget removes them from the list.

    Their destination or plan item was removed from the document, or their source is gone and deletionPolicy is Retain.
    """
    from secretsync_core.cli.commands import orphans as command

    call = _call(config, jobs, None, None, None, None, ledger)
    return launch(
        lambda out: command.run(out, call, keys=tuple(keys or ()), forget=forget, delete=delete, yes=yes),
        json=output is Form.json,
        quiet=quiet,
    )


@app.command(short_help="Confirm that a destination was moved or replaced.")
def rebind(
    job_name: Annotated[str, typer.Argument(metavar="JOB", help="The SyncJob.", autocompletion=job_names)],
    store: Annotated[str, typer.Argument(metavar="STORE", help="The SecretStore, a destination of the job.")],
    moved: Annotated[bool, typer.Option("--moved", help="The same secrets are at the new place.")] = False,
    new: Annotated[
        bool, typer.Option("--new", help="It is another place: copies at the old one become orphans.")
    ] = False,
    config: Config = None,
    ledger: Ledger = None,
    output: Output = Form.text,
) -> int:
    """Say what happened to a destination that is not where the ledger knows it. The job refuses it until then."""
    from secretsync_core.cli.commands import rebind as command

    call = _call(config, [job_name], None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call, store, moved=moved, new=new), json=output is Form.json)


@app.command(short_help="Let a renamed job keep its keys.")
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The job's former name, no longer in the documents.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its present name.", autocompletion=job_names)],
    config: Config = None,
    ledger: Ledger = None,
    output: Output = Form.text,
) -> int:
    """Move all keys in the ledger from the job's former name OLD to NEW."""
    from secretsync_core.cli.commands import rename as command

    call = _call(config, None, None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call, old, new), json=output is Form.json)


@app.command(short_help="Find drift: copies changed or removed outside SecretSync.")
def check(
    jobs: Jobs = None,
    config: Config = None,
    items: Items = None,
    source: Source = None,
    dest: Dest = None,
    job: JobFile = None,
    ledger: Ledger = None,
    verify: Verify = False,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Find drift: destination secrets changed or removed outside SecretSync. Exits with 10 if there is any."""
    from secretsync_core.cli.commands import check as command

    call = _call(config, jobs, items, source, dest, job, ledger)
    return launch(lambda out: command.run(out, call, verify=verify), json=output is Form.json, quiet=quiet)


@app.command(short_help="Show each job's schedule, last run and failures.")
def status(
    jobs: AllJobs = None, config: Config = None, ledger: Ledger = None, output: Output = Form.text, quiet: Quiet = False
) -> int:
    """Show each job's schedule, last run, number of keys and failures."""
    from secretsync_core.cli.commands import status as command

    call = _call(config, jobs, None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call), json=output is Form.json, quiet=quiet)


@app.command(short_help="Check that every store and the ledger can be used.")
def health(
    jobs: AllJobs = None,
    config: Config = None,
    source: Source = None,
    dest: Dest = None,
    job: JobFile = None,
    ledger: Ledger = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=0.1, max=600, help="Time limit for each check."),
    ] = 10,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Check that every store accepts our login and the ledger is writable. Reads no value, writes nothing."""
    from secretsync_core.cli.commands import health as command

    call = _call(config, jobs, None, source, dest, job, ledger)
    return launch(lambda out: command.run(out, call, seconds=timeout), json=output is Form.json, quiet=quiet)


@app.command(short_help="Print ledger metrics in Prometheus format.")
def metrics(
    textfile: Annotated[
        Path | None,
        typer.Option("--textfile", metavar="FILE", help="Write to this file, atomically. [default: stdout]"),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Also verify every record of the ledger.")] = False,
    config: Config = None,
    ledger: Ledger = None,
    quiet: Quiet = False,
) -> int:
    """Print metrics of every job in Prometheus format; --textfile is for the node exporter's textfile collector."""
    from secretsync_core.cli.commands import metrics as command

    call = _call(config, None, None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call, textfile=textfile, verify=verify), quiet=quiet)


@app.command(short_help="List store providers and their abilities.")
def stores(output: Output = Form.text) -> int:
    """List the installed store providers and their abilities."""
    from secretsync_core.cli.commands import stores as command

    return launch(command.run, json=output is Form.json)


@app.command(short_help="Print the JSON Schema of the documents.")
def schema(
    kind: Annotated[DocumentKind | None, typer.Option("--kind", help="Only this kind of document.")] = None,
) -> int:
    """Print the JSON Schema of the documents, for completion and checks in editors."""
    from secretsync_core.cli.commands import schema as command

    return launch(lambda out: command.run(out, kind.value if kind else None))


@app.command(short_help="Run a demo with two real OpenBao servers.")
def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the last step.")] = False,
    secrets: Annotated[int, typer.Option("--secrets", min=20, max=20_000, help="Number of secrets.")] = 300,
) -> int:
    """Sync one real OpenBao server to another on this machine, step by step."""
    from secretsync_core.cli.commands import demo as command

    return launch(lambda out: command.run(out, once=once, secrets=secrets))


@audit.command("log")
def audit_log(
    job: Annotated[
        str | None, typer.Option("--job", metavar="NAME", autocompletion=job_names, help="Only this job.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Only this run.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="Only this destination key.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Only records since then: 2h, 3d or 2026-01-31T08:00.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", metavar="EVENT", help="Only these events, such as done or failed; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Show the newest N records; 0 for all.")] = 50,
    config: Config = None,
    ledger: Ledger = None,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Show ledger records, newest last."""
    from secretsync_core.cli.commands import audit_log as command

    wanted = command.Wanted(job=job, run=run, key=key, since=since, events=tuple(event or ()), limit=limit)
    call = _call(config, None, None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call, wanted), json=output is Form.json, quiet=quiet)


@audit.command("verify")
def audit_verify(
    expect: Annotated[
        list[str] | None,
        typer.Option("--expect", metavar="JOB=SEQ:HASH", help="Record that the ledger must contain; repeatable."),
    ] = None,
    config: Config = None,
    ledger: Ledger = None,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Verify that no record was edited, removed or reordered."""
    from secretsync_core.cli.commands import audit_verify as command

    call = _call(config, None, None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call, tuple(expect or ())), json=output is Form.json, quiet=quiet)


@audit.command("export", short_help="Export every record as JSON lines.")
def audit_export(
    job: Annotated[
        str | None, typer.Option("--job", metavar="NAME", autocompletion=job_names, help="Only this job.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Write to this file, atomically. [default: stdout]")
    ] = None,
    config: Config = None,
    ledger: Ledger = None,
    quiet: Quiet = False,
) -> int:
    """Export every record as JSON lines, with everything needed to verify the chain elsewhere."""
    from secretsync_core.cli.commands import audit_export as command

    call = _call(config, None, None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call, job=job, file=file), quiet=quiet)


@audit.command("migrate", short_help="Upgrade the ledger's tables.")
def audit_migrate(
    config: Config = None, ledger: Ledger = None, output: Output = Form.text, quiet: Quiet = False
) -> int:
    """Upgrade the ledger's tables to this program's version. Back up first; no record is changed."""
    from secretsync_core.cli.commands import audit_migrate as command

    call = _call(config, None, None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call), json=output is Form.json, quiet=quiet)


@audit.command("rotate-key", short_help="Replace the ledger's key and reseal the ledger.")
def audit_rotate_key(
    expect: Annotated[
        list[str] | None,
        typer.Option("--expect", metavar="JOB=SEQ:HASH", help="Record that the ledger must contain; repeatable."),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Show progress; change nothing.")] = False,
    config: Config = None,
    ledger: Ledger = None,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Verify the ledger with its old key and reseal it with a new one. Stop all runs first."""
    from secretsync_core.cli.commands import audit_rotate_key as command

    call = _call(config, None, None, None, None, None, ledger)
    return launch(
        lambda out: command.run(out, call, expect=tuple(expect or ()), status=status),
        json=output is Form.json,
        quiet=quiet,
    )


@lease.command("break", short_help="Break a job's lease, and show who held it.")
def lease_break(
    job: Annotated[str, typer.Argument(metavar="JOB", autocompletion=job_names, help="Name of the SyncJob.")],
    config: Config = None,
    ledger: Ledger = None,
    output: Output = Form.text,
    quiet: Quiet = False,
) -> int:
    """Break the lease of a job, whoever holds it, and show who held it.

    Seldom needed: the lease of a dead run expires, at once on this machine, after a minute on another. A run that is
    still alive records nothing more, and stops.
    """
    from secretsync_core.cli.commands import lease_break as command

    call = _call(config, None, None, None, None, None, ledger)
    return launch(lambda out: command.run(out, call, job), json=output is Form.json, quiet=quiet)


@dagster.command("init", short_help="Write what `dagster dev` needs: settings, workspace, environment.")
def dagster_init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Directory to write to.")] = Path(),
    quiet: Quiet = False,
) -> int:
    """Write dagster.yaml, workspace.yaml and .env; `dagster dev` in that directory then brings up the web UI.

    Overwrites nothing. The documents are in ./secretsync there, or where SECRETSYNC_CONFIG says.
    """
    from secretsync_core.cli.commands import dagster_init as command

    return launch(lambda output: command.run(output, directory), quiet=quiet)


def _call(
    config: Path | None,
    jobs: list[str] | None,
    items: list[str] | None,
    source: Path | None,
    dest: Path | None,
    job: Path | None,
    ledger: str | None,
) -> Call:
    return Call(config, tuple(jobs or ()), tuple(items or ()), source, dest, job, ledger)


def _options(
    call: Call,
    verify: bool,
    max_delete: int | None,
    adopt: list[str] | None,
    restored: list[str] | None,
    *,
    render: bool = True,
) -> Any:
    from secretsync_core.run.options import Options

    return Options(
        frozenset(call.items),
        verify,
        max_delete=max_delete,
        adopt=frozenset(adopt or ()),
        restored=frozenset(restored or ()),
        render=render,
    )


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    try:
        code: Any = typer.main.get_command(app).main(arguments, prog_name="secretsync", standalone_mode=False)
    except typer.Abort:
        return 130
    except Exception as error:
        # The CLI library's own errors: it keeps their class in a place that moves between its versions.
        if not hasattr(error, "format_message"):
            raise
        return _wrong_call(error, arguments)
    return code if isinstance(code, int) else 0


def _wrong_call(error: Any, arguments: list[str]) -> int:
    context = getattr(error, "ctx", None)
    if not arguments or type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(context.get_help() if context is not None else "", err=True)
        return 2
    from secretsync_core.cli.wrong_call import explain

    message, hint = explain(error, arguments)
    return usage_error(message, hint, json=asked_for_json(arguments))


def main(arguments: list[str] | None = None) -> None:
    """The entry point ``secretsync``."""
    from secretsync_core.undumpable import keep_out_of_dumps

    keep_out_of_dumps()
    guard.install()
    streams.install()
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # noqa: BLE001  nothing may show a traceback
        guard.report(error)
        code = 70
    finish(code)


if __name__ == "__main__":
    main()
