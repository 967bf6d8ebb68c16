"""The half-cheetah that has to run forwards or backwards, or at some speed (Finn et al. 2017, section 5.3).

Rewards are those of public MAMLs: direction x velocity, or -|velocity - goal|, minus .05 times the squared controls.
The velocity is that of the position. There is no end before the time.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from ...conf.settings import Count, NonNegative, Number, Pair, Positive, settings
from ..mujoco_family import FRAMES, MujocoFamily, check_velocities
from ..vector import Array, Mask


@settings
class HalfCheetahSettings:
    """Options of the task."""

    goal: Literal["direction", "velocity"] = "direction"
    velocities: Pair[Number] = (0.0, 2.0)
    """In m/s, of `goal=velocity`: the lowest and the highest, uniformly drawn from."""
    episodes: Count = 2
    steps: Count = 100
    action_scale: Positive = 1.0
    """An action of so much is the strongest torque (10 in the settings of Deleu 2018, where torques begin weak)."""
    control_cost: NonNegative = 0.05
    starts: bool = False
    """Tell in the observation that an episode starts."""

    def __post_init__(self) -> None:
        check_velocities(self.velocities)


class HalfCheetahEnv(MujocoFamily):
    """B lives. Observation [17] (with `starts` [18]): position without x, velocity. Actions: torques times
    `action_scale`. `info` tells the goal (±1, or m/s) and the mean velocity of the episode."""

    info_spec: ClassVar = {**MujocoFamily.info_spec, "goal": np.float32, "velocity": np.float32}
    hidden = ("goal",)

    def __init__(self, settings: HalfCheetahSettings, num_envs: int, render_mode: str | None = None) -> None:
        life = settings.episodes, settings.steps, settings.starts
        path = Path(__file__).with_name("half_cheetah.xml")
        super().__init__(num_envs, life, path, settings.action_scale, 17, render_mode)
        from mujoco.rollout import Rollout

        self.settings = settings
        self.goal, self._start = np.zeros(num_envs), np.zeros(num_envs)
        self._rollout = Rollout(nthread=0)  # in this thread

    def _hide(self, which: Mask) -> None:
        count, (low, high) = int(which.sum()), self.settings.velocities
        sign = 2.0 * self.rng.integers(2, size=count) - 1
        self.goal[which] = sign if self.settings.goal == "direction" else self.rng.uniform(low, high, count)

    def _place(self, which: Mask) -> None:
        super()._place(which)
        self._start[which] = self._position[which, 0]

    def _see(self) -> Array:
        return np.concatenate((self._position[:, 1:], self._velocity), axis=1).astype(np.float32)

    def _move(self, action: Array) -> Array:
        control, before = self._control(action), self._position[:, 0]
        state = np.concatenate((np.zeros((self.num_envs, 1)), self._position, self._velocity), axis=1)
        after, _ = self._rollout.rollout(self.model, self.data, state, np.repeat(control[:, None], FRAMES, axis=1))
        self._position, self._velocity = np.split(after[:, -1, 1:].copy(), [self.model.nq], axis=1)
        velocity = (self._position[:, 0] - before) / self.dt
        cost = self.settings.control_cost * (control**2).sum(1)
        if self.settings.goal == "direction":
            return np.asarray(self.goal * velocity - cost)
        return np.asarray(-np.abs(velocity - self.goal) - cost)

    def _told(self) -> dict[str, Array]:
        gone = (self._position[:, 0] - self._start) / (self.dt * np.maximum(self._clock, 1))
        return {"goal": self.goal.astype(np.float32), "velocity": gone.astype(np.float32)}
