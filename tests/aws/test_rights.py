"""What an identity may do at AWS is asked of IAM where that is granted, and only what IAM says for sure is missing."""

from __future__ import annotations

import fnmatch
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from support.aws import KEYS

from secretsync_core.errors import StoreUnavailable
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.stores.aws import surroundings
from secretsync_core.stores.aws.principal import principal_of
from secretsync_core.stores.base import AccessChecker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.aws import Region

    from aws.conftest import OpenStore
    from secretsync_core.testing.gates import CountingGate

ROLE = "arn:aws:iam::123456789012:role/app/sync"
AUTH = {"accessKey": KEYS, "assumeRole": {"roleArn": ROLE}}
EVERY_ACT = [Access(act, "" if act is Act.LIST else "db") for act in Act]


class Iam:
    """A stand-in for IAM, which moto has not: it simulates ``allow``, pairs of action and resource with ``*`` in them.

    ``deny`` are explicit; ``lacks`` is what each result says to be missing of its context; ``refuses`` an error's code.
    """

    def __init__(self) -> None:
        self.allow: list[tuple[str, str]] = []
        self.deny: list[tuple[str, str]] = []
        self.lacks = ""
        self.refuses = ""
        self.asked: list[dict[str, list[str]]] = []
        iam = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = iam.answer(parse_qs(body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, asked: dict[str, list[str]]) -> tuple[int, str]:
        """Status and body for one request."""
        self.asked.append(asked)
        if self.refuses:
            return 403, f"<ErrorResponse><Error><Code>{self.refuses}</Code></Error></ErrorResponse>"
        (resource,) = asked["ResourceArns.member.1"]
        actions = [values[0] for name, values in asked.items() if name.startswith("ActionNames.member.")]
        results = "".join(self._result(action, resource) for action in actions)
        inner = f"<IsTruncated>false</IsTruncated><EvaluationResults>{results}</EvaluationResults>"
        name = "SimulatePrincipalPolicy"
        space = "https://iam.amazonaws.com/doc/2010-05-08/"
        return 200, f'<{name}Response xmlns="{space}"><{name}Result>{inner}</{name}Result></{name}Response>'

    def _result(self, action: str, resource: str) -> str:
        def names(rules: list[tuple[str, str]]) -> bool:
            return any(fnmatch.fnmatch(action, each) and fnmatch.fnmatch(resource, where) for each, where in rules)

        decision = "explicitDeny" if names(self.deny) else "allowed" if names(self.allow) else "implicitDeny"
        lacks = f"<MissingContextValues><member>{self.lacks}</member></MissingContextValues>" if self.lacks else ""
        return (
            f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
            f"<EvalDecision>{decision}</EvalDecision>{lacks}</member>"
        )


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch, region: Region) -> Iterator[Iam]:
    """IAM where boto3 looks for it; the other services are moto's."""
    iam = Iam()
    # These stand in for AWS, whose own addresses a variable may give.
    monkeypatch.setattr(surroundings, "_OF_AWS", re.compile("http://127.0.0.1:.*"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", region.address)
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", iam.address)
    yield iam
    iam.server.shutdown()
    iam.server.server_close()


async def test_what_a_policy_for_parameters_leaves_out(
    parameter_store: OpenStore, region: Region, iam: Iam, gate: CountingGate
) -> None:
    """Each action that the role lacks is told with the parameter's ARN, for one request; nothing is read or written."""
    store = await parameter_store(endpointUrl=None, path="/prod", auth=AUTH, mark="m", taggingEndpointUrl=None)
    parameter = f"arn:aws:ssm:{region.name}:123456789012:parameter/prod/db"
    iam.allow = [("ssm:Get*", "*"), ("ssm:PutParameter", "*:parameter/prod/*")]
    gate.counts.clear()
    assert await store.check_access(EVERY_ACT) == [
        Missing(Access(Act.CREATE, "db"), f"ssm:AddTagsToResource on {parameter}"),
        Missing(Access(Act.DELETE, "db"), f"ssm:DeleteParameter on {parameter}"),
    ]
    assert gate.counts == {"stat": 1}
    assert iam.asked[0]["PolicySourceArn"] == [ROLE]
    iam.allow = [("ssm:*", "*")]
    assert await store.check_access(EVERY_ACT) == []
    assert await store.check_access([]) == []


async def test_what_a_secret_may_grant_itself_is_not_missing(
    secrets_manager: OpenStore, region: Region, iam: Iam
) -> None:
    """A policy of the secret may grant what the role's does not, so there only an explicit deny counts."""
    store = await secrets_manager(endpointUrl=None, prefix="prod/", auth=AUTH)
    secret = f"arn:aws:secretsmanager:{region.name}:123456789012:secret:prod/db-AbCdEf"
    create = Missing(Access(Act.CREATE, "db"), f"secretsmanager:CreateSecret on {secret}")
    assert await store.check_access(EVERY_ACT) == [create]
    iam.deny = [("secretsmanager:Delete*", "*:secret:prod/*")]
    delete = Missing(Access(Act.DELETE, "db"), f"secretsmanager:DeleteSecret on {secret}")
    assert await store.check_access(EVERY_ACT) == [create, delete]


@pytest.mark.parametrize("refuses", ["AccessDenied", "NoSuchEntity", "ExpiredToken", "ServiceUnavailable"])
async def test_an_iam_that_does_not_tell_takes_nothing_away(
    parameter_store: OpenStore, iam: Iam, gate: CountingGate, refuses: str
) -> None:
    """Where we may not ask, IAM does not know us or fails, nothing is missing, and it is asked once."""
    iam.refuses = refuses
    store = await parameter_store(endpointUrl=None, auth=AUTH, taggingEndpointUrl=None)
    gate.counts.clear()
    assert await store.check_access(EVERY_ACT) == []
    assert gate.counts == {"stat": 1}


async def test_a_decision_that_lacks_facts_is_none(parameter_store: OpenStore, iam: Iam) -> None:
    """A policy with a condition that the simulation knows nothing of may grant it in earnest."""
    iam.lacks = "aws:SourceVpce"
    store = await parameter_store(endpointUrl=None, auth=AUTH, taggingEndpointUrl=None)
    assert await store.check_access(EVERY_ACT) == []


async def test_nobody_at_aws_is_asked_about_an_emulator(parameter_store: OpenStore, iam: Iam) -> None:
    """A store behind an endpoint of one's own does not say that it could be asked, and IAM hears nothing of it."""
    store = await parameter_store(auth={"accessKey": KEYS})
    assert not isinstance(store, AccessChecker)
    assert iam.asked == []


async def test_a_store_that_was_given_up_cannot_be_asked(
    parameter_store: OpenStore, iam: Iam, gate: CountingGate
) -> None:
    """Where the gate lets nothing through, that is told: nothing missing would say that all is well."""
    store = await parameter_store(endpointUrl=None, auth=AUTH, taggingEndpointUrl=None)
    gate.close(StoreUnavailable("down"))
    with pytest.raises(StoreUnavailable):
        await store.check_access(EVERY_ACT)
    assert iam.asked == []


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        ("arn:aws:iam::123456789012:user/team/joe", "arn:aws:iam::123456789012:user/team/joe"),
        ("arn:aws-cn:sts::123456789012:assumed-role/sync/i-0abc", "arn:aws-cn:iam::123456789012:role/sync"),
        ("arn:aws:iam::123456789012:root", None),
        ("arn:aws:sts::123456789012:federated-user/joe", None),
        ("arn:aws:sts::123456789012:assumed-role/sync", None),
        ("", None),
    ],
)
def test_whose_policies_count(caller: str, principal: str | None) -> None:
    """A session counts as its role, a user as itself; whoever has no policies of that kind is not asked about."""
    assert principal_of(caller) == principal
