"""What holds variables: projects under whatever paths they have had, groups, the instance; and the variables.

The rules are those of GitLab's models (app/models/ci/variable.rb, group_variable.rb, instance_variable.rb, and below
app/models/concerns: ci/has_variable.rb, ci/maskable.rb, ci/hidable_variable.rb, has_environment_scope.rb).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from typing import Any

from support.gitlab.refusals import ambiguous, invalid, malformed, moved, not_found

_ids = itertools.count(81)

MASKABLE = re.compile(r"[a-zA-Z0-9_+=/@:.~-]{8,}")
MASKABLE_RAW = re.compile(r"[^ \t\n\v\f\r]{8,}")
NAME = re.compile(r"[a-zA-Z0-9_]+")
SCOPE = re.compile(r"[a-zA-Z0-9_/\\${}. *-]+")  # lib/gitlab/regex.rb, environment_scope_regex
ABSENT = {"project": "Variable", "group": "GroupVariable", "instance": "InstanceVariable"}
LIMIT = {"project": ("project ci variables", 8000), "group": ("group ci variables", 30000)}
LIMIT["instance"] = ("ci instance level variables", 25)  # doc/administration/instance_limits.md


@dataclass
class Variable:
    """One of them, as GitLab keeps it."""

    key: str
    value: str
    environment_scope: str = "*"
    variable_type: str = "env_var"
    protected: bool = False
    masked: bool = False
    hidden: bool = False
    raw: bool = False
    description: str | None = None


@dataclass
class Holder:
    """A project, a group, or the instance.

    ``scoped``: whether its tier has environment scopes (groups: Premium). ``filters``: whether its version heeds the
    filter of a request (groups: 16.9).
    """

    kind: str
    path: str
    version: tuple[int, int]
    scoped: bool = True
    filters: bool = True
    most: int = 0
    id: int = field(default_factory=lambda: next(_ids))
    variables: list[Variable] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.most = self.most or LIMIT[self.kind][1]

    def put(self, key: str, value: str, **settings: Any) -> Variable:
        """Set a variable as somebody else would, past all rules."""
        scope = settings.get("environment_scope", "*")
        self.variables = [each for each in self.variables if (each.key, each.environment_scope) != (key, scope)]
        made = Variable(key, value, **settings)
        self.variables.append(made)
        return made

    def remove(self, key: str, scope: str = "*") -> None:
        """Delete one as somebody else would."""
        self.variables.remove(self.get(key, scope))

    def get(self, key: str, scope: str = "*") -> Variable:
        """One of exactly this scope."""
        return next(each for each in self.variables if (each.key, each.environment_scope) == (key, scope))

    def values(self, scope: str = "*") -> dict[str, str]:
        """What only GitLab sees."""
        return {each.key: each.value for each in self.variables if each.environment_scope == scope}

    def find(self, key: str, scope: str | None) -> Variable:
        """As find_variable of lib/api/helpers/variables_helpers.rb. Raises what it refuses with."""
        found = [each for each in self.variables if each.key == key]
        if not self.filters:
            found = found[:1]
        elif scope:
            found = [each for each in found if each.environment_scope == scope]
        if not found:
            raise not_found(ABSENT[self.kind])
        if len(found) > 1:
            raise ambiguous()
        return found[0]

    def create(self, given: dict[str, Any]) -> Variable:
        """As Ci::ChangeVariableService, action create."""
        if "value" not in given:
            raise malformed("value is missing")
        made = Variable(given["key"].strip(), given["value"])
        if self.kind == "instance" or (self.kind == "group" and not self.scoped):
            given.pop("environment_scope", None)
        if given.pop("masked_and_hidden", False) and self.version >= (17, 4):
            made.hidden = given["masked"] = True
        self._validated(self._set(made, given))
        if any((each.key, each.environment_scope) == (made.key, made.environment_scope) for each in self.variables):
            raise invalid(key=f"({made.key}) has already been taken")
        if len(self.variables) >= self.most:
            raise invalid(base=f"Maximum number of {LIMIT[self.kind][0]} ({self.most}) exceeded")
        self.variables.append(made)
        return made

    def update(self, there: Variable, given: dict[str, Any]) -> Variable:
        """As Ci::ChangeVariableService, action update."""
        if self.kind == "group" and not self.scoped:
            given.pop("environment_scope", None)
        changed = self._set(replace(there), given)
        if there.hidden and changed.masked is not there.masked:
            raise invalid(base="The visibility setting cannot be changed for masked and hidden variables.")
        self._validated(changed)
        self.variables[self.variables.index(there)] = changed
        return changed

    def shown(self, variable: Variable) -> dict[str, Any]:
        """As lib/api/entities/ci/variable.rb exposes it; younger fields only where the version has them."""
        hidden = self.kind != "instance" and variable.hidden
        told: dict[str, Any] = {
            "variable_type": variable.variable_type,
            "key": variable.key,
            "value": None if hidden else variable.value,
            "protected": variable.protected,
            "masked": variable.masked,
            "raw": variable.raw,
        }
        if self.kind != "instance":
            told["environment_scope"] = variable.environment_scope
            if self.version >= (17, 4):
                told["hidden"] = hidden
        if self.version >= (16, 2):
            told["description"] = variable.description
        return told

    def _set(self, variable: Variable, given: dict[str, Any]) -> Variable:
        for name, value in given.items():
            # Grape drops what a version does not declare.
            if name == "key" or (name == "description" and self.version < (16, 2)):
                continue
            setattr(variable, name, value.strip() if name == "environment_scope" else value)
        return variable

    def _validated(self, variable: Variable) -> Variable:
        if not NAME.fullmatch(variable.key):
            raise invalid(key="can contain only letters, digits and '_'.")
        if len(variable.key) > 255:
            raise invalid(key="is too long (maximum is 255 characters)")
        if not SCOPE.fullmatch(variable.environment_scope):
            raise invalid(environment_scope="can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.'")
        if variable.masked and not (MASKABLE_RAW if variable.raw else MASKABLE).fullmatch(variable.value):
            raise invalid(value="is invalid")
        if "\0" in variable.value:
            raise malformed("invalid byte sequence")  # lib/gitlab/middleware/handle_malformed_strings.rb
        if self.kind == "instance" and len(variable.value) > 10_000:
            raise invalid(value="The value of the provided variable exceeds the 10000 character limit")
        if len(variable.description or "") > 255:
            raise invalid(description="is too long (maximum is 255 characters)")
        return variable


class Holders:
    """All of them, on a GitLab of some version."""

    def __init__(self) -> None:
        self.version = (18, 0)
        self.instance = Holder("instance", "", self.version)
        self.projects: dict[str, Holder] = {}
        self.groups: dict[str, Holder] = {}
        self._moved: dict[str, Holder] = {}

    def project(self, path: str) -> Holder:
        """Make a project, or give the one that is there; what was called so before is forgotten."""
        self._moved.pop(path.lower(), None)
        return self.projects.setdefault(path.lower(), Holder("project", path, self.version))

    def group(self, path: str) -> Holder:
        """Make a group, or give the one that is there."""
        return self.groups.setdefault(path.lower(), Holder("group", path, self.version))

    def rename(self, old: str, new: str) -> None:
        """Rename a project, or transfer it: requests for its old path are redirected from now on."""
        found = self.projects.pop(old.lower())
        found.path = new
        self.projects[new.lower()] = self._moved[old.lower()] = found

    def find(self, kind: str, name: str, api: str) -> Holder:
        """The one that a path names, by its path or its number. Raises what GitLab refuses with."""
        if kind == "instance":
            return self.instance
        there = self.projects if kind == "project" else self.groups
        if name.isdecimal():
            found = next((each for each in there.values() if each.id == int(name)), None)
        else:
            found = there.get(name.lower())
            if found is None and kind == "project" and name.lower() in self._moved:
                raise moved(f"{api}/projects/{self._moved[name.lower()].id}")
        if found is None:
            raise not_found(kind.capitalize())
        return found
