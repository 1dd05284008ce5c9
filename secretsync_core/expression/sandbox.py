"""Turns a template's source into code that can neither run away nor reach anything but its context.

Jinja2 parses. What it parsed is held against a list of what is allowed, node by node, and everything that touches a
value is put into the hands of :mod:`operations <secretsync_core.expression.operations>` and :mod:`filters
<secretsync_core.expression.filters>`, which pay from the render's budget first. Jinja2's own operators, filters,
attribute look-up and calls are not used at all; what is left to it is scoping and control flow.

This module alone imports Jinja2, and is itself imported only when there is a template.
"""

from __future__ import annotations

import difflib
import inspect
import re
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes, pass_context
from jinja2 import Template as CompiledTemplate
from jinja2 import filters as filters_of_jinja
from jinja2 import tests as tests_of_jinja
from jinja2.runtime import Context  # noqa: TC002  kept beside its siblings
from jinja2.sandbox import ImmutableSandboxedEnvironment

from secretsync_core.expression import operations
from secretsync_core.expression.bounds import MAX_DEPTH, MAX_INTEGER, MAX_NODES, MAX_SOURCE, Failed, State
from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.filters import FILTERS, METHODS, TESTS
from secretsync_core.known import looks_like_a_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STATE = "=state"  # no template can write this name, nor those of the operations below
_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs", "loop"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Absent(StrictUndefined):
    """A name that the context lacks, or a field that a value lacks; knows what the template calls it."""

    __slots__ = ("label",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label: str = kwargs.get("name") or ""


def _refuse_absent(values: Iterable[object]) -> None:
    for value in values:
        if isinstance(value, Absent):
            if looks_like_a_name(value.label):
                raise Failed(f"'{value.label}' is undefined")
            raise Failed("a name that the template computes is undefined")


def _operation(function: Callable[..., object], *, tolerant: bool = False) -> Callable[..., object]:
    """Wrap an operation as a Jinja2 filter: finds the render's State, notes the line, stops at what is undefined."""

    @pass_context
    def run(context: Context, value: object, line: int, *args: object, **kwargs: object) -> object:
        state: State = context[STATE]
        state.line = line
        _refuse_absent((*args, *kwargs.values()))
        if isinstance(value, Absent):
            if not tolerant:
                _refuse_absent((value,))
            value = operations.ABSENT
        return function(state, value, *args, **kwargs)

    return run


@pass_context
def _get(context: Context, value: object, line: int, key: object, label: str) -> object:
    state: State = context[STATE]
    state.line = line
    _refuse_absent((value, key))
    found = operations.get(state, value, key)
    return Absent(name=label) if found is operations.ABSENT else found


def _test(_: State, value: object, name: str) -> bool:
    return TESTS[name](value)


_OPERATIONS: dict[str, Callable[..., object]] = {
    "=add": _operation(operations.add),
    "=apart": _operation(operations.apart),
    "=checked": _operation(lambda _, value: value),
    "=compare": _operation(operations.compare),
    "=concat": _operation(operations.concat),
    "=cut": _operation(operations.cut),
    "=get": _get,
    "=iterate": _operation(operations.iterate),
    "=list": _operation(lambda state, _, *items: operations.build_list(state, *items)),
    "=mapping": _operation(lambda state, _, *pairs: operations.build_mapping(state, *pairs)),
    "=output": _operation(operations.output),
    "=subtract": _operation(operations.subtract),
    "=test": _operation(_test, tolerant=True),
}


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=Absent, autoescape=False, keep_trailing_newline=True, optimized=False, cache_size=0
    )
    environment.globals.clear()
    environment.tests.clear()
    environment.filters.clear()
    environment.filters.update(_OPERATIONS)
    environment.filters.update(
        {name: _operation(function, tolerant=name in ("default", "d")) for name, function in FILTERS.items()}
    )
    return environment


def compile_source(source: str) -> tuple[CompiledTemplate, frozenset[str]]:
    """Compile a template, and tell which names it looks up in its context. Raises ExpressionError."""
    if len(source) > MAX_SOURCE:
        raise ExpressionError(f"the template is longer than {MAX_SOURCE} characters")
    environment = _environment()
    tree = _parse(environment, source)
    try:
        Rewriter(environment).template(tree)
        names = frozenset(meta.find_undeclared_variables(tree))
        code = environment.compile(tree, name="template", filename="<template>")
        return CompiledTemplate.from_code(environment, code, {}), names
    except ExpressionError:
        raise
    except Exception:  # noqa: BLE001  Python's compiler has many ways to say that it is too much
        problem = ExpressionError("the template is nested too deeply or too large")
    raise problem


def _parse(environment: ImmutableSandboxedEnvironment, source: str) -> nodes.Template:
    try:
        source.encode("utf-8")
        return environment.parse(source)
    except TemplateSyntaxError as error:
        problem = ExpressionError(_reworded(error.message or ""), error.lineno)
    except RecursionError:
        problem = ExpressionError("the template is nested too deeply")
    except Exception:  # noqa: BLE001  such as a number of thousands of digits
        problem = ExpressionError("the template is not valid Jinja2")
    raise problem  # outside of the handlers, so that no traceback of the parser holds the source


_KNOWN_WORDS = frozenset(
    [
        "begin",
        "of",
        "print",
        "statement",
        "end",
        "of",
        "statement",
        "block",
        "comment",
        "name",
        "integer",
        "float",
        "string",
        "expression",
        "template",
        "data",
        "text",
        "if",
        "elif",
        "else",
        "endif",
        "for",
        "endfor",
        "in",
        "set",
        "endset",
        "is",
        "not",
        "and",
        "or",
        "true",
        "false",
        "none",
        "{{",
        "}}",
        "{%",
        "%}",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        ":",
        ";",
        "|",
        "~",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "**",
        "=",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
    ]
)


def _reworded(message: str) -> str:
    """The parser's own sentence, less those of its quotations that may be any word of the template."""
    plain = re.sub(r"\s+", " ", message)
    return (
        re.sub(
            r"'([^']*)'|\"([^\"]*)\"",
            lambda match: match.group(0) if set((match.group(1) or "").split()) <= _KNOWN_WORDS else "something",
            plain,
        )
        .replace("‘", "")
        .strip()[:300]
    )


class Rewriter:
    """Checks a syntax tree against what is allowed, and puts operations where values are touched."""

    def __init__(self, environment: ImmutableSandboxedEnvironment) -> None:
        self._environment = environment
        self._count = 0
        self._depth = 0
        self._loops = 0

    def template(self, tree: nodes.Template) -> None:
        """Rewrite the tree in place. Raises ExpressionError at the first thing that is not allowed."""
        tree.body = self._body(tree.body)
        # New nodes need the line and environment that Jinja2's code generator looks for.
        tree.set_environment(self._environment)
        for node in tree.find_all(nodes.Node):
            if node.lineno is None:
                node.lineno = 1

    # Statements

    def _body(self, statements: list[nodes.Node]) -> list[nodes.Node]:
        return [self._statement(statement) for statement in statements]

    def _statement(self, node: nodes.Node) -> nodes.Node:
        self._enter(node)
        match node:
            case nodes.Output():
                node.nodes = [self._written(part) for part in node.nodes]
            case nodes.If():
                self._if(node)
            case nodes.For():
                self._for(node)
            case nodes.Assign():
                node.target = self._target(node.target)
                node.node = self._expression(node.node)
                if (names := _shape(node.target)) is not None:
                    node.node = self._call("=apart", node.node, node, nodes.Const(names))
            case _:
                self._refuse(node, "only {{ }}, if, for and set may stand in a template")
        self._depth -= 1
        return node

    def _written(self, node: Any) -> nodes.Expr:
        if isinstance(node, nodes.TemplateData):
            self._count += 1
            # Outside of loops literal text cannot grow, and Jinja2 writes it the fastest.
            return self._call("=output", nodes.Const(node.data), node) if self._loops else node
        return self._call("=output", self._expression(node), node)

    def _if(self, node: nodes.If) -> None:
        node.test = self._checked(node.test)
        node.body = self._body(node.body)
        for branch in node.elif_:
            self._enter(branch)
            self._if(branch)
            self._depth -= 1
        node.else_ = self._body(node.else_)

    def _for(self, node: nodes.For) -> None:
        if node.recursive:
            self._refuse(node, "a loop may not be recursive")
        node.target = self._target(node.target)
        iterable = self._expression(node.iter)
        node.else_ = self._body(node.else_)
        before = self._count
        self._loops += 1
        node.body = self._body(node.body)
        if node.test is not None:
            node.test = self._checked(node.test)
            if any(name.name == "loop" for name in node.test.find_all(nodes.Name)):
                self._refuse(node, "loop cannot be used in the condition of a loop")
        self._loops -= 1
        rounds = nodes.Const(self._count - before), nodes.Const(_shape(node.target))
        node.iter = self._call("=iterate", iterable, node, *rounds)

    def _target(self, node: nodes.Node) -> Any:
        self._enter(node)
        match node:
            case nodes.Name():
                self._name(node)
                if node.name in _RESERVED:
                    self._refuse(node, "this name cannot be set")
            case nodes.Tuple():
                node.items = [self._target(item) for item in node.items]
            case _:
                self._refuse(node, "only plain names can be set")
        self._depth -= 1
        return node

    # Expressions

    def _expression(self, node: Any) -> nodes.Expr:
        self._enter(node)
        rewritten = self._rewritten(node)
        self._depth -= 1
        return rewritten

    def _rewritten(self, node: nodes.Expr) -> nodes.Expr:
        match node:
            case nodes.Const():
                self._number(node, node.value)
                return node
            case nodes.Name():
                return self._read(node)
            case nodes.Getattr() | nodes.Getitem():
                return self._item(node)
            case nodes.Filter() | nodes.Call():
                return self._filter(node)
            case nodes.Test():
                return self._test(node)
            case nodes.Compare():
                operands = [part for op in node.ops for part in (nodes.Const(op.op), self._expression(op.expr))]
                return self._call("=compare", self._expression(node.expr), node, *operands)
            case nodes.Concat():
                head, *tail = [self._expression(part) for part in node.nodes]
                return self._call("=concat", head, node, *tail)
            case nodes.Add() | nodes.Sub():
                name = "=add" if isinstance(node, nodes.Add) else "=subtract"
                return self._call(name, self._expression(node.left), node, self._expression(node.right))
            case nodes.List() | nodes.Tuple():
                items = [self._expression(item) for item in node.items]
                return self._call("=list", nodes.Const(None), node, *items)
            case nodes.Dict():
                pairs = [self._expression(part) for pair in node.items for part in (pair.key, pair.value)]
                return self._call("=mapping", nodes.Const(None), node, *pairs)
            case _:
                return self._control(node)

    def _control(self, node: nodes.Expr) -> nodes.Expr:
        match node:
            case nodes.And() | nodes.Or():
                node.left, node.right = self._checked(node.left), self._checked(node.right)
            case nodes.Not():
                node.node = self._checked(node.node)
            case nodes.CondExpr():
                if node.expr2 is None:
                    self._refuse(node, "an inline if needs an else")
                node.test, node.expr1 = self._checked(node.test), self._expression(node.expr1)
                node.expr2 = self._expression(node.expr2)
            case nodes.Neg(node=nodes.Const(value=int() | float() as value)):
                self._number(node, value)
                return nodes.Const(-value, lineno=node.lineno)
            case nodes.Mul() | nodes.Div() | nodes.FloorDiv() | nodes.Mod() | nodes.Pow():
                self._refuse(node, "a template cannot multiply, divide or raise to a power")
            case _:
                self._refuse(node, "this kind of expression is not allowed in a template")
        return node

    def _number(self, node: nodes.Node, value: object) -> None:
        if (isinstance(value, int) and value >= MAX_INTEGER) or (isinstance(value, float) and not isfinite(value)):
            self._refuse(node, "a number is too large")

    def _name(self, node: nodes.Name) -> None:
        # Python takes look-alike letters in names for one another, and Jinja2 makes Python names of them.
        if not _IDENTIFIER.match(node.name):
            self._refuse(node, "a name has non-ASCII letters: write fields['...']")

    def _read(self, node: nodes.Name) -> nodes.Expr:
        self._name(node)
        if node.name in _RESERVED and (node.name != "loop" or self._loops):
            self._refuse(node, "this name is reserved: write fields['...']")
        return node

    def _item(self, node: nodes.Getattr | nodes.Getitem) -> nodes.Expr:
        if isinstance(node, nodes.Getattr):
            if self._loops and isinstance(node.node, nodes.Name) and node.node.name == "loop":
                if node.attr not in _LOOP:
                    self._refuse(node, f"loop has {', '.join(sorted(_LOOP))}")
                return node
            key: nodes.Expr = nodes.Const(node.attr)
        elif isinstance(node.arg, nodes.Slice):
            bounds = (node.arg.start, node.arg.stop, node.arg.step)
            parts = [nodes.Const(None) if bound is None else self._expression(bound) for bound in bounds]
            return self._call("=cut", self._expression(node.node), node, *parts)
        else:
            key = self._expression(node.arg)
        subject, label = self._expression(node.node), nodes.Const(_label(node))
        return self._call("=get", subject, node, key, label)

    def _filter(self, node: nodes.Filter | nodes.Call) -> nodes.Expr:
        if isinstance(node, nodes.Call):
            if not isinstance(node.node, nodes.Getattr) or node.node.attr not in METHODS:
                self._refuse(node, f"only these can be called, as methods: {', '.join(sorted(METHODS))}")
            name, subject = node.node.attr, node.node.node
        elif node.node is None or node.name not in FILTERS:
            self._refuse(node, _unknown("filter", node.name, FILTERS))
        else:
            name, subject = node.name, node.node
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            self._refuse(node, "* and ** are not allowed in a template")
        try:
            _signature(name).bind(None, None, *node.args, **{str(pair.key): pair.value for pair in node.kwargs})
        except TypeError:
            self._refuse(node, f"wrong arguments for {name}: {_usage(name)}")
        args = [self._expression(arg) for arg in node.args]
        kwargs = [nodes.Keyword(pair.key, self._expression(pair.value)) for pair in node.kwargs]
        return self._call(name, self._expression(subject), node, *args, kwargs=kwargs)

    def _test(self, node: nodes.Test) -> nodes.Expr:
        if node.name not in TESTS:
            self._refuse(node, _unknown("test", node.name, TESTS))
        if node.args or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
            self._refuse(node, "a test takes no arguments")
        return self._call("=test", self._expression(node.node), node, nodes.Const(node.name))

    # Small things

    def _checked(self, node: Any) -> nodes.Expr:
        return self._call("=checked", self._expression(node), node)

    def _call(
        self,
        name: str,
        subject: nodes.Expr,
        at: nodes.Node,
        *args: nodes.Expr,
        kwargs: list[nodes.Keyword] | None = None,
    ) -> nodes.Expr:
        line = nodes.Const(at.lineno or 0)
        return nodes.Filter(subject, name, [line, *args], kwargs or [], None, None, lineno=at.lineno)

    def _enter(self, node: nodes.Node) -> None:
        self._count += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(node, f"the template is nested more than {MAX_DEPTH} deep")
        if self._count > MAX_NODES:
            self._refuse(node, f"the template has more than {MAX_NODES} parts")

    def _refuse(self, node: nodes.Node, message: str) -> NoReturn:
        raise ExpressionError(message, node.lineno or 0)


def _shape(target: nodes.Node) -> operations.Names | None:
    """How names are grouped that take a value apart: ``(x, y), z`` is ``((None, None), None)``; None for one name."""
    return tuple(map(_shape, target.items)) if isinstance(target, nodes.Tuple) else None


def _label(node: nodes.Expr) -> str:
    """What the template itself calls a value: ``db.password``; empty where a part of it is computed."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            inner, own = _label(node.node), node.attr
        case nodes.Getitem(arg=nodes.Const(value=str() as own)):
            inner = _label(node.node)
        case _:
            return ""
    return f"{inner}.{own}" if inner else ""


@lru_cache(maxsize=64)
def _signature(name: str) -> inspect.Signature:
    return inspect.signature(FILTERS[name])


def _usage(name: str) -> str:
    return ", ".join(list(_signature(name).parameters)[2:]) or "none"


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """That a filter or test does not exist. Named only where Jinja has it: what else stands there may be anything."""
    close = difflib.get_close_matches(name, known, 1)
    shown = f"{kind} {name}" if name in filters_of_jinja.FILTERS or name in tests_of_jinja.TESTS else f"such {kind}"
    return f"there is no {shown}" + (f"; did you mean {close[0]}?" if close else "")
