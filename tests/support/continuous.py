"""A bandit without states whose actions are a vector, or several choices at once, and whose best action is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from prefrontal.envs.registry import Task
from prefrontal.envs.vector import VectorTask


@dataclass(frozen=True)
class ContinuousSettings:
    actions: str = "box"
    length: int = 7
    truncate: bool = False
    bound: float = 1.0
    """Of each number of a `Box`. Far from it clipping plays no part in what is best."""


class ContinuousEnv(VectorTask):
    """Of a `Box`: pays minus the squared distance from TARGET. Of choices: pays how many of them are BEST.

    The observation is the step within the episode, whose first is drawn from 0, 1, 2.
    """

    TARGET = np.array([[0.7, -0.4], [0.0, 0.2], [-0.3, 0.5]], np.float32)
    BEST = np.array([1, 0, 3])
    info_spec: ClassVar = {"trial": np.int16, "trial_done": np.bool_, "reward": np.float32}

    def __init__(self, settings, num_envs, render_mode=None):
        super().__init__(num_envs, render_mode)
        self.settings = settings
        spaces = {"box": Box(-settings.bound, settings.bound, self.TARGET.shape), "choices": MultiDiscrete([2, 3, 4])}
        self._set_spaces(Box(0.0, np.inf, (1,), np.float32), spaces[settings.actions])
        self._age = np.zeros(num_envs, dtype=np.int16)
        self.played = np.zeros((num_envs, *self.single_action_space.shape), dtype=np.float32)

    def _begin(self, which):
        self._age[which] = self.rng.integers(0, 3, size=int(which.sum()))

    def _observe(self):
        return self._age[:, None].astype(np.float32)

    def _render_rgb(self):
        return np.full((20, 20, 3), 10 * self._age[0], dtype=np.uint8)

    def _advance(self, action):
        self.played = action.astype(np.float32)
        if self.settings.actions == "box":
            reward = -np.square(action - self.TARGET).sum((1, 2), dtype=np.float32)
        else:
            reward = (action == self.BEST).sum(1).astype(np.float32)
        info = {"trial": self._age.copy(), "trial_done": self._everywhere, "reward": reward}
        self._age += 1
        ended = self._age >= self.settings.length
        over = (self._nowhere, ended) if self.settings.truncate else (ended, self._nowhere)
        return reward, *over, info


TASK = Task(
    name="continuous:TASK",
    gym_id="tests/Continuous-v0",
    summary="find the best vector, or the best choices",
    paper="none",
    settings=ContinuousSettings,
    make=ContinuousEnv,
    actions=(),
    baselines={},
    summarise=lambda trials, settings: {"reward_per_trial": float(np.mean(trials["reward"]))},
    analyse=lambda trials, settings: {},
    references=lambda settings: [],
    figures=lambda evaluations, settings: {},
)
