"""``secretsync audit verify``: is the ledger still what was written?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsync_core.audit.verify import UNPROVEN
from secretsync_core.cli import exits, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.counting import number, plural
from secretsync_core.errors import UsageError
from secretsync_core.schema.base import NAME_PATTERN

if TYPE_CHECKING:
    from secretsync_core.audit.ledger import ChainReport
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output

_JOB = NAME_PATTERN.strip("^$")  # of a job that is gone the report shows the name: nothing but a name, then
_EXPECTED = re.compile(rf"({_JOB})=(?P<seq>[0-9]{{1,18}}):(?P<hash>[0-9a-f]{{64}})")


def run(output: Output, call: Call, expect: tuple[str, ...]) -> int:
    """Check every chain and tell what was found, and the heads to note elsewhere."""
    expected = expected_heads(expect)
    with workspace.ledger(call) as opened:
        workspace.note_outdated(opened, output)
        reports = opened.ledger.verify(expected=expected)
    sound = all(report.sound for report in reports)
    code = exits.OK if sound else exits.FAILED
    if output.json:
        chains = [_object(report) for report in reports]
        output.document({"chains": chains, "sound": sound, "exitCode": code})
        return code
    for report in reports:
        _show(report, output)
    if not reports:
        output.line("sound: the ledger is empty")
    elif not sound:
        output.line(output.paint("broken", "bold red") + ": the ledger was changed from outside")
    elif not output.quiet:
        output.line()
        output.line(output.paint(f"{plural(len(reports), 'chain')} sound.", "bold green"))
        if not expect:
            output.flush()
            output.note(UNPROVEN)
            output.note("keep the heads above elsewhere, and check them later with --expect JOB=SEQ:HASH")
    return code


def _show(report: ChainReport, output: Output) -> None:
    name = safe(report.job) or "(whole ledger)"
    if report.sound:
        if not output.quiet:
            mark = output.paint("sound", "green")
            output.line(f"{name}: {mark}, {plural(report.records, 'record')}, head {report.last}:{report.head}")
        return
    faults = plural(len(report.faults) + report.unnamed, "fault")
    output.line(f"{name}: {output.paint('broken', 'bold red')}, {faults} in {plural(report.records, 'record')}")
    for fault in report.faults:
        where = f"record {fault.seq}: " if fault.seq else ""
        output.line(f"  ! {where}{safe(fault.what)}")
    if report.unnamed:
        output.line(f"  ... and {number(report.unnamed)} more")


def expected_heads(texts: tuple[str, ...]) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for at, text in enumerate(texts, 1):
        match = _EXPECTED.fullmatch(text)
        if match is None:
            raise UsageError(
                f"--expect{f' number {at}' if len(texts) > 1 else ''} is not JOB=SEQ:HASH",
                hint="`secretsync audit verify` shows SEQ:HASH as the head of each job",
            )
        found[match[1]] = (int(match["seq"]), match["hash"])
    return found


def _object(report: ChainReport) -> dict[str, object]:
    return {
        "job": report.job,
        "records": report.records,
        "seq": report.last,
        "head": report.head,
        "sound": report.sound,
        "faults": [{"seq": fault.seq, "message": fault.what} for fault in report.faults],
        "unnamedFaults": report.unnamed,
    }
