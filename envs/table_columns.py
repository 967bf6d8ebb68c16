"""The columns of a table that others made: found by their names, checked value by value. See `tables.py`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..conf.checking import unknown
from .vector import Array

ALWAYS = ("subject", "group", "session", "trial")
"""Columns of every table; the first two need not be there."""
CALLED = {"session": ("session", "episode"), "choice": ("action", "choice")}
"""Columns with two names: the first is the field's, the other that of the program's own tables."""
_SHOWN = 8
"""Names or values that a message lists at most."""


class TableError(ValueError):
    """A table that does not hold what a task's analyses need; the message says what, and the way out."""


@dataclass(frozen=True)
class Column:
    """A column that a task's analyses read."""

    name: str
    values: int | None = None
    """Whole numbers from 0 to `values` - 1 stand there; None: any number."""
    follows_from: tuple[str, ...] = ()
    """Columns that it follows from, where they are all there."""


class TableColumns:
    """A table by the names that a task gives its columns.

    Args:
        table: columns by the names that they have there.
        names: name in the table of each column that is called otherwise there.
        columns: that the task knows.

    Raises:
        TableError: for a name that the task, or the table, does not have.
    """

    def __init__(self, table: Mapping[str, Array], names: Mapping[str, str], columns: Sequence[Column]) -> None:
        self._table, self._names = table, dict(names)
        known = [name for wanted in (*ALWAYS, *(column.name for column in columns)) for name in _called(wanted)]
        for name in self._names:
            if name not in known:
                raise TableError(unknown(f"columns.{name}", dict.fromkeys(f"columns.{one}" for one in known), "column"))
        if absent := [name for name in self._names.values() if name not in table]:
            close = difflib.get_close_matches(absent[0], list(table), n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise TableError(f"there is no column {some(absent)}; {hint}The table has {some(table)}")

    def name(self, wanted: str) -> str:
        """What a column is called in the table."""
        called = _called(wanted)
        told = [self._names[name] for name in called if name in self._names]
        return next(iter([*told, *(name for name in called if name in self._table)]), called[0])

    def has(self, wanted: str) -> bool:
        """Whether the table has it."""
        return self.name(wanted) in self._table

    def check(self, columns: Sequence[Column]) -> None:
        """That session and trial, and these columns or what they follow from, are there.

        Raises:
            TableError: naming those that are not, what they may be called in the table, and what it has.
        """
        lacking: dict[str, tuple[str, ...]] = {name: () for name in ("session", "trial") if not self.has(name)}
        for column in columns:
            follows = column.follows_from and all(self.has(name) for name in column.follows_from)
            if not self.has(column.name) and not follows and not set(column.follows_from) & set(lacking):
                lacking[_called(column.name)[0]] = column.follows_from
        if lacking:
            hints = ", ".join(f"{name}: {self._closest(name)}" for name in list(lacking)[:_SHOWN])
            instead = dict.fromkeys(" and ".join(follow) for follow in lacking.values() if follow)
            raise TableError(
                f"no column for {some(lacking)}{f' (or {some(instead)} instead)' if instead else ''}; "
                f"the table has {some(self._table)}\nname them: columns={{{hints}}}"
            )

    def _closest(self, wanted: str) -> str:
        lower = {str(column).lower(): str(column) for column in self._table}
        names = next((names for names in CALLED.values() if wanted in names), (wanted,))
        close = [match for name in names for match in difflib.get_close_matches(name, lower, n=1, cutoff=0.65)]
        close += [column for name in names for column in lower if name in column]
        return lower[close[0]] if close else "..."

    def raw(self, wanted: str) -> Array:
        """A column as it is.

        Raises:
            TableError: if values are missing.
        """
        column = self._table[self.name(wanted)]
        empty = np.array([value is None or value != value for value in column.tolist()], dtype=bool)
        if empty.any():
            raise TableError(
                f"column {self.name(wanted)}: {int(empty.sum())} of {len(column)} values are missing, the first in row "
                f"{int(empty.argmax()) + 1}; leave such trials out, and number the others"
            )
        return column

    def is_numeric(self, wanted: str) -> bool:
        """Whether numbers or truth values stand there."""
        return self._table[self.name(wanted)].dtype.kind in "biuf"

    def labels(self, wanted: str) -> Array:
        """A column of names or numbers."""
        column = self.raw(wanted)
        return column if self.is_numeric(wanted) else column.astype(str)

    def trials(self) -> Array:
        """The numbers of the trials."""
        column = self._finite("trial")
        whole = column.astype(int)
        if (whole != column).any():
            raise TableError(
                f"column {self.name('trial')}: whole numbers are needed, not {some(column[whole != column])}"
            )
        return whole

    def numbers(self, column: Column) -> Array:
        """A column of whole numbers below `column.values`, or of any numbers."""
        values = self._finite(column.name)
        if column.values is None:
            return values.astype(float)
        whole = values.astype(int)
        outside = (whole != values) | (whole < 0) | (whole >= column.values)
        if outside.any():
            raise TableError(
                f"column {self.name(column.name)}: {some(np.unique(values[outside]))} in {int(outside.sum())} of "
                f"{len(values)} rows; the task has 0 to {column.values - 1}"
            )
        return whole

    def actions(self, actions: Sequence[Any], column: Column) -> Array:
        """The actions as the task numbers them; see `tables.trials_of_others`."""
        if not actions:
            try:
                return self.numbers(column)
            except TableError as error:
                raise TableError(f"{error}\nsay what stands for them, in their order: actions=[...]") from None
        shown = f"actions=[{','.join(map(str, actions))}]"
        if column.values is not None and len(actions) != column.values:
            raise TableError(f"{shown}: the task has {column.values} actions, 0 to {column.values - 1}")
        given, numbers = self.raw(column.name), np.full(len(self.raw(column.name)), -1)
        for number, value in enumerate(actions):
            same = given == value if self.is_numeric(column.name) else given.astype(str) == str(value)
            numbers[same] = number
        if (numbers < 0).any():
            others = np.unique(given[numbers < 0].astype(str))
            raise TableError(
                f"column {self.name(column.name)}: {some(others)} in {int((numbers < 0).sum())} of {len(given)} rows, "
                f"which is none of {shown}"
            )
        return numbers

    def _finite(self, wanted: str) -> Array:
        column = self.raw(wanted)
        if not self.is_numeric(wanted):
            raise TableError(
                f"column {self.name(wanted)}: numbers are needed, not {some(np.unique(column.astype(str)))}"
            )
        if not np.isfinite(column).all():
            raise TableError(f"column {self.name(wanted)}: infinity is no value")
        return column


def _called(wanted: str) -> tuple[str, ...]:
    return CALLED.get(wanted, (wanted,))


def some(values: Collection[Any] | Array) -> str:
    """The first few, as text."""
    shown = [str(value) for value in list(values)[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(values) > _SHOWN else "")
