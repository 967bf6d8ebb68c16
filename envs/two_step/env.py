"""The two-step task (Daw et al. 2011) as Wang et al. 2016 and 2018 trained networks on it.

A first-stage action leads to one of two second-stage states, usually (`common`) to its own one. One of these states
is good: it pays with probability `reward`, the other with 1 - `reward`. Before every trial the good state changes with
probability `reversal`; a new episode draws it afresh.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from gymnasium.spaces import Box, Discrete

from ...conf.settings import Probability, Recorded, settings
from ..canvas import Canvas, Color
from ..vector import Array, Mask, VectorTask, constant

INVALID_REWARD = -1.0
"""What an action costs that the stage does not allow (`steps_per_trial=3`; Wang et al. 2018, general methods)."""

FIXATE = 2
"""The action of central fixation (`steps_per_trial=3`)."""

FIRST_STAGE, FIXATION_CUE = 0, 3
"""Entries of the observation; 1 and 2 are the second-stage states."""


@settings
class TwoStepSettings:
    """Options of the task.

    Raises:
        ValueError: for a value that cannot be.
    """

    common: Probability = 0.8
    reward: Probability = 0.9
    reversal: Probability = 0.025
    trials: Recorded = 100
    steps_per_trial: Literal[1, 2, 3] = 1
    trial_number: bool = False


def draw_trials(
    rng: np.random.Generator, shape: tuple[int, int], common: float, reward: float, reversal: float
) -> tuple[Array, ...]:
    """What decides trials, each `shape`: whether the transition is common (bool) and, as 0 or 1 (int8), whether it is
    not, whether the good state would pay (the bad one then would not: it pays with probability 1 - `reward`), and
    whether the good state changes afterwards."""
    uniform = rng.random((3, *shape), dtype=np.float32)
    usual = uniform[0] < common
    return usual, (~usual).view(np.int8), (uniform[1] < reward).view(np.int8), (uniform[2] < reversal).view(np.int8)


class TwoStepEnv(VectorTask):
    """B episodes. Observation: one-hot [3] of (first stage, second-stage state 0, second-stage state 1).

    With `steps_per_trial` 1 a step is a trial and the observation is the second-stage state that the last choice led
    to (first stage in the first trial). With 2 the agent chooses in the first stage, then acts in the second-stage
    state (either action), where the reward comes. With 3 a fixation cue comes first ([4], its own one-hot entry), which
    wants the third action; a fixation elsewhere, or another action on the cue, costs 1 and counts as action 0 where a
    choice was due. `trial_number` adds the fraction of the episode that has passed.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "choice": np.int8,
        "state": np.int8,
        "common": np.bool_,
        "reward": np.float32,
        "good_state": np.int8,
    }

    def __init__(self, settings: TwoStepSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self.phases = {1: (), 2: ("choice", "outcome"), 3: ("fixation", "choice", "outcome")}[settings.steps_per_trial]
        width = 3 + (settings.steps_per_trial == 3) + settings.trial_number
        num_actions = 3 if settings.steps_per_trial == 3 else 2
        self._set_spaces(Box(0.0, 1.0, (width,), np.float32), Discrete(num_actions))
        self._views = constant(np.eye(width, dtype=np.float32)[: width - settings.trial_number])
        """The observation of each entry, but for the trial number."""
        self._begins_with = np.int8(FIXATION_CUE if settings.steps_per_trial == 3 else FIRST_STAGE)
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._good = np.zeros(num_envs, dtype=np.int8)
        self._shown = np.zeros(num_envs, dtype=np.int8)
        """Entry of the observation. All rows are in the same stage, since all episodes have the same length."""
        self._choice = np.zeros(num_envs, dtype=np.int8)
        """Of the first stage, with more than one step a trial."""
        self._nothing = constant(np.zeros(num_envs, dtype=np.float32))
        self._total = np.zeros(num_envs, dtype=np.float32)
        self._last = self._nothing
        """Return so far and last reward, for rendering."""

    def _begin(self, which: Mask) -> None:
        self._trial[which] = 0
        self._good[which] = self.rng.integers(2, size=np.count_nonzero(which), dtype=np.int8)
        self._shown[which] = self._begins_with
        self._total[which] = 0
        self._last = np.where(which, np.float32(0), self._last)

    def _draw(self, steps: int) -> tuple[Array, ...]:
        settings = self.settings
        return draw_trials(self.rng, (steps, self.num_envs), settings.common, settings.reward, settings.reversal)

    def _observe(self) -> Array:
        obs: Array = self._views.take(self._shown, axis=0)
        if self.settings.trial_number:
            obs[:, -1] = self._trial / self.settings.trials
        return obs

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        play = self._whole_trial if self.settings.steps_per_trial == 1 else self._one_stage
        reward, info = play(action.astype(np.int8))
        self._last = reward
        self._total += reward
        ended = info["trial_done"]
        if ended is self._everywhere:  # a trial is over
            ended = self._trial >= self.settings.trials
        return reward, ended, self._nowhere, info

    def _info(self, done: Mask, choice: Array, state: Array, common: Mask, reward: Array) -> dict[str, Array]:
        return {
            "trial": self._trial,
            "trial_done": done,
            "choice": choice,
            "state": state,
            "common": common,
            "reward": reward,
            "good_state": self._good,
        }

    def _next_trial(self, changes: Array) -> None:
        self._trial = self._trial + 1
        self._good = self._good ^ changes

    def _whole_trial(self, choice: Array) -> tuple[Array, dict[str, Array]]:
        """Reward and info of a step that is a trial."""
        common, uncommon, pays, changes = self._next_draws()
        state = choice ^ uncommon
        reward = (state ^ self._good ^ pays).astype(np.float32)
        info = self._info(self._everywhere, choice, state, common, reward)
        self._shown = state + np.int8(1)
        self._next_trial(changes)
        return reward, info

    def _one_stage(self, action: Array) -> tuple[Array, dict[str, Array]]:
        """Reward and info of a step that is a stage: fixation, choice or second stage."""
        _, uncommon, pays, changes = self._next_draws()
        shown, fixates = self._shown, action == FIXATE
        invalid = ~fixates if shown[0] == FIXATION_CUE else fixates
        penalty = invalid * np.float32(INVALID_REWARD)
        if shown[0] == FIXATION_CUE:
            self._shown = np.full_like(shown, FIRST_STAGE)
            return penalty, self._info(self._nowhere, self._choice, shown, self._nowhere, self._nothing)
        if shown[0] == FIRST_STAGE:
            self._choice = np.where(fixates, np.int8(0), action)
            state = self._choice ^ uncommon
            self._shown = state + np.int8(1)
            return penalty, self._info(self._nowhere, self._choice, state, state == self._choice, self._nothing)
        state = shown - np.int8(1)
        reward = (state ^ self._good ^ pays).astype(np.float32)
        info = self._info(self._everywhere, self._choice, state, state == self._choice, reward)
        self._shown = np.full_like(shown, self._begins_with)
        self._next_trial(changes)
        return reward + penalty, info

    def _render_ansi(self) -> str:
        place = ("first stage", "state A", "state B", "fixate the cross")[self._shown[0]]
        if self.settings.steps_per_trial == 1:
            place = "first trial" if self._shown[0] == FIRST_STAGE else f"the last choice led to {place}"
        paid = "" if self._last[0] == 0 else f"   paid {self._last[0]:+.0f}"
        trial = min(int(self._trial[0]) + 1, self.settings.trials)
        return f"trial {trial} of {self.settings.trials}   {place}{paid}   total {self._total[0]:g}"

    def _render_rgb(self) -> Array:
        canvas = Canvas(400, 300)
        shown, paid = int(self._shown[0]), float(self._last[0])
        places = ((200, 80), (100, 200), (300, 200))
        colors: tuple[Color, ...] = ((214, 214, 220), (226, 150, 160), (150, 178, 226))
        for x, y in places[1:]:
            canvas.line(200, 80, x, y, (190, 190, 190))
        for i, ((x, y), color) in enumerate(zip(places, colors, strict=True)):
            canvas.disc(x, y, 34 if i == shown else 26, color)
            canvas.text(x, y, ("choose", "A", "B")[i], 13 if i == 0 else 20)
        if shown == 3:
            canvas.text(200, 150, "+", 48)
        if paid > 0:
            canvas.disc(*places[max(shown, 0) % 3], 10, (240, 196, 60))
        trial = min(int(self._trial[0]) + 1, self.settings.trials)
        canvas.text(200, 24, f"trial {trial} of {self.settings.trials}")
        canvas.text(200, 275, f"total {self._total[0]:g}")
        return canvas.pixels
