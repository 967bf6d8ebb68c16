"""Choices of N subjects, session by session, laid side by side: what models are fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..trials import Trials
from ..vector import Array


@dataclass(frozen=True)
class Sessions:
    """S sessions of at most T trials. Models begin each session afresh."""

    columns: Mapping[str, Array]
    """[T, S] by name: `choice` (int), `reward`, and what else models read; zeros past the end of a session."""
    length: Array
    """[S] trials of each session."""
    subject: Array
    """[S] whose it is, a number in `subjects`; in ascending order."""
    subjects: tuple[str, ...]
    """Names of the N subjects."""

    def counts_of(self, subject: int) -> tuple[int, int]:
        """How many sessions, and trials, a subject has."""
        own = self.length[self.subject == subject]
        return len(own), int(own.sum())


def sessions_of(
    tables: Mapping[str, Trials], columns: Sequence[str] = ("choice", "reward"), most: int | None = None
) -> Sessions:
    """The sessions (episodes) of tables of trials, one table a subject.

    Args:
        tables: by the subjects' names; rows in the order of play, episode by episode.
        columns: what to keep of them.
        most: only so many first sessions of each subject; None: all.

    Raises:
        ValueError: if a table has no trials, or lacks a column.
    """
    lengths, subjects, parts = [], [], []
    for number, (name, trials) in enumerate(tables.items()):
        if lacking := [column for column in columns if column not in trials]:
            raise ValueError(f"the trials of {name} lack {', '.join(lacking)}")
        _, start, length = np.unique(trials["episode"], return_index=True, return_counts=True)
        if not len(start):
            raise ValueError(f"{name} has no trials")
        order = np.argsort(start)[:most]
        for first, count in zip(start[order], length[order], strict=True):
            parts.append({column: trials[column][first : first + count] for column in columns})
        lengths.append(length[order])
        subjects.append(np.full(len(order), number))
    length = np.concatenate(lengths)
    laid = {column: np.zeros((int(length.max()), len(length))) for column in columns}
    for session, part in enumerate(parts):
        for column in columns:
            laid[column][: length[session], session] = part[column]
    laid["choice"] = laid["choice"].astype(int)
    return Sessions(laid, length, np.concatenate(subjects), tuple(tables))
