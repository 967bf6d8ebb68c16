"""Tables of trials that others made (animals, people, other programs), as the table that a task's analyses read.

A tidy table has one row a trial. Its columns, called so or by a name that a mapping gives them: `session`, `trial`,
`action`, the task's own, and, where there are several, `subject` and `group` (species, genotype, ...). The names in the
program's own tables will do too (`episode` for `session`, `choice` for `action`), so that an exported
`evaluation.parquet` is read as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .table_columns import Column, TableColumns, TableError, some
from .vector import Array

OF_A_NETWORK = {"value": np.float32, "rpe": np.float32}
"""Columns that the trials of a network have; taken over where they are."""


@dataclass(frozen=True)
class TableForm:
    """What a task needs of a table that others made."""

    columns: Callable[[Any], Sequence[Column]]
    """For the task's settings; beside subject, session and trial."""
    complete: Callable[[Mapping[str, Array], Any], Mapping[str, Array]]
    """Columns that follow from those that are there, for the settings given."""
    spec: Mapping[str, type[np.generic]]
    """Types of the columns (`VectorTask.info_spec`)."""
    session_trials: Callable[[Any], int | None] = lambda _: None
    """How long a session has to be for figures of whole sessions; None: any."""


@dataclass(frozen=True)
class Subject:
    """Somebody's trials."""

    name: str
    group: str
    trials: Mapping[str, Array]
    """As `envs.trials.Trials`."""


def trials_of_others(
    table: Mapping[str, Array],
    form: TableForm,
    settings: Any,
    *,
    called: str,
    names: Mapping[str, str] | None = None,
    actions: Sequence[Any] = (),
    wanted: Collection[str] | None = None,
) -> list[Subject]:
    """The subjects of a table, in the order of their names.

    Args:
        table: columns by the names that they have there.
        form: of the task.
        settings: of the task.
        called: the table's name: that of the only subject, where no column says who it is, and of the only group.
        names: name in the table of each column that is called otherwise there.
        actions: what stands in the table for the actions 0, 1, ...; empty: these numbers.
        wanted: columns that are needed; None: all of the form.

    Raises:
        TableError: for missing columns, missing or wrong values, trials that are there twice or not at all.
    """
    columns = form.columns(settings)
    sources = [name for column in columns for name in column.follows_from]
    every = {**{name: Column(name) for name in sources}, **{column.name: column for column in columns}}
    reader = TableColumns(table, names or {}, list(every.values()))
    reader.check([column for column in columns if wanted is None or column.name in wanted])
    session, trial = reader.labels("session"), reader.trials()
    subject, group = (
        reader.labels(name) if reader.has(name) else np.full(len(trial), called) for name in ("subject", "group")
    )
    taken: dict[str, Array] = {}
    for column in every.values():
        if reader.has(column.name):
            is_action = column.name == "choice"
            taken[column.name] = reader.actions(actions, column) if is_action else reader.numbers(column)
    for name, dtype in {**form.spec, **OF_A_NETWORK}.items():
        if name not in taken and name != "trial" and reader.has(name) and reader.is_numeric(name):
            taken[name] = reader.raw(name).astype(dtype)
    taken = {name: column.astype(form.spec.get(name, column.dtype)) for name, column in taken.items()}
    found = []
    for name in np.unique(subject):
        rows = np.flatnonzero(subject == name)
        who = str(name)
        if len(groups := np.unique(group[rows])) > 1:
            raise TableError(f"subject {who} is in several groups: {some(groups)}")
        _, episode = np.unique(session[rows], return_inverse=True)
        order = np.lexsort((trial[rows], episode))
        rows, episode = rows[order], episode[order]
        number = _numbered(trial[rows], episode, session[rows], who)
        own: dict[str, Array] = {column: values[rows] for column, values in taken.items()}
        own |= {"trial": number.astype(np.int32), "episode": episode.astype(np.int32)}
        found.append(Subject(who, str(groups[0]), {**own, **form.complete(own, settings)}))
    return found


def _numbered(trial: Array, episode: Array, session: Array, who: str) -> Array:
    """Trial numbers from 0 in each session, sorted; none may be there twice or be left out."""
    starts = np.concatenate(([True], episode[1:] != episode[:-1]))
    steps = np.diff(trial, prepend=0)
    where = np.flatnonzero(~starts & (steps != 1))
    if len(where):
        at = where[0]
        place = f"subject {who}, session {session[at]}"
        if steps[at] == 0:
            twice = int((steps[where] == 0).sum())
            raise TableError(f"{place}: trial {trial[at]} is there more than once ({twice} such rows)")
        raise TableError(
            f"{place}: after trial {trial[at - 1]} comes {trial[at]} ({len(where)} such gaps); number the trials that "
            "count one by one, since analyses ask what the trial before was"
        )
    return np.asarray(trial - trial[starts][np.cumsum(starts) - 1])
