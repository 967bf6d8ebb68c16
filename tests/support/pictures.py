"""A tiny task in pixels: a bright square stands left or right on noisy ground, the action that names its side pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete
from matplotlib.figure import Figure
from prefrontal.envs.registry import Task
from prefrontal.envs.vector import VectorTask

SIDE = 20


@dataclass(frozen=True)
class PicturesSettings:
    trials: int = 5
    cut: bool = False  # off at the end, in place of an end


class PicturesEnv(VectorTask):
    info_spec: ClassVar = {
        "trial": np.int16,
        "trial_done": np.bool_,
        "reward": np.float32,
        "gaze_x": np.float32,
        "gaze_y": np.float32,
    }

    def __init__(self, settings, num_envs, render_mode=None):
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self._set_spaces(Box(0, 255, (SIDE, SIDE, 3), np.uint8), Discrete(2))
        self._trial = np.zeros(num_envs, dtype=np.int16)
        self._right = np.zeros(num_envs, dtype=np.int64)

    def _begin(self, which):
        self._trial[which] = 0
        self._right[which] = self.rng.integers(0, 2, size=int(which.sum()))

    def _observe(self):
        obs = self.rng.integers(0, 60, size=(self.num_envs, SIDE, SIDE, 3), dtype=np.uint8)
        for row, right in enumerate(self._right):
            obs[row, 7:13, 12 * right + 1 : 12 * right + 7] = (250, 200, 30)
        return obs

    def _advance(self, action):
        reward = (action == self._right).astype(np.float32)
        everywhere = np.ones(self.num_envs, dtype=bool)
        info = {
            "trial": self._trial.copy(),
            "trial_done": everywhere,
            "reward": reward,
            "gaze_x": np.where(self._right, 0.75, 0.2).astype(np.float32),
            "gaze_y": np.full(self.num_envs, 0.5, dtype=np.float32),
        }
        self._trial += 1
        self._right = self.rng.integers(0, 2, size=self.num_envs)
        over = self._trial >= self.settings.trials
        return reward, over & (not self.settings.cut), over & self.settings.cut, info

    def _render_rgb(self):
        return np.zeros((40, 30, 3), dtype=np.uint8)


def summarise(trials, settings):
    return {"reward_per_trial": float(np.mean(trials["reward"])) if len(trials["reward"]) else float("nan")}


TASK = Task(
    name="pictures",
    gym_id="prefrontal/Pictures-v0",
    summary="for tests",
    paper="",
    settings=PicturesSettings,
    make=PicturesEnv,
    actions=("left", "right"),
    baselines={},
    summarise=summarise,
    analyse=lambda trials, settings: {},
    references=lambda settings: [],
    figures=lambda evaluations, settings: [("empty", Figure())],
)
