"""Asks IAM what our identity may do, by SimulatePrincipalPolicy, where that is granted to it.

The answer is that of the identity's own policies. So a yes is no promise, for a policy of the organization or of the
key may refuse; and a no counts only where nothing else can grant: no policy of the secret's own, and no condition that
the simulation has not the facts for. IAM is asked once and without patience, since many networks do not lead there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.stores.answers import Part
from secretsync_core.stores.aws.answers import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from secretsync_core.stores.aws.connection import Account

MOST = 5
"""How many simulations are asked for at the most: one for each resource."""

_REFUSALS = ("implicitDeny", "explicitDeny")


class Need(NamedTuple):
    """An IAM action that an act takes. ``alone``: only policies of the identity can grant it."""

    action: str
    alone: bool = True


class Rights:
    """What one identity may do with the secrets of one store.

    ``principal`` is the ARN of its user or role, ``needs`` the actions of each act, ``resource`` gives the ARN of a
    key's secret from the account's number.
    """

    def __init__(
        self,
        account: Account,
        principal: str,
        needs: Mapping[Act, Sequence[Need]],
        resource: Callable[[str, str], str],
    ) -> None:
        self._account = account
        self._principal = principal
        self._needs = needs
        self._resource = resource
        self._number = principal.split(":")[4]

    async def missing(self, wanted: Iterable[Access]) -> list[Missing]:
        """Those of ``wanted`` that are refused for sure; the first of each act is asked for."""
        first = {access.act: access for access in reversed(list(wanted)) if access.act in self._needs}
        by_resource: dict[str, list[tuple[Access, Need]]] = {}
        for act in Act:
            if act in first:
                resource = self._resource(first[act].key, self._number)
                by_resource.setdefault(resource, []).extend((first[act], need) for need in self._needs[act])
        found = []
        for resource, demands in list(by_resource.items())[:MOST]:
            refused = await self._refused(resource, sorted({need.action for _, need in demands}))
            for access, need in demands:
                if need.action in refused and (need.alone or refused[need.action] == "explicitDeny"):
                    found.append(Missing(access, f"{need.action} on {resource}"))
        return found

    async def _refused(self, resource: str, actions: list[str]) -> dict[str, str]:
        """The decisions about those actions that are refused; empty where IAM does not tell."""
        request = Request(self._account.store, "say what we may do", None, "iam:SimulatePrincipalPolicy")

        def ask(client: Any) -> dict[str, str]:
            answer = client.simulate_principal_policy(
                PolicySourceArn=self._principal, ActionNames=actions, ResourceArns=[resource], MaxItems=100
            )
            results = Part(request, "", answer).parts("EvaluationResults")
            told = {each.text("EvalActionName"): each.text("EvalDecision") for each in results if _is_sure(each)}
            return {action: decision for action, decision in told.items() if decision in _REFUSALS}

        return await self._account.glance("iam", request, ask) or {}


def _is_sure(result: Part) -> bool:
    return not (result.has("MissingContextValues") and result.items("MissingContextValues"))
