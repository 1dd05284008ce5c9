"""Loading documents that are right: what they become, and where they are looked for."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import cast

import pytest
import yaml
from yaml_samples import DESIGN, ELSEWHERE, ITEM, STORES, job, load, problems, store, told, warnings, whole, write

from secretsync_core.errors import DocumentError, UsageError
from secretsync_core.model.capabilities import Permissions
from secretsync_core.schema.job import DeletionPolicy, WritePolicy
from secretsync_core.schema.loader import examine, load_directory, load_files, load_trio
from secretsync_core.stores.file import FileConfig
from secretsync_core.stores.vault.config import VaultConfig

NOT_QUANTITIES = (".inf", "-.inf", ".nan", "-5.5", "0.0", "1e18", "60", "5.5")

STORE_ADDRESSES = [
    "vault: {{address: '{}', auth: {{token: {{env: T}}}}}}",
    "kubernetes: {{server: '{}', auth: {{token: {{env: T}}}}}}",
    "awsSecretsManager: {{region: eu-central-1, endpointUrl: '{}'}}",
    "awsSecretsManager: {{region: eu-central-1, stsEndpointUrl: '{}'}}",
    "awsParameterStore: {{region: eu-central-1, taggingEndpointUrl: '{}'}}",
]


def test_the_design_s_example_loads(tmp_path: Path) -> None:
    """The example of the design loads without a warning, and every field is what it says."""
    documents = load(tmp_path, DESIGN)
    assert documents.warnings == ()
    assert set(documents.stores) == {"vault-main", "vault-k8s", "vault-legacy"}
    main = documents.stores["vault-main"]
    assert (main.permissions, main.provider, main.where.line) == (Permissions.READ, "vault", 1)
    assert cast("VaultConfig", main.config).auth.kubernetes is not None
    document = documents.jobs["vault-to-k8s-vault"]
    spec = document.spec
    assert (spec.source, spec.dest, spec.timezone) == ("vault-main", ("vault-k8s",), "Europe/Berlin")
    assert (spec.write_policy, spec.deletion_policy) == (WritePolicy.REPLACE, DeletionPolicy.RETAIN)
    assert spec.schedule is not None
    assert (spec.schedule.cron, str(spec.max_delete), spec.limits.rate) == ("0 * * * *", "10%", 200.0)
    assert spec.on_change is not None
    assert spec.on_change.interval == 60.0
    assert [item.name for item in spec.plan] == ["billing-db", "payments", "app-env"]
    assert spec.plan[1].source == "vault-legacy"
    assert yaml.safe_load(document.text) == yaml.safe_load(DESIGN.split("---\n")[-1])
    assert document.where.line == 32


def test_relative_paths_start_at_the_document(tmp_path: Path) -> None:
    """A store's directory, certificates and credential files are made absolute from where the document stands."""
    vault = load(tmp_path, DESIGN).stores["vault-k8s"].config
    file = load(tmp_path, DESIGN).stores["vault-legacy"].config
    assert isinstance(file, FileConfig)
    assert file.path == str(tmp_path / "legacy")
    assert isinstance(vault, VaultConfig)
    assert vault.auth.app_role is not None
    assert vault.auth.app_role.secret_id is not None
    assert vault.auth.app_role.secret_id.file == str(tmp_path / "secret-id")


def test_small_freedoms(tmp_path: Path) -> None:
    """One destination or several, a version as a number, a count or a share, and null for what is left out."""
    more = "maxDelete: 5\nschedule:\nlimits:\n  rate: 30/m"
    documents = load(
        tmp_path, STORES + store("three") + job("- secret: {key: a, version: 3}", dest="[two, three]", more=more)
    )
    spec = documents.jobs["job"].spec
    assert (spec.dest, spec.max_delete.count, spec.schedule, spec.limits.rate) == (("two", "three"), 5, None, 0.5)
    assert spec.plan[0].secret is not None
    assert spec.plan[0].secret.version == "3"


def test_the_same_store_may_be_source_and_destination(tmp_path: Path) -> None:
    """A copy within one store is fine as far as the documents go, under another key."""
    assert "job" in load(tmp_path, STORES + job(ELSEWHERE, dest="one")).jobs


def test_warnings_do_not_stand_in_the_way(tmp_path: Path) -> None:
    """A credential in the document and a plain http address only warn, at their lines."""
    vault = "vault: {address: 'http://vault.example', auth: {token: {value: s3cr3t}}}"
    assert warnings(tmp_path, store("one", provider=vault)) == [
        "5: spec.provider.vault.auth.token is written into the document",
        "5: the address is not https: tokens and secrets would cross the network unencrypted",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1:8200", "localhost:8200", "[::1]:8200"])
def test_plain_http_to_this_machine_is_fine(tmp_path: Path, host: str) -> None:
    """Nothing crosses a network on the way to a loopback address."""
    vault = f"vault: {{address: 'http://{host}', auth: {{token: {{env: T}}}}}}"
    assert warnings(tmp_path, store("one", provider=vault)) == []


# Where documents are looked for


def test_a_directory_is_read_to_its_depth_in_order(tmp_path: Path) -> None:
    """Every .yaml and .yml below a directory is read; hidden files, hidden directories and other files are not."""
    (tmp_path / "sub" / "deeper").mkdir(parents=True)
    (tmp_path / ".secretsync").mkdir()
    write(tmp_path, store("one"), "b.yaml")
    write(tmp_path / "sub" / "deeper", store("two"), "a.yml")
    write(tmp_path, "not: [yaml", ".hidden.yaml")
    write(tmp_path / ".secretsync", "not: [yaml", "state.yaml")
    write(tmp_path, "not: [yaml", "notes.txt")
    assert list(load_directory(tmp_path).stores) == ["one", "two"]


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    """A link to a directory above, and a second name of the same file, are each read once, as ConfigMaps need it."""
    (tmp_path / "..data").mkdir()
    write(tmp_path / "..data", store("one"), "one.yaml")
    (tmp_path / "one.yaml").symlink_to(tmp_path / "..data" / "one.yaml")
    (tmp_path / "same.yaml").symlink_to(tmp_path / "one.yaml")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert list(load_directory(tmp_path).stores) == ["one"]


def test_a_path_that_is_not_there_is_an_error_of_the_call(tmp_path: Path) -> None:
    """A missing path is told apart from documents that are wrong."""
    with pytest.raises(UsageError, match="does not exist"):
        load_directory(tmp_path / "nope")


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 2500])
def test_a_path_that_is_too_long_is_not_there(tmp_path: Path, name: str) -> None:
    """A name that no file system holds is a name of nothing."""
    with pytest.raises(UsageError, match="does not exist"):
        load_directory(tmp_path / name)


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that may be listed and not entered; by this, since tests may run as root, who may do anything."""
    directory = tmp_path / "closed"
    directory.mkdir()
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parent == directory:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    return directory


def test_what_may_not_be_looked_at_is_told_and_the_rest_is_read(tmp_path: Path, closed: Path) -> None:
    """What is in a directory that may not be entered is a problem each, since it may be documents."""
    write(closed, store("two"), "two.yaml")
    (closed / "more").mkdir()
    write(tmp_path, store("one"), "one.yaml")
    documents, found = examine([tmp_path])
    assert list(documents.stores) == ["one"]
    assert [(problem.file, problem.message) for problem in found] == [
        (str(closed / "more"), "cannot be looked at: Permission denied"),
        (str(closed / "two.yaml"), "cannot be looked at: Permission denied"),
    ]


def test_a_path_that_may_not_be_looked_at_is_an_error_of_the_call(closed: Path) -> None:
    """A path within a directory that may not be entered is told from one that is not there, however it is given."""
    file = closed / "x.yaml"
    with pytest.raises(UsageError, match="cannot be looked at: Permission denied"):
        load_directory(file)
    with pytest.raises(UsageError, match="cannot be looked at: Permission denied"):
        load_trio(file, file, file)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        *[(f"onChange: {{interval: {value}}}", "must be a duration such as 60s") for value in NOT_QUANTITIES],
        *[(f"limits: {{rate: {value}}}", "must be a rate such as 200/s") for value in (*NOT_QUANTITIES, "0.000001/h")],
        *[(f"maxDelete: {value}", "must be a count such as 5") for value in (".inf", ".nan", "1.5", "-1", "1e3")],
        ("limits: {concurrency: .inf}", "must be a whole number"),
        ("limits: {shards: 65}", "must be at most 64"),
        ("notify: [{email: {host: " + "a" * 300 + ", from: a@b, to: a@b}}]", "names no host"),
    ],
)
def test_a_quantity_is_finite_and_within_its_bounds(tmp_path: Path, more: str, message: str) -> None:
    """YAML has numbers without end, and none of them is a duration, a rate, a count or a share."""
    write(tmp_path, STORES + job(more=more))
    _, found = examine([tmp_path])
    assert [message in problem.message and problem.line > 1 for problem in found] == [True]


@pytest.mark.parametrize("provider", STORE_ADDRESSES)
@pytest.mark.parametrize(
    "address", ["http://h:99999", "http://h:abc", f"http://{'a' * 300}", "http://.", "http://\u00e4.x"]
)
def test_every_store_s_address_is_held_to_one_rule(tmp_path: Path, provider: str, address: str) -> None:
    """An address that leads nowhere is refused at its line, by whichever store it is."""
    write(tmp_path, store("one", provider=provider.format(address)))
    _, found = examine([tmp_path])
    words = "its port is not a number", "it names no host", "the host's name has letters beyond ASCII"
    assert [any(word in problem.message for word in words) for problem in found] == [True]
    assert address not in str(found)


@pytest.mark.parametrize("namespace", ["\\uFEFF", "a b", "\u00fc", "a\\nb"])
def test_a_namespace_is_what_a_header_can_hold(tmp_path: Path, namespace: str) -> None:
    """A namespace is sent in a header with every request and login."""
    provider = f"vault: {{address: 'http://127.0.0.1:1', namespace: \"{namespace}\", auth: {{token: {{env: T}}}}}}"
    write(tmp_path, store("one", provider=provider))
    _, found = examine([tmp_path])
    assert [problem.message for problem in found] == ["spec.provider.vault.namespace has an invalid format"]


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    """An empty directory, and one with nothing but comments, cannot be what was meant."""
    for text in ("", "# only a comment\n"):
        if text:
            write(tmp_path, text)
        with pytest.raises(DocumentError) as caught:
            load_directory(tmp_path)
        assert [problem.message for problem in caught.value.problems] == ["no documents found"]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 1, "the file is empty"),
        (b" \n\n", 1, "the file is empty"),
        (b"a: 1\nb: \xff\n", 2, "the file is not UTF-8"),
        ("a: 1".encode("utf-16"), 1, "the file is not UTF-8"),
        (b"a: 1\nb: \0\n", 2, "a control character (U+0000) that YAML does not allow"),
        (b"a: \x1b[31m\n", 1, "a control character (U+001B) that YAML does not allow"),
        (b"a: 1\rb: \xff\r", 2, "the file is not UTF-8"),
        (b"a: 1\r\n\rb: \0\r", 3, "a control character (U+0000) that YAML does not allow"),
        (b"a: " + b"x" * (1 << 20), 0, "the file is larger than 1 MiB"),
    ],
    ids=["empty", "blank", "latin", "utf-16", "nul", "escape", "latin-cr", "nul-cr", "huge"],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, line: int, message: str) -> None:
    """A file that is empty, no UTF-8, binary or huge is a problem of its own, and the others are read."""
    (tmp_path / "bad.yaml").write_bytes(content)
    write(tmp_path, store("one"), "good.yaml")
    documents, found = examine([tmp_path])
    assert [(problem.line, problem.message) for problem in found] == [(line, message)]
    assert list(documents.stores) == ["one"]


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    """Editors that mark their UTF-8 are forgiven."""
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + store("one").encode())
    assert list(load_directory(tmp_path).stores) == ["one"]


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe called like a document does not make loading wait for ever; a dangling link is told."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    _, found = examine([tmp_path])
    assert [problem.message for problem in found] == [
        "the file cannot be read: No such file or directory",
        "not a regular file",
    ]


# What is whole although other things are not


def test_what_is_whole_is_given_although_other_documents_are_broken(tmp_path: Path) -> None:
    """Broken documents take down only the jobs that name them."""
    text = STORES + job(name="good") + store("bad", permissions="Maybe") + job(name="uses-bad", dest="bad")
    text += "---\nnot: [yaml\n" + job("- {}", name="broken") + store("later")
    assert whole(tmp_path, text) == ["one", "two", "later", "good"]


def test_of_two_with_one_name_neither_is_whole(tmp_path: Path) -> None:
    """Which of two documents of the same name was meant is not guessed, nor is a repeated field."""
    text = (
        STORES
        + store("two")
        + job(ELSEWHERE, name="good", dest="one")
        + job(name="bad")
        + store("x").replace("spec", "kind")
    )
    assert whole(tmp_path, text) == ["one", "good"]


def test_all_problems_come_at_once_in_order(tmp_path: Path) -> None:
    """Problems of several files come together, sorted by file and line."""
    write(tmp_path, "x: [", "b.yaml")
    write(tmp_path, job(source="nope", dest="neither"), "a.yaml")
    with pytest.raises(DocumentError) as caught:
        load_files([tmp_path / "b.yaml", tmp_path / "a.yaml"])
    where = [problem.where.rpartition("/")[2] for problem in caught.value.problems]
    assert where == sorted(where)
    assert where[:2] == ["a.yaml:6", "a.yaml:7"]
    assert caught.value.message == f"{len(where)} problems in the documents"


# The form with three files


def trio(tmp_path: Path, text: str) -> tuple[Path, Path, Path]:
    return (
        write(tmp_path, store("one"), "source.yaml"),
        write(tmp_path, store("two"), "dest.yaml"),
        write(tmp_path, text, "job.yaml"),
    )


def test_a_job_may_leave_its_stores_to_the_call(tmp_path: Path) -> None:
    """With three files, a job without source and dest gets the two stores that were given."""
    text = job().replace("  source: one\n  dest: two\n", "")
    spec = load_trio(*trio(tmp_path, text)).jobs["job"].spec
    assert (spec.source, spec.dest) == ("one", ("two",))


@pytest.mark.parametrize("dest", ["two", "[two]"])
def test_a_job_may_name_the_stores_of_the_call(tmp_path: Path, dest: str) -> None:
    """With three files, a job may name the same two stores as the call."""
    assert load_trio(*trio(tmp_path, job(dest=dest))).jobs["job"].spec.dest == ("two",)


def test_source_and_destination_may_be_one_file(tmp_path: Path) -> None:
    """A copy within one store is called with its file twice."""
    source = write(tmp_path, store("one"), "one.yaml")
    assert list(load_trio(source, source, write(tmp_path, job(ELSEWHERE, dest="one"))).stores) == ["one"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (job(source="two"), "spec.source is not the SecretStore in"),
        (job(dest="[two, one]"), "spec.dest is not the SecretStore in"),
        (job() + job(name="more"), "this file must hold exactly one document, a SyncJob"),
        (store("three"), "this file must hold exactly one document, a SyncJob"),
        (job(ITEM + "\n  source: three"), "names a SecretStore that does not exist"),
    ],
)
def test_three_files_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    """A job of other stores, several documents in one file, or the wrong kind, are problems."""
    with pytest.raises(DocumentError) as caught:
        load_trio(*trio(tmp_path, text))
    assert any(message in problem.message for problem in caught.value.problems)


def test_helpers_tell_lines(tmp_path: Path) -> None:
    """The line of a problem is the one to look at, also in the second document of a file."""
    assert told(tmp_path, store("one") + store("two", permissions="Maybe")) == [
        "10: spec.permissions must be 'Read', 'Write' or 'ReadWrite'"
    ]
    assert problems(tmp_path, store("one", permissions="read"))[0].hint == "Did you mean Read?"
