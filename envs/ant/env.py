"""The ant that has to walk forwards or backwards, at some speed, or to a place (Finn et al. 2017, section 5.3).

Rewards are those of a public MAML (Deleu 2018), with x the torso's position and v its velocity: direction x v, or
1 - |v - goal|, or 4 - |x - goal| summed over both directions; in all of them .05 for being up, minus .005 times the
squared controls and .0005 times the squared contact forces, clipped at ± 1. An ant whose torso is not between .2 and
1.0 m high has fallen: the rest of the episode it lies, without reward.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from ...conf.settings import Count, NonNegative, Number, Pair, Positive, settings
from ..mujoco_family import FRAMES, MujocoFamily, check_velocities
from ..vector import Array, Mask

LOW, HIGH = 0.2, 1.0
"""Heights of a torso that is up, in m."""


@settings
class AntSettings:
    """Options of the task."""

    goal: Literal["direction", "velocity", "position"] = "direction"
    velocities: Pair[Number] = (0.0, 3.0)
    """In m/s, of `goal=velocity`: the lowest and the highest, uniformly drawn from."""
    places: Positive = 3.0
    """In m, of `goal=position`: drawn from ± this in both directions."""
    episodes: Count = 2
    steps: Count = 100
    action_scale: Positive = 1.0
    """An action of so much is the strongest torque (10 in the settings of Deleu 2018, where torques begin weak)."""
    up: NonNegative = 0.05
    """Reward of a step in which it has not fallen."""
    control_cost: NonNegative = 0.005
    contact_cost: NonNegative = 0.0005
    contacts: bool = False
    """Show the contact forces, 78 numbers."""
    starts: bool = False
    """Tell in the observation that an episode starts."""

    def __post_init__(self) -> None:
        check_velocities(self.velocities)


class AntEnv(MujocoFamily):
    """B lives. Observation: position without x and y [13], of `goal=position` with them [15], velocity [14], with
    `contacts` contact forces [78], with `starts` [1]. Actions: torques times `action_scale`.

    `info` tells the goal (±1, m/s, or x and y) and where the torso is, relative to the start. Robots are stepped one by
    one: contact forces are not part of what batches of MuJoCo give.
    """

    info_spec: ClassVar = {
        **MujocoFamily.info_spec,
        "goal": np.float32,
        "goal_y": np.float32,
        "x": np.float32,
        "y": np.float32,
        "fallen": np.bool_,
    }
    hidden = ("goal",)
    side = False

    def __init__(self, settings: AntSettings, num_envs: int, render_mode: str | None = None) -> None:
        life = settings.episodes, settings.steps, settings.starts
        self.settings = settings
        where = settings.goal == "position"
        seen = 27 + 2 * where + 78 * settings.contacts
        path = Path(__file__).with_name("ant.xml")
        super().__init__(num_envs, life, path, settings.action_scale, seen, render_mode)
        self.goal, self._start = np.zeros((num_envs, 2)), np.zeros((num_envs, 2))
        self._fallen = np.zeros(num_envs, dtype=bool)
        self._warm = np.zeros((num_envs, self.model.nv))
        """Where MuJoCo's solver begins."""
        self._force = np.zeros((num_envs, self.model.nbody - 1, 6))
        self._seen_from = 0 if where else 2

    def _hide(self, which: Mask) -> None:
        settings, goal = self.settings, np.zeros((int(which.sum()), 2))
        if settings.goal == "direction":
            goal[:, 0] = 2 * self.rng.integers(2, size=len(goal)) - 1
        elif settings.goal == "velocity":
            goal[:, 0] = self.rng.uniform(*settings.velocities, len(goal))
        else:
            goal[:] = self.rng.uniform(-settings.places, settings.places, goal.shape)
        self.goal[which] = goal

    def _place(self, which: Mask) -> None:
        super()._place(which)
        self._start[which] = self._position[which, :2]
        self._fallen = self._fallen & ~which
        self._warm[which], self._force[which] = 0, 0

    def _see(self) -> Array:
        parts = [self._position[:, self._seen_from :], self._velocity]
        if self.settings.contacts:
            parts.append(self._force.reshape(self.num_envs, -1))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _move(self, action: Array) -> Array:
        settings, control = self.settings, self._control(action)
        up, before = ~self._fallen, self._position[:, :2].copy()
        for row in np.flatnonzero(up).tolist():
            self._step(row, control[row])
        velocity = (self._position[:, 0] - before[:, 0]) / self.dt
        if settings.goal == "direction":
            earned = self.goal[:, 0] * velocity
        elif settings.goal == "velocity":
            earned = 1 - np.abs(velocity - self.goal[:, 0])
        else:
            earned = 4 - np.abs(self._position[:, :2] - self.goal).sum(1)
        cost = settings.control_cost * (control**2).sum(1) + settings.contact_cost * (self._force**2).sum((1, 2))
        height = self._position[:, 2]
        # As published the step in which it falls still counts.
        self._fallen = self._fallen | (height < LOW) | (height > HIGH)
        return np.asarray(np.where(up, earned + settings.up - cost, 0.0))

    def _step(self, row: int, control: Array) -> None:
        data = self.data
        data.qpos[:], data.qvel[:], data.ctrl[:] = self._position[row], self._velocity[row], control
        data.qacc_warmstart[:] = self._warm[row]
        self.mujoco.mj_step(self.model, data, nstep=FRAMES)
        self.mujoco.mj_rnePostConstraint(self.model, data)
        self._position[row], self._velocity[row] = data.qpos, data.qvel
        self._warm[row], self._force[row] = data.qacc_warmstart, np.clip(data.cfrc_ext[1:], -1, 1)

    def _told(self) -> dict[str, Array]:
        goal, gone = self.goal.astype(np.float32), (self._position[:, :2] - self._start).astype(np.float32)
        return {
            "goal": goal[:, 0].copy(),
            "goal_y": goal[:, 1].copy(),
            "x": gone[:, 0].copy(),
            "y": gone[:, 1].copy(),
            "fallen": self._fallen,
        }
