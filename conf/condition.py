"""Conditions on what happened, such as `trial_type == 'risky' and reward == 0`: a small part of Python's expressions.

Made of names of columns, numbers, texts in quotes, comparisons (also `in` a list), and, or, not, + - * / // % and
brackets. Nothing else is read, and nothing is ever executed.
"""

from __future__ import annotations

import ast
import functools
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .checking import unknown

Array = NDArray[Any]
Kind = Literal["number", "text"]

LONGEST = 500
"""Characters of a condition."""

_ARITHMETIC: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SIGNS: dict[type[ast.unaryop], Callable[..., Any]] = {
    ast.Not: np.logical_not,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}
_MADE_OF = "names of columns, numbers, texts in quotes, comparisons, in, and, or, not, + - * / // % and brackets"


def kind_of(dtype: type[np.generic]) -> Kind:
    """Of a column with this type; truth values are the numbers 0 and 1."""
    return "number" if np.dtype(dtype).kind in "biuf" else "text"


class Condition:
    """A condition that was read; it is asked row by row, by a call.

    Args:
        text: as a person wrote it.

    Raises:
        ValueError: if it is none.
    """

    names: frozenset[str]
    """Of the columns that it is about."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"at most {LONGEST} characters, these are {len(text)}")
        try:
            with warnings.catch_warnings(action="ignore"):  # of Python's compiler, about style
                self._root = ast.parse(text.strip(), mode="eval").body
            self.names = frozenset(_names(self._root))
        except (SyntaxError, MemoryError, RecursionError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else "too deep"
            raise ValueError(f"no expression that can be read ({reason})") from None

    def check(self, columns: Mapping[str, Kind]) -> None:
        """That it can be asked of these columns.

        Raises:
            ValueError: for a name that is none of them, or for texts in the place of numbers.
        """
        for name in sorted(self.names - set(columns)):
            raise ValueError(unknown(name, columns, "column"))
        if _kind(self._root, columns) == "text":
            raise ValueError("a text is neither true nor false: compare it with ==")

    def __call__(self, columns: Mapping[str, Array], rows: int) -> NDArray[np.bool_]:
        """Where it holds, [B] for `rows` B, of columns [B] (those of `names`).

        Raises:
            ValueError: for a column with more than one value a row.
        """
        given = {name: _as_compared(columns[name]) for name in self.names}
        for name, column in given.items():
            if column.shape != (rows,):
                raise ValueError(f"{name} has not one value a row, but the shape {column.shape}")
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(_value(self._root, given), dtype=bool), rows)


def _names(node: ast.expr) -> set[str]:
    """Names in an expression that holds nothing but what is allowed."""
    match node:
        case ast.Name():
            return {node.id}
        case ast.Constant(value=str()):
            return set()
        case ast.Constant(value=bool() | int() | float() as value):
            _number(value)
            return set()
        case ast.UnaryOp(operand=operand) if type(node.op) in _SIGNS:
            parts = [operand]
        case ast.BinOp(left=left, right=right) if type(node.op) in _ARITHMETIC:
            parts = [left, right]
        case ast.BoolOp(values=values):
            parts = values
        case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[ast.List(elts=items) | ast.Tuple(elts=items)]):
            parts = [node.left, *items]
        case ast.Compare(ops=ops) if all(type(op) in _COMPARISONS for op in ops):
            parts = [node.left, *node.comparators]
        case _:
            raise ValueError(f"{ast.unparse(node)[:40]} cannot stand there: conditions are made of {_MADE_OF}")
    return set().union(*(_names(part) for part in parts))


def _number(value: float) -> float:
    """A number in a condition.

    Raises:
        ValueError: if it is not finite.
    """
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not np.isfinite(number):
        raise ValueError("its numbers have to be finite")
    return number


def _as_compared(column: Array) -> Array:
    """Floats keep their precision, in which 0.1 is the 0.1 of the condition; other numbers become floats."""
    column = np.asarray(column)
    if kind_of(column.dtype.type) == "text":
        return column.astype(np.str_)
    return column if column.dtype.kind == "f" else column.astype(np.float64)


def _kind(node: ast.expr, columns: Mapping[str, Kind]) -> Kind:
    """What an expression gives.

    Raises:
        ValueError: for texts in the place of numbers.
    """
    match node:
        case ast.Name():
            return columns[node.id]
        case ast.Constant():
            return "text" if isinstance(node.value, str) else "number"
        case ast.Compare():
            last = node.comparators[-1]
            parts = [node.left, *(last.elts if isinstance(last, ast.List | ast.Tuple) else node.comparators)]
            if len({_kind(part, columns) for part in parts}) > 1:
                raise ValueError(f"{ast.unparse(node)[:60]} compares a text with a number")
        case _:
            parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
            if any(_kind(part, columns) == "text" for part in parts):
                raise ValueError(f"{ast.unparse(node)[:60]}: a text cannot stand there")
    return "number"


def _value(node: ast.expr, columns: Mapping[str, Array]) -> Any:
    """What an allowed expression gives: [B], or one value."""
    match node:
        case ast.Name():
            return columns[node.id]
        case ast.Constant():
            return node.value if isinstance(node.value, str) else _number(node.value)  # type: ignore[arg-type]
        case ast.UnaryOp():
            return _SIGNS[type(node.op)](_value(node.operand, columns))
        case ast.BinOp():
            return _ARITHMETIC[type(node.op)](_value(node.left, columns), _value(node.right, columns))
        case ast.BoolOp():
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return functools.reduce(join, (_value(part, columns) for part in node.values))
    assert isinstance(node, ast.Compare)
    left, (last, op) = _value(node.left, columns), (node.comparators[-1], node.ops[0])
    if isinstance(last, ast.List | ast.Tuple):
        found = functools.reduce(np.logical_or, (left == _value(item, columns) for item in last.elts), False)
        return np.logical_not(found) if isinstance(op, ast.NotIn) else found
    answers = []
    for comparison, comparator in zip(node.ops, node.comparators, strict=True):
        right = _value(comparator, columns)
        answers.append(_COMPARISONS[type(comparison)](left, right))
        left = right
    return functools.reduce(np.logical_and, answers)
