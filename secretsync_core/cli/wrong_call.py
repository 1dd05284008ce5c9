"""Says what is wrong with a command line, without quoting it: an argument may be a credential that was pasted there."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from secretsync_core.known import listed, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAFE_REASON = re.compile(r"Input should be (a valid (integer|number)|(greater|less) than( or equal to)? -?[0-9.]+)")


def explain(error: Any, arguments: Sequence[str]) -> tuple[str, str]:
    """A message and a hint for an error of the CLI library's, which it names by its class."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "secretsync"
    see = f"see {path} --help"
    kind = type(error).__name__
    if kind == "NoSuchOption":
        close = next(iter(error.possibilities or ()), "") or nearest(error.option_name, _options(context))
        at = next((number for number, word in enumerate(arguments, 1) if word.startswith(error.option_name)), 0)
        which = f"word {at} of the command line" if at else "a word"
        return f"{which} is not an option of {path}", f"did you mean {close}? {see}" if close else see
    if kind == "MissingParameter":
        return f"{_called(error, context)} is missing", see
    if kind == "BadParameter":
        return f"{_called(error, context)} {_reason(error)}", see
    if kind == "BadOptionUsage":  # of an option that there is
        takes = "takes no value" if "not take" in error.message else "needs a value"
        return f"{error.option_name} {takes}", see
    commands = getattr(getattr(context, "command", None), "commands", None)
    if isinstance(commands, dict):
        close = next(filter(None, (nearest(word, commands) for word in arguments)), "")
        known = f"the commands are: {listed(commands)}"
        return f"{path} has no such command", f"did you mean {close}? {known}" if close else known
    if "extra argument" in error.message:
        named = [param.metavar for param in _params(context) if param.param_type_name == "argument"]
        return (
            "too many arguments",
            f"it takes {', '.join(named) or 'options only'}; {see}",
        )
    return "the command line cannot be parsed", see


def _params(context: Any) -> list[Any]:
    return list(context.command.params) if context is not None else []


def _options(context: Any) -> list[str]:
    return [name for param in _params(context) for name in param.opts if name.startswith("--")]


def _called(error: Any, context: Any) -> str:
    """An option or argument as its help calls it."""
    param = error.param
    if param is None:
        return "an argument"
    if param.param_type_name == "argument":
        return str(param.metavar).strip("[].")
    return " / ".join(param.opts)


def _reason(error: Any) -> str:
    """What is wrong with a value, in words that cannot quote it."""
    choices = getattr(getattr(error.param, "type_descriptor", None), "annotation", None)
    if isinstance(choices, type) and issubclass(choices, Enum):
        return f"must be one of: {', '.join(str(choice.value) for choice in choices)}"
    match = _SAFE_REASON.match(error.message)
    return match[0].replace("Input should be", "must be") if match else "has an invalid value"
