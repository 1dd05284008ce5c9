"""What may be named: the rules that always hold, and those of policies."""

from __future__ import annotations

import os
import site
import sysconfig
from pathlib import Path
from textwrap import dedent, indent

import pytest

from secretsync_core import protected, trusted_files
from secretsync_core.audit import home, keys
from secretsync_core.policy.bounds import Bounds, bounds_of
from secretsync_core.policy.loading import state_of
from secretsync_core.policy.reading import read_policies
from secretsync_core.protected import OUR_VARIABLES
from secretsync_core.schema.named import Kind, Use

HEAD = "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: %s}\nspec:\n%s\n"


def policy(directory: Path, spec: str, name: str = "one") -> dict[str, str]:
    """Write a policy, and give the environment that names its directory."""
    place = directory / "policies"
    place.mkdir(mode=0o700, exist_ok=True)
    file = place / f"{name}.yaml"
    file.write_text(HEAD % (name, indent(dedent(spec), "  ")))
    file.chmod(0o600)
    return {"SECRETSYNC_POLICY": str(place)}


def why(bounds: Bounds, kind: Kind, text: str | Path) -> str:
    """Why something is refused; empty where it is not."""
    refusal = bounds.judge(Use(kind, str(text)))
    return refusal.why if refusal is not None else ""


# -- Without a policy


def test_the_names_of_what_is_protected_are_those_in_use() -> None:
    """The variables and the directory that are protected are those by which the ledger and its key are found."""
    assert {keys.VARIABLE, keys.FILE_VARIABLE} <= OUR_VARIABLES
    assert home.DIRECTORY == protected.STATE_DIRECTORY


@pytest.mark.parametrize("name", sorted({*OUR_VARIABLES, "DAGSTER_PG_PASSWORD", "DAGSTER_CLOUD_API_TOKEN"}))
def test_our_own_variables_are_no_credentials(name: str) -> None:
    """No document can have the ledger's key, or the way to a database, sent as a token."""
    assert "not a credential" in why(bounds_of({}), Kind.VARIABLE, name)


@pytest.mark.parametrize("name", ["VAULT_TOKEN", "SECRETSYNC_VAULT_TOKEN", "AWS_SECRET_ACCESS_KEY", "my.odd-name"])
def test_other_variables_are_free(name: str) -> None:
    """Without a policy every other variable may be named, as before."""
    assert why(bounds_of({}), Kind.VARIABLE, name) == ""


def test_the_state_is_no_file_and_no_store(tmp_path: Path) -> None:
    """The state directory, key and ledger are not named: by their path, a link, another link, or from above."""
    state = tmp_path / "docs" / ".secretsync"
    state.mkdir(parents=True)
    key, ledger = tmp_path / "elsewhere" / "the.key", tmp_path / "db" / "ledger.db"
    for file in (state / "ledger.key", key, ledger):
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
    (tmp_path / "link").symlink_to(key)
    os.link(key, tmp_path / "hard")
    (tmp_path / "free").mkdir()
    (tmp_path / "free" / "token").write_text("x")
    bounds = bounds_of({"SECRETSYNC_KEY_FILE": str(key)}, (str(state), str(ledger)))
    refused = [state / "ledger.key", key, ledger, tmp_path / "link", tmp_path / "hard", state / "no-such-file"]
    refused += [tmp_path / "free" / ".." / "elsewhere" / "the.key", tmp_path / "other" / ".secretsync" / "ledger.key"]
    assert all(why(bounds, Kind.FILE, path) for path in refused)
    assert why(bounds, Kind.FILE, tmp_path / "free" / "token") == ""
    stores = [state, state / "below", tmp_path / "docs", tmp_path, key.parent, ledger.parent, Path("/")]
    assert all(why(bounds, Kind.DIRECTORY, path) for path in stores)
    assert why(bounds, Kind.DIRECTORY, tmp_path / "free") == why(bounds, Kind.DIRECTORY, tmp_path / "new") == ""


@pytest.mark.parametrize(
    "spelled",
    ["{}/l.db", "sqlite:///{}/l.db", "SQLite:///{}/l.db", "sqlite:////{}/l.db", "sqlite:////..{}/l.db", " {}/l.db ",
     "sqlite://{relative}/l.db", "{relative}/l.db", "{}/link.db", "~/led/l.db", "sqlite:///~/led/l.db"],
)  # fmt: skip
@pytest.mark.parametrize("told_by", ["variable", "option"])
def test_the_ledger_by_whatever_way_it_is_written(
    tmp_path: Path, spelled: str, told_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever leads to the ledger's file when it is opened protects it, and what SQLite keeps beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "led").mkdir()
    (tmp_path / "led" / "link.db").symlink_to("l.db")
    place = spelled.format(tmp_path / "led", relative="led")
    state = tmp_path / "state"
    bounds = (
        bounds_of({"SECRETSYNC_LEDGER": place}, state_of(state))
        if told_by == "variable"
        else bounds_of({}, state_of(state, place))
    )
    for name in ("l.db", "l.db-wal", "l.db-shm", "l.db-journal"):
        assert why(bounds, Kind.FILE, tmp_path / "led" / name), name
    assert why(bounds, Kind.DIRECTORY, tmp_path / "led")
    assert why(bounds, Kind.FILE, tmp_path / "led" / "other.db") == ""


@pytest.mark.parametrize("place", ["postgresql://u:p@h/d", "nonsense://x", "~no-such-user/l.db", ""])
def test_a_ledger_that_is_no_file(place: str) -> None:
    """A server, and what leads nowhere, protect no file and are no error here."""
    assert bounds_of({"SECRETSYNC_LEDGER": place}, state_of(Path("/state"), place))._protected.paths == ("/state",)


@pytest.mark.parametrize("path", ["/proc/self/environ", "/proc/1/root/proc/self/mem", "/proc/self/task/../environ"])
def test_running_programs_are_no_files(path: str) -> None:
    """The environment of a process is not read as a file either."""
    assert "running programs" in why(bounds_of({}), Kind.FILE, path)
    assert why(bounds_of({}), Kind.DIRECTORY, Path(path).parent)


@pytest.mark.parametrize("path", ["/proc/self/root{}", "//proc/self/root{}", "/x/../proc/1/cwd/..{}"])
def test_no_store_is_named_by_way_of_running_programs(path: str, tmp_path: Path) -> None:
    """A path below /proc is another name of what lies elsewhere, which no rule for that place would know."""
    assert "running programs" in why(bounds_of({}), Kind.DIRECTORY, path.format(tmp_path))
    assert why(bounds_of({}), Kind.DIRECTORY, tmp_path) == ""


@pytest.mark.parametrize(
    "path", [sysconfig.get_paths()["purelib"], f"{sysconfig.get_paths()['purelib']}/x", "/usr", "/"]
)
def test_no_store_is_where_python_finds_programs(path: str) -> None:
    """A file store cannot write a .pth, nor a module."""
    if path == "/usr" and not sysconfig.get_paths()["stdlib"].startswith("/usr/"):
        pytest.skip("Python is not below /usr here")
    assert why(bounds_of({}), Kind.DIRECTORY, path)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_home_directory_is_no_place_of_programs_by_itself(
    tmp_path: Path, enabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packages of a user count only where Python loads them: not in a virtual environment, nor in the image."""
    monkeypatch.setattr(site, "ENABLE_USER_SITE", enabled)
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(tmp_path / ".local" / "lib"))
    monkeypatch.setenv("HOME", str(tmp_path))
    protected._code.cache_clear()
    try:
        for place in (tmp_path, tmp_path / ".local", tmp_path / ".local" / "lib" / "x"):
            assert bool(why(bounds_of({}), Kind.DIRECTORY, place)) is enabled, place
    finally:
        protected._code.cache_clear()


def test_no_store_is_where_aws_looks_up_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file store is in ~/.aws, nor above it where there is one; nor where the environment says instead."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "etc").mkdir()
    (tmp_path / "home").mkdir()
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "etc" / "aws"), "AWS_SHARED_CREDENTIALS_FILE": ""}
    (tmp_path / "etc" / "aws").write_text("[default]")
    assert why(bounds_of(environ), Kind.DIRECTORY, tmp_path / "home") == ""
    assert "AWS's SDK" in why(bounds_of(environ), Kind.DIRECTORY, tmp_path / "home" / ".aws")
    assert why(bounds_of({}), Kind.DIRECTORY, tmp_path / "etc") == ""
    assert f"has {tmp_path}/etc/aws in it" in why(bounds_of(environ), Kind.DIRECTORY, tmp_path / "etc")
    (tmp_path / "home" / ".aws").mkdir()
    assert f"has {tmp_path}/home/.aws in it" in why(bounds_of({}), Kind.DIRECTORY, tmp_path / "home")
    assert "AWS's SDK" in why(bounds_of({}), Kind.DIRECTORY, tmp_path / "home" / ".aws" / "sso")
    assert why(bounds_of(environ), Kind.FILE, tmp_path / "home" / ".aws" / "token") == "", "a file of credentials may"


def test_a_proxy_is_held_to_the_hosts_alone(tmp_path: Path) -> None:
    """What goes through it is encrypted to the server: http:// to the proxy is no http:// to another host."""
    bounds = bounds_of(policy(tmp_path, "plainHttp: Deny\nhosts: ['proxy.corp:3128']"))
    assert bounds.judge_proxy("http://proxy.corp:3128") is None
    assert bounds.judge_proxy("http://evil.example:3128") is not None
    assert why(bounds, Kind.HOST, "http://proxy.corp:3128")
    assert bounds_of({"SECRETSYNC_POLICY": ""}).judge_proxy("http://proxy.corp:3128") is not None


def test_programs_need_a_flag() -> None:
    """Without a policy no program of a document's choice runs, unless the environment says so."""
    refusal = bounds_of({}).judge_exec("the plugin")
    assert refusal is not None
    assert "SECRETSYNC_ALLOW_EXEC=1" in refusal.hint
    assert bounds_of({"SECRETSYNC_ALLOW_EXEC": "0"}).judge_exec("the plugin") is not None
    assert bounds_of({"SECRETSYNC_ALLOW_EXEC": "1"}).judge_exec("the plugin") is None


# -- With policies


def test_a_list_that_is_left_out_sets_no_bound(tmp_path: Path) -> None:
    """A policy of one rule bounds just that; an empty list permits nothing."""
    bounds = bounds_of(policy(tmp_path, "credentials: {env: []}"))
    assert "spec.credentials.env of the policy one" in why(bounds, Kind.VARIABLE, "VAULT_TOKEN")
    assert "one.yaml:5)" in why(bounds, Kind.VARIABLE, "VAULT_TOKEN")
    assert why(bounds, Kind.HOST, "http://anywhere") == why(bounds, Kind.DIRECTORY, "/data") == ""


def test_variables_by_glob(tmp_path: Path) -> None:
    """What is listed may be named, what is denied may not, and what may be a secret is never quoted."""
    bounds = bounds_of(policy(tmp_path, "credentials: {env: [VAULT_*, TOKEN]}\ndeny: {env: ['*_ROOT_*']}"))
    assert why(bounds, Kind.VARIABLE, "VAULT_TOKEN") == why(bounds, Kind.VARIABLE, "TOKEN") == ""
    assert "VAULT_ROOT_TOKEN" in why(bounds, Kind.VARIABLE, "VAULT_ROOT_TOKEN")
    assert "HOME" in why(bounds, Kind.VARIABLE, "HOME")
    for secret in ("hvs.CAESIJ", "AKIAIOSFODNN7EXAMPLE", "s3cret/with/slash"):
        told = why(bounds, Kind.VARIABLE, secret)
        assert told
        assert secret not in told


def test_files_and_roots_by_real_path(tmp_path: Path) -> None:
    """A link out of a directory that is permitted leads to what is not; a sibling of a like name is another one."""
    for name in ("creds", "creds-2", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "creds-2" / "t").write_text("x")
    (tmp_path / "creds" / "out").symlink_to(tmp_path / "creds-2" / "t")
    (tmp_path / "data" / "out").symlink_to(tmp_path / "creds")
    spec = f"credentials: {{directories: [{tmp_path}/creds]}}\nfiles: {{roots: [{tmp_path}/data]}}\n"
    bounds = bounds_of(policy(tmp_path, spec + f"deny: {{paths: [{tmp_path}/data/shut, {tmp_path}/creds/shut]}}"))
    assert why(bounds, Kind.FILE, tmp_path / "creds" / "t") == ""
    assert why(bounds, Kind.DIRECTORY, tmp_path / "data" / "x") == ""
    for path in ("creds/out", "creds-2/t", "data/x", "creds/shut/t"):
        assert why(bounds, Kind.FILE, tmp_path / path)
    for path in ("data/out", "creds", ".", "data/shut", "data"):  # within `data` is what is denied
        assert why(bounds, Kind.DIRECTORY, tmp_path / path), path


def test_hosts(tmp_path: Path) -> None:
    """By name, by name and port, and by network for addresses; whatever they are spelled like."""
    spec = "hosts: ['*.internal:8200', vault.example.com, 10.0.0.0/8, '[::1]:8200']\n"
    bounds = bounds_of(policy(tmp_path, spec + "deny: {hosts: [10.0.0.1, evil.internal]}"))
    for host in ("https://a.internal:8200", "https://VAULT.example.com.", "http://10.2.3.4:1", "http://[::1]:8200"):
        assert why(bounds, Kind.HOST, host) == "", host
    for host in (
        "https://a.internal",
        "https://a.internal:8200@evil.example",
        "https://internal:8200",
        "https://vault.example.com.evil.example",
        "http://10.0.0.1",
        "http://0xa.1",
        "http://[::ffff:10.0.0.1]",
        "https://evil.internal.:8200",
        "http://10.evil.example",
        "http://[::1]",
        "nonsense:x",
    ):
        assert why(bounds, Kind.HOST, host), host


def test_an_address_that_names_no_host_is_refused_by_the_rule_that_there_is(tmp_path: Path) -> None:
    """A policy that only denies hosts has no list to point at."""
    denied = why(bounds_of(policy(tmp_path, "deny: {hosts: [evil.example]}")), Kind.HOST, "nonsense:x")
    assert "deny.hosts" in denied
    assert "deny.hosts" not in why(bounds_of(policy(tmp_path, "hosts: [good.example]")), Kind.HOST, "nonsense:x")


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("[2001:DB8:0:0::1]", "https://[2001:db8::1]"),
        ("[2001:db8::1]", "https://[2001:DB8:0:0::1]:8200"),
        ("[::ffff:10.1.2.3]", "https://10.1.2.3"),
        ("[0:0:0:0:0:0:0:1]:8200", "https://[::1]:8200"),
        ("010.0.0.1", "https://8.0.0.1"),
        ("0x7f000001", "http://127.0.0.1"),
        ("::ffff:10.0.0.0/104", "https://10.1.2.3"),
        ("Vault.Example.COM.", "https://vault.example.com"),
        ("*.EXAMPLE.com", "https://vault.example.com"),
    ],
)
def test_other_spellings_of_a_host_in_a_policy(tmp_path: Path, pattern: str, host: str) -> None:
    """However a rule spells a host, it is that host: where it is denied, and where it is all that is permitted."""
    assert why(bounds_of(policy(tmp_path, f"deny: {{hosts: ['{pattern}']}}")), Kind.HOST, host)
    assert why(bounds_of(policy(tmp_path, f"hosts: ['{pattern}']")), Kind.HOST, host) == ""


def test_the_home_directory_in_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` is the home directory of whoever runs SecretSync, for rules that deny and for those that permit."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    bounds = bounds_of(policy(tmp_path, "deny: {paths: [~/.ssh]}\nfiles: {roots: [~/export]}"))
    assert why(bounds, Kind.FILE, tmp_path / "home" / ".ssh" / "id_rsa")
    assert why(bounds, Kind.DIRECTORY, tmp_path / "home" / "export" / "x") == ""


def test_all_policies_must_permit(tmp_path: Path) -> None:
    """Of two policies the stricter one counts, for every rule."""
    policy(tmp_path, "credentials: {env: [VAULT_*]}\nexec: Allow\nplainHttp: Allow", "one")
    environ = policy(tmp_path, "credentials: {env: ['*_TOKEN']}\nexec: Deny\nplainHttp: Deny", "two")
    bounds = bounds_of(environ | {"SECRETSYNC_ALLOW_EXEC": "1"})
    assert why(bounds, Kind.VARIABLE, "VAULT_TOKEN") == ""
    assert "policy one" in why(bounds, Kind.VARIABLE, "OTHER_TOKEN")
    assert "policy two" in why(bounds, Kind.VARIABLE, "VAULT_KEY")
    refusal = bounds.judge_exec("the plugin")
    assert refusal is not None
    assert "policy two" in refusal.why
    assert "policy two" in why(bounds, Kind.HOST, "http://vault.example.com")
    assert why(bounds, Kind.HOST, "http://127.0.0.1:8200") == ""


def test_profiles_and_roles(tmp_path: Path) -> None:
    """AWS profiles and roles are bounded by name."""
    spec = "credentials:\n  awsProfiles: [sync]\n  awsRoles: ['arn:aws:iam::111122223333:role/**']"
    bounds = bounds_of(policy(tmp_path, spec))
    assert why(bounds, Kind.AWS_PROFILE, "sync") == ""
    assert why(bounds, Kind.AWS_PROFILE, "admin")
    assert why(bounds, Kind.AWS_ROLE, "arn:aws:iam::111122223333:role/path/x") == ""
    assert why(bounds, Kind.AWS_ROLE, "arn:aws:iam::999922223333:role/x")


def test_service_accounts(tmp_path: Path) -> None:
    """Google's service accounts to act as are bounded by name."""
    spec = (
        "credentials:\n  gcpServiceAccounts: ['*@acme.iam.gserviceaccount.com']\ndeny: {gcpServiceAccounts: ['root@*']}"
    )
    bounds = bounds_of(policy(tmp_path, spec))
    assert why(bounds, Kind.GCP_SERVICE_ACCOUNT, "sync@acme.iam.gserviceaccount.com") == ""
    assert why(bounds, Kind.GCP_SERVICE_ACCOUNT, "sync@other.iam.gserviceaccount.com")
    assert why(bounds, Kind.GCP_SERVICE_ACCOUNT, "root@acme.iam.gserviceaccount.com")


def test_the_policy_itself_is_no_file(tmp_path: Path) -> None:
    """A document can neither read nor overwrite the policy."""
    bounds = bounds_of(policy(tmp_path, "exec: Deny"))
    assert why(bounds, Kind.FILE, tmp_path / "policies" / "one.yaml")
    assert why(bounds, Kind.DIRECTORY, tmp_path / "policies")
    assert why(bounds, Kind.DIRECTORY, tmp_path)


# -- Policies that cannot be used permit nothing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind: [",
        "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: x}\nspec: {}",
        HEAD % ("x", "  hosts: ['https://a']"),
        HEAD % ("x", "  hosts: [10.0.0.0/99]"),
        HEAD % ("x", "  exec: Maybe"),
        HEAD % ("x", "  unknown: 1"),
        HEAD % ("x", "  flows: [{name: all, deny: {}}]"),
        HEAD % ("x", "  credentials: {env: ['a**']}"),
        HEAD % ("x", "  {}") + "---\n" + HEAD % ("x", "  {}"),
        HEAD % ("x", "  hosts: ['[:::]']"),
        HEAD % ("x", "  hosts: [münchen.example]"),
        HEAD % ("x", "  deny: {hosts: [münchen.example]}"),
        HEAD % ("x", "  deny: {paths: ['$HOME/.ssh']}"),
        HEAD % ("x", "  files: {roots: ['~no-such-user/x']}"),
    ],
)
def test_a_policy_with_an_error(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with it, a policy that is there and cannot be understood permits nothing."""
    (tmp_path / "policy.yaml").write_text(text)
    bounds = bounds_of({"SECRETSYNC_POLICY": str(tmp_path / "policy.yaml")})
    assert "it cannot be used" in why(bounds, Kind.VARIABLE, "VAULT_TOKEN")
    assert "policy.yaml" in why(bounds, Kind.HOST, "https://a")
    assert bounds.judge_exec("x") is not None


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    """A name that leads nowhere, or to an empty directory, permits nothing; nor does a variable that is empty."""
    for place in (tmp_path / "nowhere", tmp_path, "", " "):
        assert "it cannot be used" in why(bounds_of({"SECRETSYNC_POLICY": str(place)}), Kind.VARIABLE, "A")
    refusal = bounds_of({"SECRETSYNC_POLICY": ""}).judge(Use(Kind.VARIABLE, "A"))
    assert refusal is not None
    assert refusal.hint.startswith("Unset it, or name the policy")
    assert why(bounds_of({}), Kind.VARIABLE, "A") == ""


@pytest.mark.parametrize(
    ("spec", "field", "line"),
    [
        ("hosts:\n#  - a", "spec.hosts", 5),
        ("exec: Deny\nfiles: {roots: }", "spec.files.roots", 6),
        ("credentials:\n  env:\n  #  - VAULT_*", "spec.credentials.env", 6),
        ("credentials:", "spec.credentials", 5),
        ("exec:", "spec.exec", 5),
        ("flows: [{name: a, deny: {from: {keys: , kinds: [vault]}}}]", "spec.flows[0].deny.from.keys", 5),
    ],
)
def test_what_is_left_empty_is_no_bound_that_is_left_out(tmp_path: Path, spec: str, field: str, line: int) -> None:
    """A list of which all entries are commented out permits nothing, and is told by its line."""
    policies = read_policies(policy(tmp_path, spec))
    told = [problem for problem in policies.problems if problem.message.startswith(f"{field} is empty")]
    assert [problem.line for problem in told] == [line]
    assert "write []" in told[0].hint
    assert why(bounds_of(policy(tmp_path, spec)), Kind.VARIABLE, "A")


def test_a_policy_that_everybody_may_write(tmp_path: Path) -> None:
    """A policy is the operator's: one that others may change is none, nor one in a directory that they may."""
    environ = policy(tmp_path, "exec: Allow")
    file = tmp_path / "policies" / "one.yaml"
    file.chmod(0o606)
    assert "can be written by everybody" in why(bounds_of(environ), Kind.VARIABLE, "A")
    file.chmod(0o644)
    assert why(bounds_of(environ), Kind.VARIABLE, "A") == ""
    file.parent.chmod(0o707)
    assert "its directory can be written by everybody" in why(bounds_of(environ), Kind.VARIABLE, "A")


def test_a_policy_that_a_group_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is others, unless it is ours alone; each directory on the way down counts, and each with a link."""
    monkeypatch.setattr(trusted_files, "_is_ours_alone", lambda _: False)
    environ = policy(tmp_path, "exec: Allow")
    top = tmp_path / "policies"
    deep = top / "team" / "sub"
    deep.mkdir(parents=True, mode=0o755)
    (top / "one.yaml").rename(deep / "one.yaml")
    assert why(bounds_of(environ), Kind.VARIABLE, "A") == ""
    for part in (deep / "one.yaml", deep, top / "team", top):
        mode = part.stat().st_mode
        part.chmod(mode | 0o020)
        assert "can be written by its group" in why(bounds_of(environ), Kind.VARIABLE, "A"), part
        part.chmod(mode)
    monkeypatch.setattr(trusted_files, "_is_ours_alone", lambda _: True)
    (deep / "one.yaml").chmod(0o660)
    assert why(bounds_of(environ), Kind.VARIABLE, "A") == ""


def test_a_policy_by_way_of_a_link_that_others_may_change(tmp_path: Path) -> None:
    """The directory with a link to the policy counts, the next link's too, and the one that it leads to in the end."""
    environ = policy(tmp_path, "exec: Allow")
    top = tmp_path / "policies"
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link").symlink_to(top)
    (tmp_path / "first").symlink_to(shared / "link")
    ways = [shared / "link", shared / "link" / "one.yaml", tmp_path / "first"]
    assert all(why(bounds_of({"SECRETSYNC_POLICY": str(way)}), Kind.VARIABLE, "A") == "" for way in ways)
    shared.chmod(0o777)
    for way in ways:
        assert "written by everybody" in why(bounds_of({"SECRETSYNC_POLICY": str(way)}), Kind.VARIABLE, "A"), way
    (top / "one.yaml").rename(shared / "one.yaml")
    (top / "one.yaml").symlink_to(shared / "one.yaml")
    assert "written by everybody" in why(bounds_of(environ), Kind.VARIABLE, "A")
    shared.chmod(0o755)
    assert why(bounds_of(environ), Kind.VARIABLE, "A") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_policy_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could change it, or its directory; where the mount is read-only, nobody can."""
    environ = policy(tmp_path, "exec: Allow")
    top = tmp_path / "policies"
    for part in (top, top / "one.yaml"):
        os.chown(part, 4712, 0)
        assert "belongs to another user (uid 4712)" in why(bounds_of(environ), Kind.VARIABLE, "A")
        os.chown(part, 0, 0)
    assert why(bounds_of(environ), Kind.VARIABLE, "A") == ""
    os.chown(top, 4712, 0)
    monkeypatch.setattr(os, "statvfs", lambda _: type("Mount", (), {"f_flag": os.ST_RDONLY}))
    assert why(bounds_of(environ), Kind.VARIABLE, "A") == ""


def test_a_policy_among_documents_that_a_link_leads_to(tmp_path: Path) -> None:
    """Documents that are found by a link in the directory are their authors' as well, where they really are."""
    environ = policy(tmp_path, "exec: Allow")
    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "stores.yaml").write_text("x: 1\n")
    (docs / "stores.yaml").symlink_to(tmp_path / "stores.yaml")
    assert not bounds_of(environ, documents=[docs]).problems
    (docs / "team").symlink_to(tmp_path)
    assert "inside the documents' directory" in str(bounds_of(environ, documents=[docs]).problems)


def test_a_policy_beside_documents_that_are_named_one_by_one(tmp_path: Path) -> None:
    """Of files that are named themselves nothing but these files is their authors'."""
    environ = policy(tmp_path, "exec: Allow")
    (tmp_path / "job.yaml").write_text("x: 1\n")
    assert not bounds_of(environ, documents=[tmp_path / "job.yaml"]).problems
    (tmp_path / "link.yaml").symlink_to(tmp_path / "policies" / "one.yaml")
    assert "the policy is the document" in str(bounds_of(environ, documents=[tmp_path / "link.yaml"]).problems)


def test_a_policy_among_the_documents(tmp_path: Path) -> None:
    """Whoever writes documents must not write the policy: it stands outside, links followed."""
    environ = policy(tmp_path, "exec: Allow")
    assert "inside the documents' directory" in str(bounds_of(environ, documents=[tmp_path]).problems)
    (tmp_path / "docs").mkdir()
    assert not bounds_of(environ, documents=[tmp_path / "docs"]).problems
    (tmp_path / "docs" / "p.yaml").write_text(HEAD % ("x", "  {}"))
    (tmp_path / "away.yaml").symlink_to(tmp_path / "docs" / "p.yaml")
    linked = {"SECRETSYNC_POLICY": str(tmp_path / "away.yaml")}
    assert bounds_of(linked, documents=[tmp_path / "docs"]).problems


def test_a_policy_that_changes(tmp_path: Path) -> None:
    """A changed policy counts from the next store on that is opened."""
    environ = policy(tmp_path, "hosts: [a]")
    assert read_policies(environ).found[0].spec.hosts == ("a",)
    policy(tmp_path, "hosts: [bb]")
    assert read_policies(environ).found[0].spec.hosts == ("bb",)
