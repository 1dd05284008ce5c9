"""Only what Dagster makes public is used: the rest changes without notice."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import secretsync_dagster


def _private(tree: ast.Module) -> list[str]:
    """What a module takes of Dagster that it keeps to itself, as far as the source tells.

    Names that begin with an underscore: in imports, and on anything but ``self``, ``cls`` and what the module itself
    imports of this project. Python's own ``os._exit`` is public, whatever its name, and so is ``_replace`` of its named
    tuples.
    """
    ours: set[str] = {"self", "cls"}
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("secretsync_"):
            ours.update(alias.asname or alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom | ast.Import):
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = [base + alias.name for alias in node.names]
            found += [name for name in names if name.startswith("dagster") and "._" in f".{name}"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            root = node.value
            if (
                ast.unparse(node) != "os._exit"
                and node.attr != "_replace"
                and not (isinstance(root, ast.Name) and root.id in ours)
            ):
                found.append(ast.unparse(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "getattr",
            "import_module",
            "__import__",
        ):
            texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
            found += [text for text in texts if isinstance(text, str) and "._" in f".{text}"]
    return found


def test_only_the_public_interface_of_dagster_is_used() -> None:
    """No module imports what Dagster keeps to itself, nor asks an object of Dagster's for it.

    But one, which only words a message, and leaves it in Dagster's words where there is no such thing any more.
    """
    files = sorted(Path(secretsync_dagster.__file__).parent.rglob("*.py"))
    assert len(files) > 10
    taken = {file.name: found for file in files if (found := _private(ast.parse(file.read_text())))}
    assert taken == {"left_out.py": ["_handlers"]}


@pytest.mark.parametrize(
    "code",
    [
        "import dagster._core.events",
        "import dagster._core as c",
        "from dagster._core import events",
        "from dagster import _check",
        "from dagster_graphql.schema._x import y",
        "import dagster as dg\ndg._check.failed('')",
        "def f(context): return context.instance._event_storage",
        "def f(context): return context._step_execution_context.step",
        "def f(context): return getattr(context, '_step')",
        "import importlib\nimportlib.import_module('dagster._core')",
    ],
)
def test_what_is_private_would_be_found(code: str) -> None:
    """A control of the test above."""
    assert _private(ast.parse(code))
