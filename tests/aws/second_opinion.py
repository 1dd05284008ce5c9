"""Which of the two servers of AWS each test runs on, and why not on both.

Where ministack differs from what AWS documents, ``test_second_opinion`` has a test of that difference, which is
expected to fail there: once it passes, what is left to moto for its sake can run on both.
"""

from __future__ import annotations

from typing import Any

import pytest

_REPLICAS = "CreateSecret passes over AddReplicaRegions, which AWS documents for it"
_LABELS = "PutSecretValue leaves a label of VersionStages where it was; AWS documents that it is moved"
_TOKEN = "PutSecretValue changes a version whose token comes again; AWS documents ResourceExistsException"
_TYPE = "PutParameter changes a parameter's type; AWS documents HierarchyTypeMismatchException"
_ABSENT = "AddTagsToResource takes a parameter that is not there; AWS documents InvalidResourceId"
_ONE_LEVEL = "DescribeParameters passes over the option OneLevel of Path, and tells what is in folders below"
_TAGS = "GetResources tells no parameters; AWS documents ssm:parameter among the types that it tells"
_MANAGED = "no request makes a secret as RDS does, and only moto has another way in (`moto_server`, /manage)"

WRONG_ON_MINISTACK = {
    "test_second_opinion.py::test_a_secret_is_made_with_its_replicas": _REPLICAS,
    "test_second_opinion.py::test_a_label_is_moved_to_the_version_that_is_written_with_it": _LABELS,
    "test_second_opinion.py::test_a_token_stands_for_one_value": _TOKEN,
    "test_second_opinion.py::test_a_parameter_keeps_its_type": _TYPE,
    "test_second_opinion.py::test_what_is_absent_takes_no_tags": _ABSENT,
    "test_second_opinion.py::test_one_level_is_what_is_in_the_folder_itself": _ONE_LEVEL,
    "test_second_opinion.py::test_tags_of_parameters_can_be_asked_for_together": _TAGS,
}
"""What AWS documents and ministack does not do."""

LEFT_TO_MOTO = {
    "test_examples.py::test_aws_to_vault": _MANAGED,
    "test_metadata.py::test_replica_regions_reach_what_is_there": _REPLICAS,
    "test_metadata.py::test_tags_of_the_document_reach_what_is_there": _TAGS,
    "test_parameter_store.py::test_a_parameter_of_another_type_is_left_alone": _TYPE,
    "test_parameter_store.py::test_marks_cost_a_request_each": _ABSENT,
    "test_parameter_store.py::test_the_tags_of_many_come_together": _TAGS,
    "test_parameter_store_conformance.py::TestParameterStore::test_set_metadata_refuses_what_is_not_there": _ABSENT,
    "test_parameter_store_conformance.py::TestParameterStore::test_what_others_created_is_marked_only_on_demand": (
        _ABSENT
    ),
    "test_parameter_store_jobs.py::test_what_does_not_fit": _TYPE,
    "test_plan.py::test_a_parameter_of_another_type": _TYPE,
    "test_recursive_hint.py::test_nothing_found_beside_folders_names_recursive": _ONE_LEVEL,
    "test_secrets_manager.py::test_created_secrets_are_as_the_document_says": _REPLICAS,
    "test_secrets_manager.py::test_replicas_of_others_are_left_alone": _REPLICAS,
    "test_secrets_manager.py::test_replicas_that_changed_are_not_taken_away": _REPLICAS,
}
"""What cannot pass on ministack."""

LEFT_TO_MINISTACK = {
    "test_second_opinion.py::test_what_is_absent_is_told_by_400": "moto tells it by 404, until we correct it",
    "test_second_opinion.py::test_what_is_to_be_deleted_takes_no_value": "moto takes one, until we correct it",
}
"""What moto gets wrong and ministack right of itself: `moto_server` makes it so by our own hand, which proves less."""


def servers(test: str) -> list[Any]:
    """The fixtures of the servers that a test runs on, by the end of its node id; ministack in slow tests only."""
    if test in LEFT_TO_MOTO:
        return ["moto"]
    marks = [pytest.mark.slow]
    if test in WRONG_ON_MINISTACK:
        marks.append(pytest.mark.xfail(strict=True, raises=AssertionError, reason=WRONG_ON_MINISTACK[test]))
    ministack = pytest.param("ministack", marks=marks)
    return [ministack] if test in LEFT_TO_MINISTACK else ["moto", ministack]
