"""The README's document gives the README's plan.

``UPDATE_DOCS=1`` writes the plan anew; look at the difference before you keep it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cli.conftest import Cli
from support.http import Api

from docs.pages import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount

    from secretsync_core.demo.openbao import OpenBaoServer

README = ROOT / "README.md"


def test_the_document_gives_the_plan(
    openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount, tmp_path: Path
) -> None:
    """The document of the README, on two servers where happened what the README tells, gives the plan it shows."""
    source, dest = Api(openbao.address, openbao.root_token), Api(openbao_dest.address, openbao_dest.root_token)
    apps, copies = mount(openbao), mount(openbao_dest)
    (document,) = blocks("yaml", page="README.md")
    (shown,) = blocks("console", page="README.md")
    text = document.text
    for written, real in (
        ("https://vault.example.com:8200\n      mount: apps", f"{source.address}\n      mount: {apps}"),
        ("https://vault.cluster.example.com:8200\n      mount: apps", f"{dest.address}\n      mount: {copies}"),
    ):
        assert written in text
        text = text.replace(written, real)
    cli = Cli(tmp_path)
    cli.environ |= {"VAULT_TOKEN": source.token, "CLUSTER_VAULT_TOKEN": dest.token}
    cli.write("secretsync/main-to-cluster.yaml", text)
    for key in ("billing/db", "payments/api-adyen", "payments/api-paypal", "payments/api-stripe", "payments/notes"):
        source.put(apps, key, {"token": f"first-{key}"})
    synced = cli("sync", "--quiet")
    assert synced.code == 0, synced.err

    source.put(apps, "billing/db", {"token": "changed"})
    source.put(apps, "payments/api-klarna", {"token": "new"})
    source.call("DELETE", f"{apps}/data/payments/api-paypal")
    dest.put(copies, "prod/api-stripe", {"token": "edited by hand"})
    planned = cli("plan")
    assert (planned.code, planned.err) == (0, "")
    session = "$ secretsync plan\n" + "".join(f"{line.rstrip()}\n" for line in planned.out.splitlines())
    if os.environ.get("UPDATE_DOCS"):
        README.write_text(README.read_text().replace(f"```console\n{shown.text}```", f"```console\n{session}```"))
    else:
        assert session == shown.text

    synced = cli("sync", "--quiet")
    assert synced.code == 0, synced.err
    assert cli("plan", "--detailed-exitcode").code == 0
    source.close()
    dest.close()
