"""The page of all errors: the classes with their codes, and the hints that the code gives with each."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import secretsync_core
from secretsync_core.distribution import extra_hint
from secretsync_core.errors import SecretSyncError
from secretsync_core.known import hint_of
from tools.docs.markdown import code, plain, prose, table
from tools.docs.markdown import page as whole_page

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT = (
    "Every error that SecretSync raises on purpose. The code stands in JSON output (`error.code`), in the ledger and "
    "in Dagster's events; the exit code is that of a command that ends with the error. A **retryable** error is "
    "retried with backoff before it counts. No message or hint ever holds a secret's value or a credential."
)
_ELSEWHERE = ("secretsync_core.testing", "secretsync_core.demo", "secretsync_core.audit.migrations")


def page() -> str:
    """The page for this version."""
    classes = _classes()
    codes: dict[str, list[type[SecretSyncError]]] = defaultdict(list)
    for error in sorted(classes, key=lambda error: (error.exit_code, error.code, len(error.__mro__), error.__name__)):
        codes[error.code].append(error)
    rows = [
        [code(name), str(first.exit_code), _retried(errors), code(first.__name__), prose(first.__doc__ or "")]
        for name, errors in codes.items()
        for first in errors[:1]
    ]
    found = _hints({error.__name__ for error in classes})
    hints = {
        name: sorted({hint for error in errors for hint in found[error.__name__]}) for name, errors in codes.items()
    }
    return whole_page(
        "Errors",
        ABOUT,
        table(["code", "exit code", "retryable", "class", "meaning"], rows),
        "## Hints\n\nWhat messages with a code advise. A word in capitals stands for a name or a number.",
        *(
            f"### `{name}`\n\n" + "\n".join(f"- {plain(hint)}" for hint in known)
            for name, known in hints.items()
            if known
        ),
    )


def _retried(errors: list[type[SecretSyncError]]) -> str:
    """Whether errors of one code are retried: a subclass may say that it does not help."""
    answers = {error.retryable for error in errors}
    return "" if answers == {False} else "yes" if answers == {True} else "if it can help"


def _classes() -> set[type[SecretSyncError]]:
    """The whole tree, wherever in the package its classes are defined."""
    for module in pkgutil.walk_packages(secretsync_core.__path__, "secretsync_core."):
        if not module.name.startswith(_ELSEWHERE):
            importlib.import_module(module.name)
    found: set[type[SecretSyncError]] = set()
    pending: list[type[SecretSyncError]] = [SecretSyncError]
    while pending:
        error = pending.pop()
        if error.__module__.startswith("secretsync_core.") and not error.__module__.startswith(_ELSEWHERE):
            found.add(error)
        pending.extend(error.__subclasses__())
    return found - {SecretSyncError}


def _hints(names: set[str]) -> dict[str, set[str]]:
    """The hints that are written where each class is raised, or made by a function that takes one.

    One that is put together elsewhere is not found.
    """
    found: dict[str, set[str]] = defaultdict(set)
    root = Path(secretsync_core.__path__[0])
    files = [file for file in sorted(root.rglob("*.py")) if file.relative_to(root).parts[0] not in ("testing", "demo")]
    trees = [ast.parse(file.read_text()) for file in files]
    made = {name: name for name in names}
    for tree in trees:
        for function, error, default in _makers(tree):
            if error in names:
                made[function] = error
                found[error].update({default} - {""})
    for tree in trees:
        for name, hint in _raised(tree):
            if name in made and hint:
                found[made[name]].add(hint)
    return found


def _makers(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """The functions that make an error with a hint that they are given: name, class, and the hint by default."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Name):
            for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
                if argument.arg == "hint":
                    yield node.name, node.returns.id, "" if default is None else _text(default)


def _raised(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for keyword in node.keywords:
                if keyword.arg == "hint":
                    yield name, _text(keyword.value)


def _text(node: ast.expr) -> str:
    """A literal, with the names of what an f-string fills in, in capitals; empty for anything else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == extra_hint.__name__:
        return extra_hint(*(_text(argument) for argument in node.args))
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == hint_of.__name__:
        there = next((_text(each.value) for each in node.keywords if each.arg == "there"), "")
        return f"did you mean NAME? {there}: NAMES"
    if not isinstance(node, ast.JoinedStr):
        return ""
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else _filled(part.value)
        for part in node.values
        if isinstance(part, ast.Constant | ast.FormattedValue)
    )


def _filled(expression: ast.expr) -> str:
    names = [each.id for each in ast.walk(expression) if isinstance(each, ast.Name)]
    names += [each.attr for each in ast.walk(expression) if isinstance(each, ast.Attribute)]
    return names[-1].strip("_").upper() if names else "…"
