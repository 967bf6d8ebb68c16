"""Harlow's task by the pictures' numbers: what is left of `psychlab_harlow` when seeing and looking are solved.

The public agent that reads numbers off DeepMind Lab's frames plays this: two pictures of a small set, one action a
trial, and the gaze comes back to the cross by itself.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Box, Discrete

from ...conf.settings import LARGEST, Number, Probability, settings
from ..canvas import Canvas
from ..psychlab.images import draw
from ..psychlab.sides import EvenTrials, Sides, draw_sides
from ..vector import Array, Mask, VectorTask

LEFT, RIGHT = 0, 1
_SHOWN = 128
"""Side of a picture in renderings."""


@settings
class PictureNumbersSettings:
    """Options of the task.

    Raises:
        ValueError: for a value that cannot be.
    """

    images: Annotated[int, Ge(2), Le(LARGEST)] = 42
    trials: EvenTrials = 6
    reward_fixation: Number = 0.0
    reward_correct: Number = 5.0
    reward_wrong: Number = -5.0
    trial_number: bool = False
    sides: Sides = "random"
    switch: Probability = 0.5


class PictureNumbersEnv(VectorTask):
    """B episodes. Observation [2 * images]: one-hot numbers of the left and of the right picture.

    With `trial_number` a last number says what share of the trials has passed.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "correct": np.bool_,
        "chose_right": np.bool_,
        "rewarded_right": np.bool_,
        "reward": np.float32,
        "rewarded_image": np.int32,
        "other_image": np.int32,
    }

    def __init__(self, settings: PictureNumbersSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self._set_spaces(Box(0, 1, (2 * settings.images + settings.trial_number,), np.float32), Discrete(2))
        self._rows = np.arange(num_envs)
        self._pair = np.zeros((num_envs, 2), dtype=np.int32)
        """The rewarded picture and the other one."""
        self._sides = np.zeros((num_envs, settings.trials), dtype=bool)
        """Where the rewarded picture is on the right."""
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._total = np.zeros(num_envs, dtype=np.float32)
        self._last = np.zeros(num_envs, dtype=np.float32)

    def _begin(self, which: Mask) -> None:
        count, settings = int(which.sum()), self.settings
        first = self.rng.integers(settings.images, size=count)
        other = (first + self.rng.integers(1, settings.images, size=count)) % settings.images
        self._pair[which] = np.column_stack([first, other])
        self._sides[which] = draw_sides(settings.sides, settings.switch, self.rng.random((count, settings.trials)))
        self._trial[which] = 0
        self._total[which] = self._last[which] = 0

    def _rewarded_right(self) -> Mask:
        side: Mask = self._sides[self._rows, np.minimum(self._trial, self.settings.trials - 1)]
        return side

    def _shown(self) -> Array:
        """Numbers of the left and the right picture, [B, 2]."""
        return np.where(self._rewarded_right()[:, None], self._pair[:, ::-1], self._pair)

    def _observe(self) -> Array:
        obs = np.zeros(self.observation_space.shape or (), dtype=np.float32)
        left, right = self._shown().T
        obs[self._rows, left] = 1
        obs[self._rows, self.settings.images + right] = 1
        if self.settings.trial_number:
            obs[:, -1] = self._trial / self.settings.trials
        return obs

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        settings, side = self.settings, self._rewarded_right()
        correct = (action == RIGHT) == side
        outcome = np.where(correct, settings.reward_correct, settings.reward_wrong)
        reward = (outcome + settings.reward_fixation).astype(np.float32)
        info = {
            "trial": self._trial.copy(),
            "trial_done": np.ones(self.num_envs, dtype=bool),
            "correct": correct,
            "chose_right": action == RIGHT,
            "rewarded_right": side,
            "reward": reward.copy(),
            "rewarded_image": self._pair[:, 0].copy(),
            "other_image": self._pair[:, 1].copy(),
        }
        self._trial += 1
        self._total += reward
        self._last = reward.copy()
        return reward, self._trial >= settings.trials, np.zeros(self.num_envs, dtype=bool), info

    def _status(self) -> str:
        trial = min(int(self._trial[0]) + 1, self.settings.trials)
        return f"trial {trial} of {self.settings.trials}"

    def _render_ansi(self) -> str:
        left, right = self._shown()[0]
        paid = f"   {self._last[0]:+.1f}" if self._trial[0] else ""
        return f"{self._status()}   [{left:3d}]  +  [{right:3d}]   total {self._total[0]:+.1f}{paid}"

    def _render_rgb(self) -> Array:
        canvas = Canvas(400, 240)
        canvas.text(200, 26, self._status())
        canvas.text(200, 120, "+", 40, (200, 45, 45))
        canvas.text(200, 216, f"total {self._total[0]:+.1f}")
        pixels = canvas.pixels
        for number, x in zip(self._shown()[0], (32, 400 - 32 - _SHOWN), strict=True):
            pixels[54 : 54 + _SHOWN, x : x + _SHOWN] = draw(int(number) + 1)[::2, ::2]
        return pixels
