"""One answer to one question: may a document name this? Asked when documents are loaded and when a store is opened."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import PolicyDenied
from secretsync_core.expression.glob import is_glob, parts_of
from secretsync_core.hosts import host_of, is_plain_http
from secretsync_core.policy.reading import problem_within, read_policies
from secretsync_core.protected import is_our_variable, is_within, protect, real_path
from secretsync_core.schema.named import Kind, Use
from secretsync_core.schema.plain_http import HINT as USE_HTTPS
from secretsync_core.schema.policy import Exec, HostPattern, PlainHttp
from secretsync_core.selection import pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from secretsync_core.errors import Problem
    from secretsync_core.hosts import Host
    from secretsync_core.policy.reading import Policies, Policy
    from secretsync_core.protected import Protected
    from secretsync_core.schema.documents import StoreDocument
    from secretsync_core.selection import Pattern

EXEC_FLAG = "SECRETSYNC_ALLOW_EXEC"
"""Set to 1 it lets exec plugins run where no policy says anything of them."""

ASK = "Ask whoever maintains the policy."

_A_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class Refusal(NamedTuple):
    """Why something is not permitted: a sentence's end, and what to do. Names nothing that may be a secret."""

    why: str
    hint: str = ASK


class Bounds:
    """The policies of one process, and what is protected without any."""

    def __init__(self, policies: Policies, protected: Protected, *, exec_flag: bool) -> None:
        self._all = policies
        self.policies: Sequence[Policy] = policies.found
        self._protected = protected
        self._exec_flag = exec_flag

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with the policies; with one, nothing is permitted."""
        return self._all.problems

    @property
    def plain_http(self) -> PlainHttp:
        """What becomes of ``http://`` to another host: the strictest that a policy says."""
        said = {policy.spec.plain_http for policy in self.policies} or {PlainHttp.WARN}
        return next(each for each in (PlainHttp.DENY, PlainHttp.WARN, PlainHttp.ALLOW) if each in said)

    # -- What documents name

    def broken(self) -> Refusal | None:
        """Why nothing at all is permitted."""
        if not self.problems:
            return None
        first = self.problems[0]
        return Refusal(f"there is a policy, and it cannot be used: {first.where}: {first.message}", first.hint or ASK)

    def judge(self, use: Use) -> Refusal | None:
        """Why something may not be named; None where it may."""
        if (refusal := self.broken()) is not None:
            return refusal
        match use.kind:
            case Kind.VARIABLE:
                return self._variable(use.text)
            case Kind.FILE:
                return self._file(use.text)
            case Kind.DIRECTORY:
                return self._directory(use.text)
            case Kind.HOST:
                return self._host(use.text)
            case Kind.AWS_PROFILE:
                return self._listed(use, "aws_profiles", "awsProfiles")
            case Kind.AWS_ROLE:
                return self._listed(use, "aws_roles", "awsRoles")
            case Kind.GCP_SERVICE_ACCOUNT:
                return self._listed(use, "gcp_service_accounts", "gcpServiceAccounts")

    def judge_store(self, store: StoreDocument) -> Refusal | None:
        """Why there may be no store of this kind, or without its labels."""
        for policy in self.policies:
            spec = policy.spec
            if spec.stores.kinds is not None and not _any(spec.stores.kinds, store.provider):
                return Refusal(f"{policy.rule('stores', 'kinds')} does not permit stores of the kind {store.provider}")
            if _any(spec.deny.kinds, store.provider):
                return Refusal(f"{policy.rule('deny', 'kinds')} denies stores of the kind {store.provider}")
            for label in spec.stores.required_labels:
                if not store.labels.get(label):
                    rule = policy.rule("stores", "requiredLabels")
                    return Refusal(f"{rule} asks for the label {label}", f"Add metadata.labels.{label}.")
        return self.broken()

    def lists_host(self, address: str) -> bool:
        """Whether the operator says that this host may be named: a policy lists it, and none is against it.

        That is asked where a document says where to go, and the credentials are not the document's.
        """
        host = host_of(address)
        listed = host is not None and any(
            policy.spec.hosts is not None and is_host_listed(host, policy.spec.hosts) for policy in self.policies
        )
        return listed and self.judge(Use(Kind.HOST, address)) is None

    def judge_proxy(self, address: str) -> Refusal | None:
        """Why a proxy on the way to an https server may not be named: by its host alone.

        What goes through it is encrypted to the server, so that ``http://`` to the proxy itself gives nothing away.
        """
        return self.broken() or self._listed_host(address)

    def judge_exec(self, what: str) -> Refusal | None:
        """Why a program may not be run; ``what`` it is, such as ``the exec plugin of the kubeconfig``."""
        if (refusal := self.broken()) is not None:
            return refusal
        said = [policy for policy in self.policies if policy.spec.exec is not None]
        for policy in said:
            if policy.spec.exec is Exec.DENY:
                return Refusal(f"{policy.rule('exec')} does not let {what} run")
        if said or self._exec_flag:
            return None
        hint = f"Whoever runs SecretSync can set {EXEC_FLAG}=1, or exec: Allow in a policy."
        return Refusal(f"{what} would run a program, which nobody has permitted outside the documents", hint)

    def warning_of(self, address: str) -> str:
        """What is to be said of an address that is permitted; empty where nothing is."""
        if self.plain_http is not PlainHttp.WARN or not is_plain_http(address):
            return ""
        return "an address that is not https: tokens and secrets cross the network unencrypted"

    def _variable(self, name: str) -> Refusal | None:
        shown = f"the variable {name}" if _A_NAME.fullmatch(name) and _looks_set_by_people(name) else "this variable"
        if is_our_variable(name):
            return Refusal(
                f"{shown} is reserved for SecretSync and Dagster, and is not a credential", "Name another variable."
            )
        for policy in self.policies:
            credentials, deny = policy.spec.credentials, policy.spec.deny
            if credentials.env is not None and not _any(credentials.env, name):
                return Refusal(f"{policy.rule('credentials', 'env')} does not permit {shown}")
            if _any(deny.env, name):
                return Refusal(f"{policy.rule('deny', 'env')} denies {shown}")
        return None

    def _file(self, path: str) -> Refusal | None:
        if fault := self._protected.forbids_file(path):
            return Refusal(f"the file {fault}", "Name another file.")
        for policy in self.policies:
            directories = policy.spec.credentials.directories
            if directories is not None and not _below(path, directories):
                return Refusal(f"{policy.rule('credentials', 'directories')} does not permit files there")
            if _below(path, policy.spec.deny.paths):
                return Refusal(f"{policy.rule('deny', 'paths')} denies files there")
        return None

    def _directory(self, path: str) -> Refusal | None:
        if fault := self._protected.forbids_directory(path):
            return Refusal(f"the directory {fault}", "Name another directory.")
        real = real_path(path)
        for policy in self.policies:
            roots, denied = policy.spec.files.roots, policy.spec.deny.paths
            if roots is not None and not _below(path, roots):
                return Refusal(f"{policy.rule('files', 'roots')} does not permit stores there")
            if _below(path, denied) or any(is_within(real_path(each), real) for each in denied):
                return Refusal(f"{policy.rule('deny', 'paths')} denies stores there")
        return None

    def _host(self, address: str) -> Refusal | None:
        for policy in self.policies:
            if policy.spec.plain_http is PlainHttp.DENY and is_plain_http(address):
                return Refusal(f"{policy.rule('plainHttp')} does not permit http:// to another host", USE_HTTPS)
        return self._listed_host(address)

    def _listed_host(self, address: str) -> Refusal | None:
        host = host_of(address)
        if host is None:
            for policy in self.policies:
                if policy.spec.hosts is not None or policy.spec.deny.hosts:
                    rule = policy.rule("hosts") if policy.spec.hosts is not None else policy.rule("deny", "hosts")
                    return Refusal(f"{rule} does not permit it: it names no host for sure")
            return None
        for policy in self.policies:
            allowed, denied = policy.spec.hosts, policy.spec.deny.hosts
            if allowed is not None and not is_host_listed(host, allowed):
                return Refusal(f"{policy.rule('hosts')} does not permit this host")
            if is_host_listed(host, denied, unknown_port=True):
                return Refusal(f"{policy.rule('deny', 'hosts')} denies this host")
        return None

    def _listed(self, use: Use, field: str, named: str) -> Refusal | None:
        for policy in self.policies:
            allowed = getattr(policy.spec.credentials, field)
            if allowed is not None and not _any(allowed, use.text):
                return Refusal(f"{policy.rule('credentials', named)} does not permit this {use.kind.value}")
            if _any(getattr(policy.spec.deny, field), use.text):
                return Refusal(f"{policy.rule('deny', named)} denies this {use.kind.value}")
        return None

    # -- When a store is opened

    def check(self, refusal: Refusal | None, store: str, what: str) -> None:
        """Raise PolicyDenied for a refusal of ``what`` a store names."""
        if refusal is not None:
            raise PolicyDenied(f"{store}: {what} is refused: {refusal.why}", store=store, hint=refusal.hint)

    def check_uses(self, uses: Iterable[Use], store: str, where: str = "") -> None:
        """Raise PolicyDenied for the first that may not be named; ``where`` it stands."""
        for use in uses:
            self.check(self.judge(use), store, f"the {use.kind.value} in {where or 'its document'}")


def bounds_of(environ: Mapping[str, str], state: Sequence[str] = (), *, documents: Sequence[Path] = ()) -> Bounds:
    """The bounds of a process, by its environment.

    ``state`` are the paths of its ledger and key. ``documents`` are the files and directories with the documents, in
    which no policy may be.
    """
    policies = read_policies(environ)
    if (problem := problem_within(policies, documents)) is not None:
        policies = policies._replace(problems=(problem, *policies.problems))
    places = [*state, *policies.files, *([str(policies.place)] if policies.place is not None else [])]
    return Bounds(policies, protect(environ, places), exec_flag=_is_set(environ, EXEC_FLAG))


def _is_set(environ: Mapping[str, str], flag: str) -> bool:
    return environ.get(flag, "").strip().lower() in ("1", "true", "yes")


def is_host_listed(host: Host, patterns: Sequence[str], *, unknown_port: bool = False) -> bool:
    """Whether a host is one of these; ``unknown_port`` says what counts where a port is asked for and not known."""
    return any(_host_fits(host, _pattern(text), unknown_port) for text in patterns)


def _host_fits(host: Host, pattern: HostPattern, unknown_port: bool) -> bool:
    if pattern.network is not None:
        try:
            return ipaddress.ip_address(host.canonical) in pattern.network
        except ValueError:
            return False
    if pattern.port is not None and pattern.port != host.port and not (host.port is None and unknown_port):
        return False
    return any(matches_name(pattern.name, name) for name in {host.canonical, host.name.rstrip(".")})


@lru_cache(maxsize=1024)
def _pattern(text: str) -> HostPattern:
    return HostPattern(text)


def _any(globs: Iterable[str], text: str) -> bool:
    return any(matches_name(glob, text) for glob in globs)


def matches_name(glob: str, text: str) -> bool:
    """Whether a glob stands for a whole name; one without ``*`` and ``?`` for that name alone."""
    parts = parts_of(glob)
    if not is_glob(parts):
        return "/".join(part.literal or "" for part in parts) == text
    return _whole(glob).matches(text)


@lru_cache(maxsize=1024)
def _whole(glob: str) -> Pattern:
    return pattern_of(glob, recursive=False)


def _below(path: str, places: Iterable[str]) -> bool:
    real = real_path(path)
    return any(is_within(real, real_path(place)) for place in places)


def _looks_set_by_people(name: str) -> bool:
    """Whether a text is a variable's name, and no token in its place: those are mixed, or long without a break."""
    return name.upper() == name and not re.search(r"[A-Z0-9]{16}", name)
