"""What an environment tells of a trial, as numbers and texts by name: columns of the table of trials.

NeuroGym's environments (Molano-Mazon et al. 2022) run trial after trial without an end: `info["new_trial"]` says that
one is over, `info["performance"]` how good it was, `info["gt"]` what would have been right in a step, and the attribute
`trial` is a dictionary of what was drawn for the trial that runs. Any environment that does the same is told alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np

Told = Mapping[str, float | str]

MOST = 16
"""Longest list whose entries become columns."""
PROBES = 16
"""Episodes that are begun to see what trials tell."""


def flat(values: Mapping[str, Any]) -> Iterator[tuple[str, float | str]]:
    """Numbers and texts of a nested dictionary: `p: [.1, .9]` is `p_0` and `p_1`; anything else is left out."""
    for name, value in values.items():
        if isinstance(value, str):
            yield str(name), str(value)
        elif isinstance(value, Mapping):
            yield from ((f"{name}_{inner}", item) for inner, item in flat(value))
        elif isinstance(value, bool | int | float | np.number | np.bool_):
            yield str(name), float(value)
        elif isinstance(value, list | tuple | np.ndarray) and np.ndim(value) <= 1 and np.size(value) <= MOST:
            yield from flat(
                {f"{name}_{i}": item for i, item in enumerate(np.ravel(value))}
                if np.ndim(value)
                else {name: np.asarray(value).item()}
            )


def tells_trials(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether an environment is one of trials."""
    base = env.unwrapped
    return hasattr(base, "new_trial") and hasattr(base, "trial")


class TrialTeller:
    """Reads the trials of one environment, from outside of its wrappers.

    Args:
        env: for which `tells_trials` holds.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self._base: Any = env.unwrapped
        fixation = getattr(env.action_space, "name", {}).get("fixation")
        self._fixation = fixation if isinstance(fixation, int) else None
        self._trial: Mapping[str, Any] = {}
        self._t = self._go = float("nan")

    def begin(self) -> None:
        """An episode has begun."""
        self._trial = self._base.trial or {}

    def before(self) -> None:
        """A step is about to be made, which may replace the trial and its clock."""
        self._t = getattr(self._base, "t", float("nan"))
        self._go = getattr(self._base, "start_t", {}).get("decision", float("nan"))

    def after(self, action: Any, info: Mapping[str, Any]) -> dict[str, float | str] | None:
        """What there is to tell after a step: of the trial that it ended, if it did.

        `reaction_ms` is the time from the beginning of the period `decision` to the action that ended the trial; not a
        number where there is no such period, or the action came before it, or was to fixate.
        """
        if not info.get("new_trial", False):
            return None
        told = dict(flat({"performance": info.get("performance", float("nan")), "gt": info.get("gt", float("nan"))}))
        answered = self._fixation is not None and np.ndim(action) == 0 and action != self._fixation
        told["reaction_ms"] = self._t - self._go if answered and self._t >= self._go else float("nan")
        told |= dict(told_of(self._trial))
        self._trial = self._base.trial or {}
        return told


RESERVED = frozenset(
    str.split(
        "trial trial_done action reward ended episode_return performance gt reaction_ms first episode steps value rpe "
        "recalled sought hit gate gate_by_unit"
    )
)
"""Columns that are there already; what a trial calls so gets `trial_` before its name."""


def told_of(trial: Mapping[str, Any]) -> Iterator[tuple[str, float | str]]:
    """What a trial's dictionary tells, by the names of its columns."""
    return ((f"trial_{name}" if name in RESERVED else name, value) for name, value in flat(trial))


def columns_of(env: gymnasium.Env[Any, Any]) -> dict[str, type[np.generic]]:
    """Names and types of what trials of an environment tell, found out by beginning a few episodes."""
    columns: dict[str, type[np.generic]] = {"performance": np.float64, "reaction_ms": np.float64}
    gt = {"gt": np.zeros(env.action_space.shape or ())}
    columns |= {name: np.float64 for name, _ in flat(gt)}
    for probe in range(PROBES):
        env.reset(seed=probe)
        for name, value in told_of(getattr(env.unwrapped, "trial", None) or {}):
            if isinstance(value, str) or name not in columns:
                columns[name] = np.str_ if isinstance(value, str) else np.float64
    return columns
