"""What came out, beside what was published and what is ideal: a value a seed, mean and SD, a verdict a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...conf.checking import ConfigError, checked
from ..composing import composed
from ..config import plain
from ..overrides import overrides
from ..run.folder import RunFolder
from ..run.measures import flatten
from ..run.reevaluation import EvaluateSettings, asked_config
from .paper import RUN, Row
from .plan import Experiment, Job, reference_of, results_of


@dataclass(frozen=True)
class Verdict:
    """A row with its values."""

    row: Row
    values: Mapping[int, float]
    """By seed; NaN where a run tells no number."""
    ideal: float | None

    @property
    def mean(self) -> float:
        """Over the seeds; NaN without any."""
        return float(np.mean(list(self.values.values()))) if self.values else math.nan

    @property
    def sd(self) -> float:
        """Over the seeds, of a sample; NaN with less than two."""
        return float(np.std(list(self.values.values()), ddof=1)) if len(self.values) > 1 else math.nan

    @property
    def short_by(self) -> float:
        """How far the mean, or the worst seed where every one counts, lies outside of the target; 0: it is reached."""
        judged = list(self.values.values()) if self.row.every else [self.mean]
        return max((_outside(value, self.row) for value in judged), default=math.nan)

    @property
    def reached(self) -> bool | None:
        """None: there is no target, or nothing to judge."""
        if (self.row.at_least is None and self.row.at_most is None) or not self.values:
            return None
        return self.short_by == 0


def _outside(value: float, row: Row) -> float:
    if math.isnan(value):
        return math.inf  # no number is never near
    below = row.at_least - value if row.at_least is not None else 0.0
    above = value - row.at_most if row.at_most is not None else 0.0
    return max(0.0, below, above)


def verdicts(experiment: Experiment) -> list[Verdict]:
    """One a row of a part, from its runs that are done.

    Raises:
        ConfigError: for a measure that no run has.
    """
    runs = experiment.finished
    seeds = {run.seed: run for run in runs if run.seed is not None}
    found = {
        key: {seed: flatten(results_of(run, key)) for seed, run in seeds.items()} for key in _evaluations(experiment)
    }
    ideals = {key: _ideal(experiment, key, runs) for key in found}
    return [_verdict(row, found, ideals, experiment.part.name) for row in experiment.part.rows]


def _evaluations(experiment: Experiment) -> set[str | None]:
    """None is the run's own."""
    names = {name for row in experiment.part.rows for name in (row.of, row.minus)}
    return {None if name == RUN else name for name in names}


def _verdict(
    row: Row,
    found: Mapping[str | None, Mapping[int, Mapping[str, float]]],
    ideals: Mapping[str | None, Mapping[str, float]],
    at: str,
) -> Verdict:
    told = found[row.of]
    if told and not any(row.measure in measures for measures in told.values()):
        there = ", ".join(dict.fromkeys(name for measures in told.values() for name in measures))
        raise ConfigError(f"part {at}: results.json has no number {row.measure}; it has {there}")
    values = {seed: measures.get(row.measure, math.nan) for seed, measures in told.items()}
    if row.minus is not None:
        less = found[None if row.minus == RUN else row.minus]
        values = {seed: value - less[seed].get(row.measure, math.nan) for seed, value in values.items()}
    ideal = ideals[row.of].get(row.measure) if row.ideal is None and row.minus is None else row.ideal
    return Verdict(row, values, ideal)


def _ideal(experiment: Experiment, evaluation: str | None, runs: Sequence[Job]) -> dict[str, float]:
    """What the part's reference has in this evaluation's task; nothing of a perturbed agent's."""
    name = experiment.part.reference
    if name is None or not runs:
        return {}
    config = experiment.config
    if evaluation is not None:
        (beside,) = (one for one in experiment.part.evaluations if one.name == evaluation)
        asked = [f"run={runs[0].folder}", f"name={evaluation}", *beside.settings]
        settings, _ = composed("evaluate", overrides("evaluate", asked))
        told = checked(EvaluateSettings, plain(settings))
        if told.perturbed:
            return {}
        config = asked_config(RunFolder(runs[0].folder), told)
    return flatten(reference_of(experiment.part, config).values)
