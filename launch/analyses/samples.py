"""The activity that analyses are about: of chosen steps, read from a recording part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...conf.checking import ConfigError, unknown
from ...replay.trajectory import Array
from .columns import At, TrialEnds

if TYPE_CHECKING:
    from xarray import Dataset

BLOCK = 64
"""Episodes that are read at once."""


@dataclass(frozen=True)
class Samples:
    """N steps."""

    activity: Array
    """[N, H] float32"""
    episode: Array
    """[N], ascending."""
    trial: Array
    """[N] place of the step's trial among all trials (`TrialEnds`)."""
    step: Array
    """[N] within the trial."""


def activity_name(data: Dataset, asked: str | None) -> str:
    """The variable that is analysed: what was asked for, or what policy and value are read from.

    Raises:
        ConfigError: if it is no activity of units, with what is closest.
    """
    there = [
        str(name)
        for name, variable in data.data_vars.items()
        if variable.ndim == 3 and str(variable.dims[2]).startswith("unit")
    ]
    name = asked or str(data.attrs["output"])
    if name not in there:
        raise ConfigError(unknown(f"activity={name}", (f"activity={other}" for other in there), "activity of units"))
    return name


def one_a_trial(data: Dataset, name: str, ends: TrialEnds, at: At) -> Samples:
    """One step of each trial."""
    step = ends.at(at)
    activity = _read(data, name, ends.episode, step)
    return Samples(activity, ends.episode, np.arange(len(step)), step - ends.starts())


def each_step(data: Dataset, name: str, ends: TrialEnds) -> Samples:
    """All steps of the trials that were played to their end."""
    starts = ends.starts()
    lengths = ends.step - starts + 1
    trial = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(trial)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    episode = ends.episode[trial]
    return Samples(_read(data, name, episode, starts[trial] + within), episode, trial, within)


def _read(data: Dataset, name: str, episode: Array, step: Array) -> Array:
    """[N, H] the rows of a variable; `episode` [N] is ascending."""
    variable = data[name]
    activity = np.empty((len(episode), variable.shape[2]), dtype=np.float32)
    for start in range(0, variable.shape[0], BLOCK):
        low, high = np.searchsorted(episode, (start, start + BLOCK))
        if low < high:
            part = variable[start : start + BLOCK].values
            activity[low:high] = part[episode[low:high] - start, step[low:high]]
    return activity
