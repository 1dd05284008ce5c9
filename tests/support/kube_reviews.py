"""Reviews of the fake API server: what a user may do, by the rules that every request goes by.

Fields and their types are those of ``io.k8s.api.authorization.v1`` in the API's OpenAPI description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.kube_status import Cause, Refused, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GROUP = "authorization.k8s.io"
REVIEWS = f"/apis/{GROUP}/v1/selfsubjectaccessreviews"

RULES = f"/apis/{GROUP}/v1/selfsubjectrulesreviews"

_TEXTS = frozenset({"group", "name", "namespace", "resource", "subresource", "verb", "version"})
_SELECTORS = frozenset({"fieldSelector", "labelSelector"})


def reviewed(given: Any, may: Callable[[str, str, str | None, str], bool]) -> dict[str, Any]:
    """The review with its status, as the answer to a POST. ``may`` takes verb, resource, namespace and name."""
    if not isinstance(given, dict) or given.get("kind") != "SelfSubjectAccessReview":
        raise bad_request("the object provided is unrecognized (must be of type SelfSubjectAccessReview)")
    if given.get("apiVersion") != f"{GROUP}/v1":
        raise bad_request(f"the API version in the data ({given.get('apiVersion')}) does not match {GROUP}/v1")
    spec = given.get("spec") or {}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _invalid(Cause("FieldValueInvalid", "spec.resourceAttributes", f"Invalid value: {why}"))
    allowed = resource is not None and _is_allowed(resource, may)
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"creationTimestamp": None},
        "spec": spec,
        "status": {"allowed": allowed, **({"reason": "RBAC: allowed by a rule"} if allowed else {})},
    }


def rules_of(given: Any, rules: list[tuple[list[str], str, list[str]]]) -> dict[str, Any]:
    """A SelfSubjectRulesReview with its status. ``rules`` are verbs, resource and names that count in its namespace."""
    if not isinstance(given, dict) or given.get("kind") != "SelfSubjectRulesReview":
        raise bad_request("the object provided is unrecognized (must be of type SelfSubjectRulesReview)")
    if not (given.get("spec") or {}).get("namespace"):
        raise bad_request("no namespace on request")
    found = [
        {"verbs": verbs, "apiGroups": [""], "resources": [resource], **({"resourceNames": names} if names else {})}
        for verbs, resource, names in rules
    ]
    status = {"resourceRules": found, "nonResourceRules": [], "incomplete": False}
    return {
        "kind": "SelfSubjectRulesReview",
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"creationTimestamp": None},
        "spec": {},
        "status": status,
    }


def _is_allowed(attributes: Mapping[str, Any], may: Callable[[str, str, str | None, str], bool]) -> bool:
    for field, value in attributes.items():
        if field not in _TEXTS | _SELECTORS or (field in _TEXTS and not isinstance(value, str)):
            raise bad_request(f"SelfSubjectAccessReview cannot be handled: json: cannot unmarshal {field}")
    if attributes.get("group", ""):
        return False
    namespace, name = attributes.get("namespace") or None, attributes.get("name", "")
    return may(attributes.get("verb", ""), attributes.get("resource", ""), namespace, name)


def _invalid(cause: Cause) -> Refused:
    return Refused(
        422,
        "Invalid",
        f'SelfSubjectAccessReview.authorization.k8s.io "" is invalid: {cause.field}: {cause.message}',
        details={"group": GROUP, "kind": "SelfSubjectAccessReview", "causes": [cause.json()]},
    )
