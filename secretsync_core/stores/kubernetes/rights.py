"""Asks the API server what our credential may do there, by reviews, which everybody may ask for.

A SelfSubjectAccessReview asks for one verb on one Secret, which need not exist, and its answer is that of every
authorizer of the cluster. Where it says no, a SelfSubjectRulesReview tells all rules of the namespace, so that the
other Secrets are known too. Admission policies and quotas are no authorizers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from secretsync_core.errors import MalformedAnswer, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.kubernetes.answers import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from secretsync_core.stores.kubernetes.answers import Received
    from secretsync_core.stores.kubernetes.client import Client
    from secretsync_core.stores.kubernetes.names import Names

T = TypeVar("T")

MOST = 10
"""How many reviews are asked for at the most."""

_GROUP = "authorization.k8s.io/v1"

# A Secret is read before it is written again or deleted.
_VERBS = {
    Act.LIST: ("list",),
    Act.LOOK: ("get",),
    Act.READ: ("get",),
    Act.CREATE: ("create",),
    Act.UPDATE: ("get", "update"),
    Act.DELETE: ("get", "delete"),
}


class _Question(NamedTuple):
    """One verb on the Secrets of a namespace, or (``None``) of all; ``name`` is empty where no name counts."""

    verb: str
    namespace: str | None
    name: str


class _Rule(NamedTuple):
    """One rule of a namespace, as the server tells it. No names are all names."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]

    def grants(self, question: _Question) -> bool:
        """Whether it allows what is asked."""
        found = (self.verbs, question.verb), (self.groups, ""), (self.resources, "secrets")
        return all(held & {"*", wanted} for held, wanted in found) and (not self.names or question.name in self.names)


async def missing_rights(client: Client, names: Names, wanted: Sequence[Access]) -> list[Missing]:
    """Those of ``wanted`` that the cluster would not let us do; see ``AccessChecker``."""
    demands = list(_demands(names, wanted))
    first = {(access.act, question.verb, question.namespace): question for access, question in reversed(demands)}
    questions = [question for question in dict.fromkeys(each for _, each in demands) if question in first.values()]
    questions = questions[:MOST]
    answers = await asyncio.gather(*(_is_refused(client, question) for question in questions))
    refused = {question for question, no in zip(questions, answers, strict=True) if no}
    # Another name may be granted where the first one is not, and only the rules themselves tell.
    unclear = {question.namespace for question in refused if question.name and question.namespace}
    rules = {space: await _rules(client, space) for space in sorted(unclear)[: MOST - len(questions)]}

    def is_missing(question: _Question) -> bool:
        if question in questions:
            return question in refused
        known = rules.get(question.namespace or "")
        return known is not None and not any(rule.grants(question) for rule in known)

    return [Missing(access, _grant(question)) for access, question in demands if is_missing(question)]


def _demands(names: Names, wanted: Sequence[Access]) -> Iterator[tuple[Access, _Question]]:
    """What each access takes."""
    for access in wanted:
        act, key = access
        if act is Act.LIST:
            scope = names.scope(key, recursive=True)
            if scope is None:
                continue
            namespace, name = scope.namespace, ""
        else:
            place = names.find(key) if key and not key.endswith("/") else None
            if place is None:  # the versions of a folder, which its listing gives
                continue
            # The name of what is created is not known yet where rights are looked at.
            namespace, name = place.namespace, "" if act is Act.CREATE else place.name
        for verb in _VERBS[act]:
            yield access, _Question(verb, namespace, name)


async def _is_refused(client: Client, question: _Question) -> bool:
    """Whether the server says for sure that it would refuse; not where it does not tell."""
    verb, namespace, name = question
    attributes = {"verb": verb, "group": "", "version": "v1", "resource": "secrets"}
    attributes |= {"namespace": namespace} if namespace else {}
    attributes |= {"name": name} if name else {}
    return bool(await _review(client, "SelfSubjectAccessReview", {"resourceAttributes": attributes}, _says_no))


async def _rules(client: Client, namespace: str) -> list[_Rule] | None:
    """All that we may do in a namespace; ``None`` where the server does not tell all of it."""
    return await _review(client, "SelfSubjectRulesReview", {"namespace": namespace}, _all_rules)


async def _review(client: Client, kind: str, spec: dict[str, Any], parse: Callable[[Received], T]) -> T | None:
    """One review; ``None`` where the server, or something before it, does not know such a question or forbids it."""
    resource = f"{kind.lower()}s"
    request = Request(
        client.store, "POST", f"/apis/{_GROUP}/{resource}", "create", "say what we may do", None, resource=resource
    )
    try:
        answer = await client.call("stat", request, parse, {"apiVersion": _GROUP, "kind": kind, "spec": spec})
    except (CredentialsRefused, RateLimited):
        raise
    except MalformedAnswer:
        return None
    except StoreUnavailable:
        raise
    except StoreError:
        return None
    return answer if not isinstance(answer, Answer) else None


def _all_rules(received: Received) -> list[_Rule] | None:
    status = received.object("SelfSubjectRulesReview").part("status")
    if status.flag("incomplete") or status.text_or_none("evaluationError"):
        return None
    lists = ("verbs", "apiGroups", "resources", "resourceNames")
    return [
        _Rule(*(frozenset(map(str, rule.items(name))) if rule.has(name) else frozenset() for name in lists))
        for rule in (status.parts("resourceRules") if status.has("resourceRules") else ())
    ]


def _says_no(received: Received) -> bool:
    status = received.object("SelfSubjectAccessReview").part("status")
    # Where an authorizer could not be asked, a no is not the last word.
    return not status.flag("allowed") and not status.text_or_none("evaluationError")


def _grant(question: _Question) -> str:
    where = f"in the namespace {question.namespace}" if question.namespace else "in all namespaces (by a ClusterRole)"
    return f"{question.verb} on secrets {where}"
