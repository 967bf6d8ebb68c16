"""What a recording says of its trials, by name: columns of the table of trials, of the trial before, products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...conf.checking import ConfigError, unknown
from ...replay.trajectory import Array

if TYPE_CHECKING:
    from xarray import Dataset

At = Literal["last", "first"]
"""Which step of a trial: that whose action ends it, or its first."""

PREVIOUS = "previous_"
"""In front of a column: its value in the trial before, in the same episode."""

TIMES = "*"
"""Between columns: their product, each as its deviation from its mean."""

MOST_CATEGORIES = 16
"""Whole numbers of more values are quantities."""

MOST_CONDITIONS = 8
"""Values of a column that tells conditions apart."""

_NO_VARIABLES = ("mask", "first", "trial_done")


@dataclass(frozen=True)
class TrialEnds:
    """The last steps of all K trials that were played to their end, in the order of episodes and trials."""

    episode: Array
    """[K]"""
    step: Array
    """[K] within the episode."""
    trial: Array
    """[K] from 0 in each episode."""

    @classmethod
    def of(cls, data: Dataset) -> TrialEnds:
        """Those of a recording.

        Raises:
            ConfigError: if it tells none.
        """
        if "trial_done" not in data or not (done := data["trial_done"].values & data["mask"].values).any():
            raise ConfigError("there is no trial in this recording that was played to its end")
        episode, step = np.nonzero(done)
        _, start, count = np.unique(episode, return_index=True, return_counts=True)
        return cls(episode, step, np.arange(len(episode)) - np.repeat(start, count))

    def starts(self) -> Array:
        """[K] the first steps of the trials."""
        return np.where(self.trial == 0, 0, np.concatenate(([0], self.step[:-1] + 1)))

    def at(self, which: At) -> Array:
        """[K] the steps that count."""
        return self.step if which == "last" else self.starts()


@dataclass(frozen=True)
class Values:
    """A column."""

    values: Array
    """[N] numbers, truth values or texts."""
    known: Array
    """[N] bool; an episode's first trial has none before it."""

    @property
    def levels(self) -> Array:
        """Its different values, sorted."""
        return np.unique(self.values[self.known])

    @property
    def is_text(self) -> bool:
        """Whether they are no numbers."""
        return self.values.dtype.kind in "OUS"

    @property
    def is_category(self) -> bool:
        """Whether values are names, not sizes: of two, of texts, of a few whole numbers."""
        count = len(self.levels)
        return count <= 2 or self.is_text or (self.values.dtype.kind in "iub" and count <= MOST_CATEGORIES)

    def at(self, rows: Array) -> Values:
        """Those of some rows."""
        return Values(self.values[rows], self.known[rows])


def column_names(data: Dataset) -> list[str]:
    """What `column` knows, without `previous_`."""
    return [
        str(name)
        for name, variable in data.variables.items()
        if variable.dims == ("episode", "step") and name not in _NO_VARIABLES
    ]


def column(data: Dataset, ends: TrialEnds, name: str, setting: str, at: At = "last") -> Values:
    """The values of a column, or of a product of columns, one a trial.

    Args:
        data: the recording.
        ends: of its trials.
        name: of the column.
        setting: that asks for it, for messages.
        at: the step of a trial at which the network's own numbers (`value`, `rpe`) are read; others are the trial's.

    Raises:
        ConfigError: if there is none, with what is closest; for a product of texts.
    """
    if TIMES in name:
        return _product(name, [column(data, ends, factor, setting, at) for factor in name.split(TIMES)], setting)
    there = column_names(data)
    before = name.startswith(PREVIOUS) and name not in there
    base = name.removeprefix(PREVIOUS) if before else name
    if base not in there:
        known = [f"{PREVIOUS}{other}" for other in there] if before else there
        raise ConfigError(f"{setting}: {unknown(name, known, 'column')} ({PREVIOUS}...: of the trial before)")
    own = data[base].attrs.get("kind") == "network"
    values = data[base].values[ends.episode, ends.at(at) if own else ends.step]
    if values.dtype.kind == "O":
        values = values.astype(str)
    finite: Array = np.isfinite(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=np.bool_)
    if before:
        return Values(np.roll(values, 1), np.roll(finite, 1) & (ends.trial > 0))
    return Values(values, finite)


def _product(name: str, factors: Sequence[Values], setting: str) -> Values:
    """Of deviations from means: beside its factors in a regression, it leaves to them what is their own."""
    if any(factor.is_text for factor in factors):
        raise ConfigError(f"{setting}: {name}: a text cannot be multiplied")
    known = np.all([factor.known for factor in factors], axis=0)
    values = np.where(known, [factor.values for factor in factors], 0).astype(np.float64)
    count = max(1, known.sum())
    return Values(np.prod(values - values.sum(1, keepdims=True) / count, axis=0), known)


def default_columns(data: Dataset, ends: TrialEnds) -> list[str]:
    """What the task names (`Task.coded`), or all that it tells; of these, what has more than one value."""
    named = [name for name in str(data.attrs.get("coded", "")).split(",") if name]
    if not named:
        told = [name for name in column_names(data) if data[name].attrs.get("kind") == "task" and name != "trial"]
        named = [*told, *([f"{PREVIOUS}reward"] if "reward" in data else [])]
    there = column_names(data)
    named = [
        name
        for name in named
        if all(factor in there or factor.removeprefix(PREVIOUS) in there for factor in name.split(TIMES))
    ]
    found = [name for name in named if len(column(data, ends, name, "").levels) > 1]
    if not found:
        raise ConfigError(f"variables: nothing that this task tells varies; there is: {', '.join(there)}")
    return found


def default_condition(data: Dataset, ends: TrialEnds, variables: Sequence[str]) -> list[str]:
    """The first two variables that take few values."""
    few = [name for name in variables if len(column(data, ends, name, "").levels) <= MOST_CONDITIONS]
    return few[:2]


def conditions_of(data: Dataset, ends: TrialEnds, names: Sequence[str]) -> tuple[Array, list[str]]:
    """Which condition each trial is of, [K], -1 where that is not known, and what the conditions are called.

    Raises:
        ConfigError: for a column that there is not, or one of many values.
    """
    number, labels = np.zeros(len(ends.trial), dtype=int), [""]
    for name in names:
        values = column(data, ends, name, "condition")
        levels = values.levels
        if len(levels) > MOST_CONDITIONS:
            raise ConfigError(f"condition: {name} has {len(levels)} values; conditions are told by {MOST_CONDITIONS}")
        place = np.searchsorted(levels, values.values).clip(0, len(levels) - 1)
        number = np.where((number < 0) | ~values.known, -1, number * len(levels) + place)
        shown = [str(level) if values.is_text else f"{float(level):g}" for level in levels]
        labels = [f"{label}{', ' if label else ''}{name} {level}" for label in labels for level in shown]
    there = np.unique(number[number >= 0])
    new = np.full(len(labels) + 1, -1)
    new[there] = np.arange(len(there))  # and what is -1 stays, the last
    return new[number], [labels[k] for k in there]
