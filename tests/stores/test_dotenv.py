"""The store of .env files writes what every program reads alike, and touches no other line."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dotenv import dotenv_values
from run.world import World

from secretsync_core.errors import Conflict, InvalidSecret, PolicyDenied, SecretNotFound, StoreError
from secretsync_core.model.change import Action
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.directory.names import TEMPORARY
from secretsync_core.stores.dotenv import PROVIDER, DotenvConfig, open_store
from secretsync_core.stores.dotenv.layout import MAX_BYTES
from secretsync_core.stores.dotenv.quoting import Unquotable, quoted
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from secretsync_core.stores.dotenv.store import DotenvStore

ALIKE = [
    "", "plain", "a=b:c/d.e@f%g+h,i-j_k", "two words", " around ", "#hash", "a #b", "it's", 'say "hi"', "both ' and \"",
    "$HOME", "$(id)", "`id`", "$$", "a$", "${", "!bang!", "~", "~/x", "a:~", "*", "[a]", "{a,b}", "a;b", "a&&b", "a|b",
    "<(x)", "back\\slash", "\\n", "\\t'", "\\u0041", "\\x41'", "a\\\\b", "it's a\\\\b", "\\'", '\\"', "\\$x", "%s",
    "a\tb", "\ttab", "line\nline", "\n", "\nfirst", "last\n", "it's\nline\n", "-----BEGIN X-----\nYWJj/+=\n",
    "ünï 値 🔑 e\u0301", "\u2028", "\x0b\x0c\x1b\x7f", "\u0085", "null", "true", "0012", '{"a": [1, "$x"]}', "x" * 5000,
    "export A=b", "'", '"', "=", "''", '"x"', "'x'", "a'b'c", "\ufeff", "\u00a0",
]  # fmt: skip
REFUSED = [
    "nul\0", "a\rb", "a\r\nb", "\ud800", "${HOME}", "'${A:-b}'", "end\\", "it's\\", "it's $5", "'`id`'", "\\\\$x",
    "'$(id)'",
]  # fmt: skip


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DotenvStore]:
    opened = await opened_at({"path": str(tmp_path)})
    yield opened
    await opened.aclose()


async def opened_at(config: dict[str, str], **environ: str) -> Any:
    return await open_store(DotenvConfig.model_validate(config), StoreContext("envs", CountingGate(), environ, 4))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


def by_shell(file: Path, shell: str) -> Mapping[str, str]:
    """The environment that a shell has when it has read the file."""
    script = f"set -eau; . {file}; exec {sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    found = subprocess.run([shell, "-c", script], env={"HOME": "/h"}, capture_output=True, check=True, timeout=20)
    assert found.stderr == b""
    return dict(json.loads(found.stdout))


def by_compose(file: Path) -> Mapping[str, str]:
    """The environment that Docker Compose gives to a service by its ``env_file``."""
    (file.parent / "compose.yaml").write_text("services: {web: {image: i, env_file: .env}}")
    command = [str(Path(sys.executable).parent / "docker-compose"), "-f", "compose.yaml", "config", "--format", "json"]
    environ = {"HOME": "/h", "PATH": ""}
    found = subprocess.run(command, cwd=file.parent, env=environ, capture_output=True, check=True, timeout=20)
    environment = json.loads(found.stdout)["services"]["web"]["environment"]
    return {name: text.replace("$$", "$") for name, text in environment.items()}  # how a compose file writes it


async def test_all_programs_read_the_same(tmp_path: Path, store: DotenvStore) -> None:
    """What is written is the same text to us, to python-dotenv as it comes, to Compose, bash and sh."""
    wanted = {f"V{number}": text for number, text in enumerate(ALIKE)}
    await store.write("web", SecretValue(wanted))
    file = tmp_path / "web" / ".env"
    assert (await store.read("web")).value.reveal() == wanted
    assert dotenv_values(file) == wanted
    readers = {shell: by_shell(file, shell) for shell in ("bash", "sh") if shutil.which(shell)}
    if (Path(sys.executable).parent / "docker-compose").exists():
        readers["compose"] = by_compose(file)
    assert readers
    for name, found in readers.items():
        assert {key: found.get(key) for key in wanted} == wanted, name


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_what_they_read_differently_is_refused(text: str) -> None:
    """A value for which there are no quotes that suit all of them cannot be written; the reason shows nothing of it."""
    with pytest.raises(Unquotable) as caught:
        quoted(f"s3cr3t{text}")
    assert "s3cr3t" not in str(caught.value)


async def test_only_changed_lines_change(tmp_path: Path, store: DotenvStore) -> None:
    """Comments, blank lines, order, ``export`` and the form of other values stay; new variables come last."""
    file = tmp_path / "web" / ".env"
    file.parent.mkdir()
    before = (
        '# The database\nexport DB_HOST = db.internal  # not public\n\nPASSWORD="old" # rotated\n'
        "GONE=1\n\n  KEPT='as it is'\n"
        'TWICE=a\nTWICE=b\nNAME_ALONE\nEMPTY= # nothing\nLINES="a\nb"\n#PASSWORD=commented\nLAST=1'
    )
    file.write_text(before)
    token = (await store.read("web")).version
    kept = {"KEPT": "as it is", "LINES": "a\nb"}
    changed = {"DB_HOST": "db2", "PASSWORD": "n e w", "TWICE": "c", "EMPTY": "x", "LAST": "2", "NEW": "it's"}
    await store.write_if("web", SecretValue(kept | changed), token)
    assert file.read_text() == (
        "# The database\nexport DB_HOST=db2  # not public\n\nPASSWORD='n e w' # rotated\n\n  KEPT='as it is'\n"
        'TWICE=a\nTWICE=c\nNAME_ALONE\nEMPTY=x # nothing\nLINES="a\nb"\n#PASSWORD=commented\nLAST=2\nNEW="it\'s"\n'
    )
    assert (await store.read("web")).value.reveal() == kept | changed
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == [".env"]


async def test_line_ends_stay_as_they_are(tmp_path: Path, store: DotenvStore) -> None:
    """A file of another system keeps its line ends and its mark, also in new lines."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\nB=2\r\n")
    await store.write("web", SecretValue({"A": "1", "B": "3", "C": "4"}))
    assert (tmp_path / "web" / ".env").read_bytes() == b"\xef\xbb\xbfA=1\r\nB=3\r\nC=4\r\n"


async def test_what_is_read_is_what_stands_there(tmp_path: Path, store: DotenvStore) -> None:
    """Nothing is replaced by variables of ours, and a value that nobody changes need not be one that we would write."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / ".env").write_text("URL=http://${HOME}/$HOME\nOTHER=1\n")
    found = (await store.read("web")).value.reveal()
    assert found == {"URL": "http://${HOME}/$HOME", "OTHER": "1"}
    await store.write("web", SecretValue({**found, "OTHER": "2"}))
    assert (tmp_path / "web" / ".env").read_text() == "URL=http://${HOME}/$HOME\nOTHER=2\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"A=1\n\n\nB='s3cr3t\n", "line 4"),
        (b'A="s3cr3t" more\n', "line 1"),
        (b"=s3cr3t", "line 1"),
        (b"A=s3cr3t\xff", "UTF-8"),
        (b"#" * (MAX_BYTES + 1), "bytes"),
    ],
    ids=["not closed", "more behind it", "no name", "not UTF-8", "too large"],
)
async def test_a_file_that_cannot_be_read_for_sure_is_left_alone(
    tmp_path: Path, store: DotenvStore, content: bytes, told: str
) -> None:
    """Neither reading nor a plan nor a write guesses; the error says the line, and nothing that stands there."""
    file = tmp_path / "web" / ".env"
    file.parent.mkdir()
    file.write_bytes(content)
    value = SecretValue({"A": "2"})
    for call in (store.read("web"), store.check_write("web", value, None), store.write("web", value)):
        with pytest.raises(InvalidSecret) as caught:
            await call
        assert told in caught.value.message
        assert "s3cr3t" not in caught.value.message + caught.value.hint
        assert caught.value.key == "web"
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "wanted", "line"),
    [
        ("A=1\nexport A\n", {"B": "2"}, 2),
        ("\n\nA\nA=1\n", {"A": "1"}, 3),
        ("A=1\n# c\n\n  B # c\n", {"A": "1", "B": "2"}, 4),
    ],
    ids=["taken back", "before it", "to be set"],
)
async def test_a_name_alone_beside_its_value_is_refused(
    tmp_path: Path, store: DotenvStore, content: str, wanted: dict[str, str], line: int
) -> None:
    """python-dotenv takes the value back there, Compose has one of its own, a shell keeps it: nothing is guessed."""
    file = tmp_path / "web" / ".env"
    file.parent.mkdir()
    file.write_text(content)
    value = SecretValue({**wanted})
    calls = [store.check_write("web", value, None), store.write("web", value)]
    for call in [*calls, *([store.read("web")] if "B" not in content else [])]:
        with pytest.raises(InvalidSecret, match=f"line {line}") as caught:
            await call
        assert "remove that line" in caught.value.hint
    assert file.read_text() == content


async def test_a_name_alone_stays(tmp_path: Path, store: DotenvStore) -> None:
    """It is no variable: a secret that does not have it leaves its line as it is."""
    file = tmp_path / "web" / ".env"
    file.parent.mkdir()
    file.write_text("export HOME\nA=1\nFOO\n")
    assert (await store.read("web")).value.reveal() == {"A": "1"}
    await store.write("web", SecretValue({"A": "2"}))
    assert file.read_text() == "export HOME\nA=2\nFOO\n"


async def test_what_would_be_read_otherwise_is_not_written(
    tmp_path: Path, store: DotenvStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a file is replaced its new text is read once more: rather nothing is written than something else."""
    await store.write("web", SecretValue({"A": "1"}))
    before = (tmp_path / "web" / ".env").read_text()
    monkeypatch.setattr("secretsync_core.stores.dotenv.lines.Lines.changed", lambda *_: "A=s3cret\nB=2\n")
    value = SecretValue({"A": "s3cret"})
    for call in (store.check_write("web", value, None), store.write("web", value)):
        with pytest.raises(InvalidSecret, match="read as something else") as caught:
            await call
        assert "s3cret" not in caught.value.message
    assert (tmp_path / "web" / ".env").read_text() == before


async def test_what_is_no_file_is_never_opened(tmp_path: Path, store: DotenvStore) -> None:
    """A pipe, a link and a folder in a file's place are refused at once; a folder that is a link hides its key."""
    for name in ("pipe", "link", "folder", "fine"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe" / ".env")
    (tmp_path / "link" / ".env").symlink_to(tmp_path / "fine" / ".env")
    (tmp_path / "folder" / ".env").mkdir()
    (tmp_path / "fine" / ".env").write_text("A=1")
    (tmp_path / "linked").symlink_to(tmp_path / "fine")
    for name in ("pipe", "link", "folder", "linked"):
        for call in (store.read(name), store.write(name, SecretValue({"A": "2"}))):
            with pytest.raises(InvalidSecret):
                await call
    found = [each async for each in store.list("", recursive=False, metadata=False)]
    assert [each.key for each in found if isinstance(each, Entry)] == ["fine"]
    assert {each.prefix for each in found if isinstance(each, Gap)} == {"pipe", "link", "linked"}


async def test_a_folder_that_may_not_be_listed_hides_its_own_secret(
    tmp_path: Path, store: DotenvStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be looked into is unknown, the file in it too: never taken for absence."""
    await store.write("a/b", SecretValue({"A": "1"}))
    real, hidden = os.scandir, (tmp_path / "a" / "b").stat().st_ino

    def failing(folder: int) -> Any:
        if os.fstat(folder).st_ino == hidden:
            raise PermissionError(13, "no")
        return real(folder)

    monkeypatch.setattr(os, "scandir", failing)
    found = [each async for each in store.list("", recursive=True, metadata=False)]
    assert {each.prefix for each in found if isinstance(each, Gap)} == {"a/b/", "a/b"}


async def test_one_file(tmp_path: Path) -> None:
    """A store that is one file has one key, its name; what lies beside it or below is none of its business."""
    below = tmp_path / "below" / f"{TEMPORARY}00000000-1-0123456789abcdef-1"
    below.parent.mkdir()
    below.write_text("x")
    (tmp_path / "other.env").write_text("A=1")
    store = await opened_at({"file": str(tmp_path / "app.env")})
    assert [each async for each in store.list("", recursive=True, metadata=False)] == []
    await store.create("app.env", SecretValue({"A": "1"}))
    with pytest.raises(Conflict):
        await store.create("app.env", SecretValue({"A": "2"}))
    assert [each.key async for each in store.list("", recursive=True, metadata=False)] == ["app.env"]
    assert (tmp_path / "app.env").read_text() == "A=1\n"
    for key in ("other.env", "app", "below/app.env"):
        with pytest.raises(InvalidSecret, match="single file"):
            await store.read(key)
    assert not (await store.leftovers()).doubtful
    await store.delete("app.env")
    with pytest.raises(SecretNotFound):
        await store.read("app.env")
    await store.aclose()


async def test_its_place_is_that_of_the_directory(tmp_path: Path) -> None:
    """A store of files of another kind at the same directory is known to be at the same place."""
    assert PROVIDER.place is not None
    one, many = {"file": str(tmp_path / "a" / ".env")}, {"path": str(tmp_path)}
    places = []
    for config in (one, many):
        store = await opened_at(config)
        assert store.facts.place == PROVIDER.place(DotenvConfig.model_validate(config))
        places.append(store.facts.place)
        await store.aclose()
    assert places[1].key_at(places[0], ".env") == "a/.env"
    assert places[1].service == "file"


async def test_the_policy_bounds_where_it_is(tmp_path: Path) -> None:
    """Neither a file of ours nor a directory that a policy does not permit is opened."""
    policy = tmp_path / "policy" / "policy.yaml"
    policy.parent.mkdir(mode=0o700)
    head = "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: p}\n"
    policy.write_text(f"{head}spec: {{files: {{roots: [{tmp_path}/envs]}}}}\n")
    policy.chmod(0o600)
    for config in ({"path": str(tmp_path / "other")}, {"file": str(tmp_path / "other" / ".env")}):
        with pytest.raises(PolicyDenied):
            await opened_at(config, SECRETSYNC_POLICY=str(policy))
    with pytest.raises(PolicyDenied):
        await opened_at({"file": str(policy)}, SECRETSYNC_POLICY=str(policy))
    for config in ({"path": str(tmp_path / "envs")}, {"file": str(tmp_path / "envs" / ".env")}):
        await (await opened_at(config, SECRETSYNC_POLICY=str(policy))).aclose()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", ".secretsync", ".GIT", ".sops.yaml", f"{TEMPORARY}x", "x" * 256, "a\0"]
)
def test_the_name_of_files_is_a_plain_one(name: str) -> None:
    """A name that leads elsewhere, or is ours, is refused with the document."""
    with pytest.raises(ValueError, match="fileName"):
        DotenvConfig.model_validate({"path": "/x", "fileName": name})


async def test_a_missing_directory_is_no_empty_store(tmp_path: Path) -> None:
    """It may be a disk that is not mounted; a write makes it."""
    store = await opened_at({"path": str(tmp_path / "gone")})
    with pytest.raises(StoreError, match="does not exist"):
        [each async for each in store.list("", recursive=True, metadata=False)]
    await store.check_write("a", SecretValue({"A": "1"}), None)
    await store.write("a", SecretValue({"A": "1"}))
    await store.aclose()


async def test_the_plan_says_what_will_not_fit(world: World, tmp_path: Path) -> None:
    """Names, numbers and values that no .env file can hold are refused by the plan, each with its reason."""
    (tmp_path / "envs").mkdir()
    world.store("dst", f"dotenv: {{path: {tmp_path / 'envs'}}}")
    await world.seed(
        "src",
        {
            "fine": {"A": "it's", "B_2": "$x"},
            "name": {"with-dash": "x"},
            "number": {"PORT": 5432},
            "quotes": {"A": "it's $5"},
        },
    )
    world.job("- {name: all, query: {recursive: true}}")
    refused = {change.key: change.detail for change in (await world.plan()).changes if change.action is Action.REFUSE}
    assert refused.keys() == {"name", "number", "quotes"}
    assert "letters, digits and underscores" in refused["name"]
    assert "PORT" in refused["number"]
    assert "a single quote" in refused["quotes"]
    await world.sync()
    assert await world.all("dst") == {"fine": {"A": "it's", "B_2": "$x"}}
