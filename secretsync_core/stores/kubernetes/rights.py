"""Asks the API server what our credential may do there, by SelfSubjectAccessReviews, which everybody may make.

Each asks for one verb on one Secret, which need not exist, and its answer is that of every authorizer of the cluster.
Admission policies and quotas are none of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.errors import MalformedAnswer, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.kubernetes.answers import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.stores.kubernetes.answers import Received
    from secretsync_core.stores.kubernetes.client import Client
    from secretsync_core.stores.kubernetes.names import Names

MOST = 10
"""How many reviews are asked for at the most."""

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

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


async def missing_rights(client: Client, names: Names, wanted: Sequence[Access]) -> list[Missing]:
    """Those of ``wanted`` that the cluster would not let us do; see ``AccessChecker``."""
    demands = list(_demands(names, wanted))
    questions = list(dict.fromkeys(question for _, question in demands))[:MOST]
    answers = await asyncio.gather(*(_is_refused(client, question) for question in questions))
    refused = {question for question, no in zip(questions, answers, strict=True) if no}
    return [Missing(access, _grant(question)) for access, question in demands if question in refused]


def _demands(names: Names, wanted: Sequence[Access]) -> Iterator[tuple[Access, _Question]]:
    """What to ask: for the first key of each act in each namespace."""
    asked: set[tuple[Act, str | None]] = set()
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
        if (act, namespace) in asked:
            continue
        asked.add((act, namespace))
        for verb in _VERBS[act]:
            yield access, _Question(verb, namespace, name)


async def _is_refused(client: Client, question: _Question) -> bool:
    """Whether the server says for sure that it would refuse; not where it does not tell."""
    verb, namespace, name = question
    attributes = {"verb": verb, "group": "", "version": "v1", "resource": "secrets"}
    attributes |= {"namespace": namespace} if namespace else {}
    attributes |= {"name": name} if name else {}
    review: dict[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    request = Request(
        client.store, "POST", _PATH, "create", "say what we may do", None, resource="selfsubjectaccessreviews"
    )
    try:
        answer = await client.call("stat", request, _says_no, review)
    except (CredentialsRefused, RateLimited):
        raise
    except MalformedAnswer:  # something before the server that does not know this question
        return False
    except StoreUnavailable:
        raise
    except StoreError:
        return False
    return answer if not isinstance(answer, Answer) else False


def _says_no(received: Received) -> bool:
    status = received.object("SelfSubjectAccessReview").part("status")
    # Where an authorizer could not be asked, a no is not the last word.
    return not status.flag("allowed") and not status.text_or_none("evaluationError")


def _grant(question: _Question) -> str:
    where = f"in the namespace {question.namespace}" if question.namespace else "in all namespaces (by a ClusterRole)"
    return f"{question.verb} on secrets {where}"
