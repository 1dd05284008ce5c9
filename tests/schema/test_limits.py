"""``limits`` of a SecretStore: what of the store is put up with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.endurance import MIB, Endurance
from secretsync_core.errors import DocumentError
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path


def _endurance(path: Path, limits: str) -> Endurance:
    (path / "store.yaml").write_text(
        "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: one}\n"
        f"spec:\n  {limits}\n  provider: {{memory: {{}}}}\n"
    )
    return load_directory(path).stores["one"].endurance


def test_a_document_without_limits_has_those_of_every_store(tmp_path: Path) -> None:
    """Documents of before are held to the defaults."""
    assert _endurance(tmp_path, "permissions: Read") == Endurance()


def test_limits_are_what_the_store_is_held_to(tmp_path: Path) -> None:
    """Each field by itself; what is left out is as ever."""
    told = _endurance(tmp_path, "limits: {request: 5m, listing: 8h, answerMiB: 64, pages: 7}")
    assert told == Endurance(request=300.0, listing=28_800.0, answer=64 * MIB, pages=7)
    assert _endurance(tmp_path, "limits: {pages: 7}") == Endurance(pages=7)


@pytest.mark.parametrize("limits", ["request: 0s", "request: 5", "answerMiB: 0", "answerMiB: 1.5", "pages: -1", "x: 1"])
def test_limits_that_bound_nothing_are_refused(tmp_path: Path, limits: str) -> None:
    """With the field and what it may be."""
    with pytest.raises(DocumentError) as caught:
        _endurance(tmp_path, f"limits: {{{limits}}}")
    assert all("spec.limits" in problem.message for problem in caught.value.problems)
