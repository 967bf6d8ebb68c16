"""The two-step task (Daw et al. 2011) as Wang et al. 2016 and 2018 trained networks on it.

A first-stage action leads to one of two second-stage states, usually (`common`) to its own one. One of these states
is good: it pays with probability `reward`, the other with 1 - `reward`. Before every trial the good state changes with
probability `reversal`; a new episode draws it afresh.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from ...conf.settings import Probability, Recorded, settings
from ..canvas import Canvas, Color
from ..vector import Array, Mask, VectorTask

INVALID_REWARD = -1.0
"""What an action costs that the stage does not allow (`steps_per_trial=3`; Wang et al. 2018, general methods)."""

FIXATE = 2
"""The action of central fixation (`steps_per_trial=3`)."""


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
        self._last_phase = settings.steps_per_trial - 1
        width = 3 + (settings.steps_per_trial == 3) + settings.trial_number
        num_actions = 3 if settings.steps_per_trial == 3 else 2
        self._set_spaces(Box(0.0, 1.0, (width,), np.float32), Discrete(num_actions))
        self._rows = np.arange(num_envs)
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._good = np.zeros(num_envs, dtype=np.int8)
        self._shown = np.zeros(num_envs, dtype=np.int8)
        """Observation entry: 0 first stage, 1 + second-stage state, 3 fixation cue."""
        self._phase = np.zeros(num_envs, dtype=np.int8)
        """0 choice (with one or two steps); with three steps 0 cue, 1 choice, 2 second stage."""
        self._choice = np.zeros(num_envs, dtype=np.int8)
        self._total = np.zeros(num_envs, dtype=np.float32)
        self._last = np.zeros(num_envs, dtype=np.float32)
        """Return so far and last reward, for rendering."""

    def _begin(self, which: Mask) -> None:
        count = int(which.sum())
        self._trial[which] = 0
        self._good[which] = self.rng.integers(2, size=count, dtype=np.int8)
        self._phase[which] = 0
        self._shown[which] = 3 if self.settings.steps_per_trial == 3 else 0
        self._choice[which] = -1
        self._total[which] = 0
        self._last[which] = 0

    def _observe(self) -> Array:
        obs = np.zeros((self.num_envs, *self.single_observation_space.shape), dtype=np.float32)  # type: ignore[misc]
        obs[self._rows, self._shown] = 1.0
        if self.settings.trial_number:
            obs[:, -1] = self._trial / self.settings.trials
        return obs

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        play = self._whole_trial if self.settings.steps_per_trial == 1 else self._one_stage
        outcome = play(action.astype(np.int8))
        self._last = outcome[0].copy()
        self._total += outcome[0]
        return outcome

    def _draw(self) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.bool_]]:
        """For all rows: whether the transition is common, a uniform number for the reward, whether a reversal comes."""
        uniform = self.rng.random((3, self.num_envs), dtype=np.float32)
        return uniform[0] < self.settings.common, uniform[1], uniform[2] < self.settings.reversal

    def _info(self, done: Mask, state: Array, common: Mask, reward: Array) -> dict[str, Array]:
        return {
            "trial": self._trial.copy(),
            "trial_done": done,
            "choice": self._choice.copy(),
            "state": state,
            "common": common,
            "reward": reward,
            "good_state": self._good.copy(),
        }

    def _whole_trial(self, choice: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        common, uniform, reverse = self._draw()
        state = np.where(common, choice, 1 - choice)
        pays = np.where(state == self._good, self.settings.reward, 1 - self.settings.reward)
        reward = (uniform < pays).astype(np.float32)
        self._choice = choice
        info = self._info(np.ones(self.num_envs, dtype=bool), state, common, reward)
        self._shown = state + np.int8(1)
        self._trial += 1
        self._good ^= reverse
        ended = self._trial >= self.settings.trials
        return reward, ended, np.zeros(self.num_envs, dtype=bool), info

    def _one_stage(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        three = self.settings.steps_per_trial == 3
        common, uniform, reverse = self._draw()
        cue = three & (self._phase == 0)
        choosing = self._phase == (1 if three else 0)
        outcome = self._phase == self._last_phase
        invalid = three & np.where(cue, action != FIXATE, action == FIXATE)
        self._choice = np.where(choosing, np.where(action == FIXATE, 0, action), self._choice).astype(np.int8)
        reached = np.where(common, self._choice, 1 - self._choice)
        state = np.where(choosing, reached, self._shown - 1).astype(np.int8)
        pays = np.where(state == self._good, self.settings.reward, 1 - self.settings.reward)
        reward = (outcome & (uniform < pays)).astype(np.float32)
        trial_reward = reward.copy()
        reward[invalid] += INVALID_REWARD
        info = self._info(outcome, state, state == self._choice, trial_reward)
        self._shown = np.where(cue, 0, np.where(choosing, state + 1, 3 if three else 0)).astype(np.int8)
        self._phase = np.where(outcome, 0, self._phase + 1).astype(np.int8)
        self._trial += outcome
        self._good ^= outcome & reverse
        ended = outcome & (self._trial >= self.settings.trials)
        return reward, ended, np.zeros(self.num_envs, dtype=bool), info

    def _render_ansi(self) -> str:
        place = ("first stage", "state A", "state B", "fixate the cross")[self._shown[0]]
        if self.settings.steps_per_trial == 1:
            place = "first trial" if self._shown[0] == 0 else f"the last choice led to {place}"
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
