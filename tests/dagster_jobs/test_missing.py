"""Documents that are not there: the code location fails, and says in one line what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from secretsync_dagster.component import SyncDirectoryComponent
from secretsync_dagster.load import load

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """Its path and the variable that names it, and no trace of how it was looked for."""
    gone = tmp_path / "documents"
    with pytest.raises(dg.DagsterInvalidDefinitionError) as caught:
        load([gone], directory=gone)
    assert (
        str(caught.value) == f"there are no documents at {gone}: create it, or set SECRETSYNC_CONFIG to where they are"
    )
    assert caught.value.__cause__ is None
    assert [entry.name for entry in caught.traceback][1:] == ["load"]


@pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")
def test_a_components_directory_that_is_not_there() -> None:
    """The component's own field is named."""
    with create_defs_folder_sandbox() as sandbox:
        sandbox.scaffold_component(SyncDirectoryComponent, "secrets")
        file = sandbox.defs_folder_path / "secrets" / "defs.yaml"
        file.write_text(file.read_text().replace("directory: secretsync", "directory: nowhere"))
        with pytest.raises(Exception, match="secrets") as caught, sandbox.build_all_defs():
            pass
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, dg.DagsterInvalidDefinitionError):
        cause = cause.__cause__ or cause.__context__
    assert "/secrets/nowhere: create it, or set `directory` or `documents` in the component's defs.yaml" in str(cause)
