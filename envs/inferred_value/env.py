"""Linked values of two targets (Bromberg-Martin et al. 2010), as in Wang et al. 2018, simulation 3.

Each trial shows one of two targets, left or right, which a saccade has to follow. Exactly one of them is rewarded, and
the roles reverse without a sign: what one target brings tells what the other is worth. The paper tells neither the
length of an episode nor when roles reverse: those are our choices.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Box, Discrete

from ...conf.settings import LARGEST_RECORDED, NonNegative, Probability, settings
from ..two_sides import FIXATE
from ..vector import Array, Mask, VectorTask, constant

Trial = Annotated[int, Ge(2), Le(LARGEST_RECORDED)]


@settings
class InferredValueSettings:
    """Options of the task.

    Raises:
        ValueError: if the last trial that may be a reversal is before the first one or after the episode.
    """

    trials: Trial = 20
    earliest: Trial = 6
    latest: Trial = 15
    """The trial (from 1) from which on the roles are reversed: one an episode, each from `earliest` on as often."""
    hazard: Probability = 0.0
    """Above 0, the roles reverse before each trial with this probability instead, any number of times."""
    penalty: NonNegative = 1.0
    """Cost of an action that the step does not allow."""

    def __post_init__(self) -> None:
        if not self.hazard and not self.earliest <= self.latest <= self.trials:
            raise ValueError(
                f"latest={self.latest} has to lie from {self.earliest} (earliest) to {self.trials} (trials)"
            )


class InferredValueEnv(VectorTask):
    """B episodes. Observation: one-hot [3] of (left target, right target, fixation cue).

    A trial has two steps: the cue alone, which wants the third action, then the target, which wants its side. Another
    action costs `penalty`; on the cue the trial goes on. In `info`, `reward` is what the trial's last step brought,
    `rewarded` whether the target is the one with the reward, `reversed` whether the roles changed before this trial,
    `valid` whether target (and `fixated`, whether cue) were answered as they should be.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "target": np.int8,
        "rewarded": np.bool_,
        "reversed": np.bool_,
        "rewarded_side": np.int8,
        "action": np.int8,
        "reward": np.float32,
        "fixated": np.bool_,
        "valid": np.bool_,
    }
    phases = ("fixation", "target")

    def __init__(self, settings: InferredValueSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self._set_spaces(Box(0.0, 1.0, (3,), np.float32), Discrete(3))
        self._views = constant(np.eye(3, dtype=np.float32))
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._shown = np.full(num_envs, FIXATE, dtype=np.int8)
        """Entry of the observation; all rows are in the same step of a trial, since episodes have one length."""
        self._rewarded_side = np.zeros(num_envs, dtype=np.int8)
        self._reversal = np.zeros(num_envs, dtype=np.int32)
        """The trial (from 0) of the one reversal."""
        self._reversed = np.zeros(num_envs, dtype=bool)
        self._fixated = np.ones(num_envs, dtype=bool)
        self._total, self._last = np.zeros(num_envs, dtype=np.float32), np.zeros(num_envs, dtype=np.float32)
        """Return so far and last reward, for rendering."""

    def _begin(self, which: Mask) -> None:
        count, settings = int(which.sum()), self.settings
        self._trial = np.where(which, np.int32(0), self._trial)
        self._shown = np.where(which, np.int8(FIXATE), self._shown)
        self._rewarded_side = self._rewarded_side.copy()
        self._rewarded_side[which] = self.rng.integers(2, size=count, dtype=np.int8)
        if not settings.hazard:
            reversal = self.rng.integers(settings.earliest - 1, settings.latest, size=count, dtype=np.int32)
            self._reversal[which] = reversal
        self._reversed = self._reversed & ~which
        self._total[which] = 0
        self._last = np.where(which, np.float32(0), self._last)

    def _draw(self, steps: int) -> tuple[Array, ...]:
        shape = (steps, self.num_envs)
        return self.rng.integers(2, size=shape, dtype=np.int8), self.rng.random(shape, dtype=np.float32)

    def _observe(self) -> Array:
        obs: Array = self._views.take(self._shown, axis=0)
        return obs

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        side, uniform = self._next_draws()
        fixates = self._shown[0] == FIXATE
        valid = action == self._shown
        target = side if fixates else self._shown
        rewarded = target == self._rewarded_side
        reward = np.where(valid, rewarded & (not fixates), -self.settings.penalty).astype(np.float32)
        if fixates:
            self._fixated = valid
        info = {
            "trial": self._trial,
            "trial_done": self._nowhere if fixates else self._everywhere,
            "target": target,
            "rewarded": rewarded,
            "reversed": self._reversed,
            "rewarded_side": self._rewarded_side,
            "action": action.astype(np.int8),
            "reward": reward,
            "fixated": self._fixated,
            "valid": valid,
        }
        self._total += reward
        self._last = reward
        self._shown = target if fixates else np.full_like(self._shown, FIXATE)
        if not fixates:
            self._next_trial(uniform)
        return reward, self._trial >= self.settings.trials, self._nowhere, info

    def _next_trial(self, uniform: Array) -> None:
        self._trial = self._trial + 1
        hazard = self.settings.hazard
        self._reversed = uniform < hazard if hazard else self._trial == self._reversal
        self._rewarded_side = self._rewarded_side ^ self._reversed

    def _shown_trial(self) -> str:
        return f"trial {min(int(self._trial[0]) + 1, self.settings.trials)} of {self.settings.trials}"

    def _render_ansi(self) -> str:
        place = ("[left]", "[right]", "fixate the cross")[self._shown[0]]
        return f"{self._shown_trial()}   {place}   last {self._last[0]:+g}   total {self._total[0]:g}"

    def _render_rgb(self) -> Array:
        from ..canvas import Canvas

        canvas = Canvas(400, 300)
        for side, x in enumerate((80, 320)):
            canvas.disc(x, 150, 40, (150, 178, 226) if self._shown[0] == side else (235, 235, 238))
            canvas.text(x, 150, ("left", "right")[side], 16)
        if self._shown[0] == FIXATE:
            canvas.text(200, 150, "+", 48)
        canvas.text(200, 36, self._shown_trial())
        canvas.text(200, 268, f"total {self._total[0]:g}   (last: {self._last[0]:+g})")
        return canvas.pixels
