"""Conditions over a request's fields: `when="capacity_range.required_bytes > 1073741824 and name in ('a', 'b')"`.

A small part of Python's expressions, checked when the rule is added and walked without `eval`. A field that is not
there is None; comparing what cannot be compared is false. What a condition can do is bounded by its own length.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MAX_LENGTH: Final = 1000
_MAX_NODES: Final = 200

Value = Any
Walk = Callable[[Any], Value]

_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, holder: holder is not None and item in holder,
    ast.NotIn: lambda item, holder: holder is None or item not in holder,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_METHODS: Final = {"startswith": str.startswith, "endswith": str.endswith}


class ExpressionError(ValueError):
    """The text is not a condition. `column` counts from 0 within it."""

    def __init__(self, text: str, column: int) -> None:
        super().__init__(text)
        self.column = column


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition.

    Args:
        text: as written.

    Raises:
        ExpressionError: it is not one; says what is allowed, and where it stopped being one.

    Attributes:
        names: the outermost fields that it looks at.
    """

    text: str
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    _walk: Walk = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.text) > MAX_LENGTH:
            raise ExpressionError(f"a condition has at most {MAX_LENGTH} characters", MAX_LENGTH)
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            column = (getattr(error, "offset", None) or 1) - 1
            raise ExpressionError(f"not a condition: {getattr(error, 'msg', error)}", column) from None
        if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
            raise ExpressionError("the condition has too many parts", 0)
        object.__setattr__(self, "_walk", _compile(tree.body))
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        named = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called)
        object.__setattr__(self, "names", frozenset(node.id for node in named))

    def holds(self, fields: Any) -> bool:
        """Whether it is true of a request: mappings and sequences of plain values, as in JSON."""
        return bool(self._walk(fields))


def _compile(node: ast.expr) -> Walk:  # noqa: PLR0911 - one per kind of node
    match node:
        case ast.Constant(value=str() | int() | float() | bool() | None as value):
            return lambda _: value
        case ast.Name(id=name):
            return lambda fields: _get(fields, name)
        case ast.Attribute(value=inner, attr=name):
            return _member(_compile(inner), name)
        case ast.Subscript(value=inner, slice=ast.Constant(value=str() | int() as key)):
            return _member(_compile(inner), key)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            walks = [_compile(item) for item in items]
            return lambda fields: [walk(fields) for walk in walks]
        case ast.BoolOp(op=ast.And(), values=values):
            walks = [_compile(value) for value in values]
            return lambda fields: all(walk(fields) for walk in walks)
        case ast.BoolOp(op=ast.Or(), values=values):
            walks = [_compile(value) for value in values]
            return lambda fields: any(walk(fields) for walk in walks)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            walk = _compile(operand)
            return lambda fields: not walk(fields)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return lambda _: -number
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _comparison(_compile(left), ops, [_compile(other) for other in others])
        case ast.Call(func=func, args=args, keywords=[]):
            return _call(node, func, args)
        case _:
            raise ExpressionError(
                "only fields, texts, numbers, lists, and, or, not, comparisons, in, len(), .startswith() and "
                ".endswith() are allowed here",
                node.col_offset,
            )


def _member(inner: Walk, key: str | int) -> Walk:
    return lambda fields: _get(inner(fields), key)


def _get(holder: Any, key: str | int) -> Value:
    if isinstance(holder, Mapping):
        return holder.get(key)
    if isinstance(holder, Sequence) and not isinstance(holder, str) and isinstance(key, int):
        return holder[key] if -len(holder) <= key < len(holder) else None
    return None


def _comparison(left: Walk, ops: Sequence[ast.cmpop], others: Sequence[Walk]) -> Walk:
    steps = [(_COMPARE[type(op)], other) for op, other in zip(ops, others, strict=True)]

    def walk(fields: Any) -> bool:
        value = left(fields)
        for compare, other in steps:
            following = other(fields)
            try:
                if not compare(value, following):
                    return False
            except TypeError:
                return False
            value = following
        return True

    return walk


def _call(node: ast.Call, func: ast.expr, args: Sequence[ast.expr]) -> Walk:
    if isinstance(func, ast.Name) and func.id == "len" and len(args) == 1:
        inner = _compile(args[0])

        def length(fields: Any) -> int:
            value = inner(fields)
            return len(value) if isinstance(value, (str, Mapping, Sequence)) else 0

        return length
    if isinstance(func, ast.Attribute) and func.attr in _METHODS and len(args) == 1:
        method, subject, argument = _METHODS[func.attr], _compile(func.value), _compile(args[0])

        def test(fields: Any) -> bool:
            value, part = subject(fields), argument(fields)
            return isinstance(value, str) and isinstance(part, str) and method(value, part)

        return test
    raise ExpressionError("only len(), .startswith() and .endswith() can be called here", node.col_offset)
