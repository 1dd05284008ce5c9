"""Every example in the documentation works: it loads, renders, parses or is run. A block that fits no frame fails."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml
from cli.conftest import Cli
from deploy.manifests import check, check_restricted, pods, read
from deploy.tools import CHART, render

from docs.pages import ROOT, Block, blocks
from secretsync_core.cli.main import app
from secretsync_core.errors import DocumentError
from secretsync_core.policy.reading import read_policies
from secretsync_core.schema.loader import load_files
from secretsync_dagster.run_config import Undo

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.schema.documents import Documents

API = "secretsync.io/v1alpha1"
YAML = blocks("yaml")
VALUES = set(yaml.safe_load((CHART / "values.yaml").read_text()))
JOB = {"onChange", "driftCheck", "notify", "ownership", "limits", "schedule"}
ITEM = {"keyTransform", "valueTransform", "encoding", "split"}


def ids(found: list[Block]) -> list[str]:
    """Names of the cases."""
    return [block.where for block in found]


def ours(*documents: dict[str, Any]) -> str:
    """Documents as YAML."""
    return yaml.safe_dump_all({"apiVersion": API, **document} for document in documents)


JOB_HEAD = f"""\
apiVersion: {API}
kind: SyncJob
metadata: {{name: framed}}
spec:
  source: source
  dest: dest
"""
STORE_HEAD = f"""\
apiVersion: {API}
kind: SecretStore
metadata: {{name: framed}}
spec:
  provider:
    vault:
      address: https://vault.example.com
"""
PLAN = "  plan:\n    - secret: {key: a}\n"


def framed(block: Block) -> str:
    """A fragment of a document, in a whole one."""
    part = yaml.safe_load(block.text)
    if isinstance(part, list):
        return f"{JOB_HEAD}  plan:\n{textwrap.indent(block.text, '    ')}"
    if part.keys() <= ITEM:
        return JOB_HEAD + PLAN + textwrap.indent(block.text, "      ")
    if part.keys() <= JOB:
        return JOB_HEAD + textwrap.indent(block.text, "  ") + PLAN
    if part.keys() == {"auth"}:
        return STORE_HEAD + textwrap.indent(block.text, "      ")
    raise AssertionError(f"{block.where}: no frame for {sorted(part)}")


def load(text: str, tmp_path: Path) -> Documents:
    """Load documents, with a store in memory for each name that they have none for."""
    documents = list(yaml.safe_load_all(text))
    known = {document["metadata"]["name"] for document in documents if document["kind"] == "SecretStore"}
    named: set[str] = set()
    for document in documents:
        if document["kind"] == "SyncJob":
            dest = document["spec"]["dest"]
            named |= {document["spec"]["source"], *([dest] if isinstance(dest, str) else dest)}
            named |= {item["source"] for item in document["spec"]["plan"] if "source" in item}
    stores = [
        {"kind": "SecretStore", "metadata": {"name": name}, "spec": {"provider": {"memory": {}}}}
        for name in sorted(named - known)
    ]
    file = tmp_path / "page.yaml"
    file.write_text("---\n".join([text, ours(*stores)] if stores else [text]))
    return load_files([file])


def kind_of(block: Block) -> str:
    """What a block is, by what it holds."""
    parts = [part for part in yaml.safe_load_all(block.text) if part]
    first = parts[0]
    if isinstance(first, dict):
        if "apiVersion" in first:
            if first["apiVersion"] == API:
                return "policy" if first["kind"] == "SyncPolicy" else "documents"
            return "manifests"
        if first.keys() <= VALUES:
            return "values"
        if first.keys() == {"initContainers"}:
            return "containers"
        if first.keys() == {"undo"}:
            return "launchpad"
        if first.keys() == {"type", "attributes"}:
            return "component"
    return "fragment"


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::dagster_shared.utils.warnings.BetaWarning"
)  # Dagster's own
@pytest.mark.parametrize("block", YAML, ids=ids(YAML))
def test_yaml(block: Block, tmp_path: Path) -> None:
    """Documents load without a warning, fragments in a frame; manifests fit the API; values render to valid objects."""
    match kind_of(block):
        case "documents":
            assert load(block.text, tmp_path).warnings == ()
        case "policy":
            (tmp_path / "policy.yaml").write_text(block.text)
            assert read_policies({"SECRETSYNC_POLICY": str(tmp_path / "policy.yaml")}).problems == ()
        case "fragment":
            assert load(framed(block), tmp_path).warnings == ()
        case "launchpad":
            assert Undo(**yaml.safe_load(block.text)["undo"]).run
        case "manifests":
            check(read(block.text))
        case "values":
            objects = render(block.text if "image:" in block.text else f"image: {{repository: r}}\n{block.text}")
            check(objects)
            for template in pods(objects).values():
                check_restricted(template)
            embedded = yaml.safe_load(block.text).get("documents", {}).get("files", {})
            for text in embedded.values():
                assert load(text, tmp_path).jobs
        case "component":
            assert_component(yaml.safe_load(block.text))
        case "containers":
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "framed"}}
            spec = {**yaml.safe_load(block.text), "containers": [{"name": "main", "image": "i"}]}
            check([{**pod, "spec": spec}])


def assert_component(definition: dict[str, Any]) -> None:
    """A project with this component, beside the files that scaffolding it makes, loads, and has what it asks for."""
    from dagster.components.testing import create_defs_folder_sandbox

    import secretsync_dagster

    component = getattr(secretsync_dagster, definition["type"].removeprefix("secretsync_dagster."))
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component, defs_path="here")
        (path / "defs.yaml").write_text(yaml.safe_dump(definition))
        with sandbox.build_all_defs() as definitions:
            keys = definitions.resolve_asset_graph().get_all_asset_keys()
    assert keys
    assert {key.path[0] for key in keys} == {definition["attributes"]["translation"]["key_prefix"]}


def test_a_wrong_example_is_found(tmp_path: Path) -> None:
    """The frames do not hide what is wrong."""
    wrong = Block("page.md", 1, "", "yaml", "keyTransform:\n  - upperCase: true\n")
    with pytest.raises(DocumentError):
        load(framed(wrong), tmp_path)
    with pytest.raises(AssertionError, match=r"page\.md:1: no frame"):
        framed(wrong._replace(text="unknown: 1\n"))


@pytest.mark.parametrize("block", blocks("json"), ids=ids(blocks("json")))
def test_json(block: Block) -> None:
    """JSON parses; a policy of IAM has its version, and names actions of services that we have stores for."""
    parsed = json.loads(block.text)
    if "Statement" in parsed:
        assert parsed["Version"] == "2012-10-17"
        for statement in parsed["Statement"]:
            for action in statement["Action"]:
                assert re.fullmatch(r"(secretsmanager|ssm|tag):[A-Z][A-Za-z]+", action)


SHELL = [block for block in blocks("", "sh", "console") if re.search(r"\bsecretsync [a-z]", block.text)]
CALL = re.compile(r"(?:^|[ /\"])secretsync ((?:[a-z-]+)(?: [^#|>&;`)\"]*)?)")


def wrong_calls(text: str) -> list[str]:
    """The lines that call a command, or give it an option, that there is not."""
    root: Any = typer.main.get_command(app)
    wrong = []
    for line in text.replace("\\\n", " ").splitlines():
        for call in CALL.findall(line.split("  #")[0]):
            words = call.split()
            command = root
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            given = {word.partition("=")[0] for word in words if word.startswith("-")}
            if getattr(command, "commands", None) or not given <= known:
                wrong.append(line)
    return wrong


@pytest.mark.parametrize("block", SHELL, ids=ids(SHELL))
def test_commands_exist(block: Block) -> None:
    """Every call of the command line names a command that exists, and options that it has."""
    # Other programs take the word as a name, of a release or an account, say.
    text = re.sub(r"^(?:helm|kubectl|vault|openssl|\*/15) .*?(?<!\\)$", "", block.text, flags=re.MULTILINE | re.DOTALL)
    assert wrong_calls(text) == []


def test_a_wrong_call_is_found() -> None:
    """A command or an option that does not exist is noticed."""
    assert wrong_calls("secretsync sync --quite") == ["secretsync sync --quite"]
    assert wrong_calls("secretsync audit varify") == ["secretsync audit varify"]
    assert wrong_calls("secretsync plan --item=a  # fine\nsecretsync audit log -n 5") == []


CONSOLE = [block for block in blocks("console") if block.page != "README.md"]


@pytest.mark.parametrize("block", CONSOLE, ids=ids(CONSOLE))
def test_sessions(block: Block, tmp_path: Path) -> None:
    """A session runs in a directory that `init` made, and gives what stands there; README's has a test of its own."""
    cli = Cli(tmp_path)
    assert cli("init", "--quiet").code == 0
    played = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            ran = cli.shell(line[2:])
            assert (ran.code, ran.err) == (0, ""), line
            played += [line, *ran.out.rstrip().splitlines()]
    assert "\n".join(played) == block.text.rstrip()


HCL = blocks("hcl")


def test_every_policy_is_tried() -> None:
    """Policies stand on pages alone whose tests try them on a server."""
    assert {block.page for block in HCL} == {"docs/stores/vault.md", "docs/recipes.md"}


def test_every_language_is_known() -> None:
    """No block is of a language that nothing tests."""
    known = {"", "yaml", "json", "console", "hcl", "ini"}
    found = set(
        re.findall(r"^ *```([a-z]+)$", "\n".join(f.read_text() for f in (ROOT / "docs").rglob("*.md")), re.MULTILINE)
    )
    assert found <= known
