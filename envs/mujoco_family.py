"""Families of robots simulated by MuJoCo (Todorov et al. 2012), which is an extra: `pip install 'prefrontal[mujoco]'`.

What a simulation is, position, velocity and time of B robots, is an array [B, ...] that MuJoCo is given in each step:
so it is saved and restored like any other, bit for bit.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from .canvas import Canvas
from .families import Family
from .random_agent import RandomAgent
from .registry import TaskUnavailableError
from .vector import Array, Mask, VectorTask

FRAMES = 5
"""Steps of the simulation in one of the task, as in Gymnasium."""
NOISE = 0.1
"""Of where an episode starts: positions ± so much, velocities by so many standard deviations."""
BOUND = 1e4
"""Of what is seen."""


@cache
def load_mujoco() -> Any:
    """The module `mujoco`.

    Raises:
        TaskUnavailableError: if it is not installed.
    """
    try:
        import mujoco
    except ImportError as error:
        raise TaskUnavailableError(
            f"this task needs MuJoCo, which cannot be imported ({error}): pip install 'prefrontal[mujoco]'"
        ) from error
    return mujoco


def check_velocities(velocities: tuple[float, float]) -> None:
    """That the lowest is not above the highest.

    Raises:
        ValueError: if it is.
    """
    if velocities[0] > velocities[1]:
        raise ValueError(f"velocities={list(velocities)} are not the lowest and the highest")


def mean_speed(velocities: tuple[float, float]) -> float:
    """Mean of |v| for v uniform from the lowest to the highest."""
    low, high = velocities
    return abs(low + high) / 2 if low * high >= 0 else (low**2 + high**2) / (2 * (high - low))


class MujocoFamily(Family):
    """B robots of one model; subclasses write what is hidden, how they are moved, rewarded and seen.

    Args:
        num_envs: B.
        life: episodes of a life, steps of an episode, and whether its start is told.
        model: path of the model's XML.
        action_scale: an action of so much is the largest control.
        seen: how many numbers are seen.
        render_mode: of Gymnasium.

    Raises:
        TaskUnavailableError: without MuJoCo.
    """

    side = True
    """Draw the robot from the side; else from above."""

    def __init__(
        self,
        num_envs: int,
        life: tuple[int, int, bool],
        model: Path,
        action_scale: float,
        seen: int,
        render_mode: str | None,
    ) -> None:
        self.mujoco = load_mujoco()
        self.model = self.mujoco.MjModel.from_xml_path(str(model))
        self.data = self.mujoco.MjData(self.model)
        bound = np.full(self.model.nu, action_scale, dtype=np.float32)
        super().__init__(num_envs, *life, Box(-bound, bound), seen, BOUND, render_mode)
        self.action_scale, self.dt = action_scale, FRAMES * self.model.opt.timestep
        self._position = np.zeros((num_envs, self.model.nq))
        self._velocity = np.zeros((num_envs, self.model.nv))

    def _place(self, which: Mask) -> None:
        count, model = int(which.sum()), self.model
        position = model.qpos0 + self.rng.uniform(-NOISE, NOISE, (count, model.nq))
        self._position[which], self._velocity[which] = position, NOISE * self.rng.standard_normal((count, model.nv))

    def _control(self, action: Array) -> Array:
        """Controls [B, U] in -1..1."""
        return np.clip(action.astype(float) / self.action_scale, -1, 1)

    def _render_rgb(self) -> Array:
        """The robot's spheres and capsules in a plane, over marks a metre apart."""
        width, height, scale = 400, 260, 110.0
        canvas = Canvas(width, height)
        canvas.text(width / 2, 22, self._render_ansi(), size=15)
        data, model, across, up = self.data, self.model, 0, 2 if self.side else 1
        data.qpos[:] = self._position[0]
        self.mujoco.mj_kinematics(model, data)
        centre = np.array([data.qpos[0], 0.75 if self.side else data.qpos[1]])

        def at(point: Array) -> tuple[float, float]:
            x, y = scale * (point[[across, up]] - centre)
            return width / 2 + x, height / 2 + 20 - y

        for metre in range(int(centre[0]) - 3, int(centre[0]) + 4):
            x = at(np.array([metre, 0.0, 0.0]))[0]
            ground = at(np.zeros(3))[1] if self.side else height - 34
            canvas.line(x, ground, x, ground + 8, (150, 150, 156), width=1)
            canvas.text(x, ground + 18, str(metre), size=11)
        if self.side:
            canvas.line(0, at(np.zeros(3))[1], width, at(np.zeros(3))[1], (150, 150, 156), width=1)
        for geom in range(1, model.ngeom):
            radius, half = model.geom_size[geom][:2]
            axis = half * data.geom_xmat[geom].reshape(3, 3)[:, 2]
            if model.geom_type[geom] == self.mujoco.mjtGeom.mjGEOM_SPHERE:
                canvas.disc(*at(data.geom_xpos[geom]), scale * radius, (230, 190, 150))
            else:
                ends = (*at(data.geom_xpos[geom] - axis), *at(data.geom_xpos[geom] + axis))
                canvas.line(*ends, (200, 85, 61), width=max(2, int(2 * scale * radius)))
        return canvas.pixels


class Random(RandomAgent[MujocoFamily]):
    """Torques at random."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, MujocoFamily)


class Still(Random):
    """No torques."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        return np.zeros((len(obs), self.env.model.nu), dtype=np.float32)


BASELINES = {"still": Still, "random": Random}
