"""Agents to hold a network against in two-dimensional navigation."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, VectorTask
from .env import NavigationEnv, NavigationSettings


class Random(RandomAgent[NavigationEnv]):
    """Moves at random."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, NavigationEnv)


class Oracle(Random):
    """Is told the goal and goes straight there, as fast as it can in each direction, which nothing surpasses."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        settings = self.env.settings
        move = np.clip(self.env.goal - obs[:, :2], -settings.speed, settings.speed)
        return (move * settings.action_scale).astype(np.float32)


class Stay(Random):
    """Does not move: the best that can be done in a first episode without looking for the goal."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        return np.zeros((len(obs), 2), dtype=np.float32)


BASELINES = {"oracle": Oracle, "stay": Stay, "random": Random}


def expected_returns(settings: NavigationSettings, points: int = 400) -> dict[str, float]:
    """Mean return of an episode over all goals of the oracle and of who stays, in closed form.

    The oracle's distance along each axis after t steps is max(0, |g| - t speed), until both are below `reached`. The
    mean over |g| is the midpoint rule with `points` x `points` places.
    """
    goal = (np.arange(points) + 0.5) / points * settings.goals
    x, y = np.meshgrid(goal, goal)
    straight, rests = np.zeros_like(x), np.zeros(x.shape, dtype=bool)
    for t in range(1, settings.steps + 1):
        left = np.maximum(0, x - t * settings.speed), np.maximum(0, y - t * settings.speed)
        if rests.all():
            break
        straight -= np.where(rests, 0, np.hypot(*left))
        rests |= (left[0] < settings.reached) & (left[1] < settings.reached)
    return {"oracle": float(straight.mean()), "stay": float(-settings.steps * np.hypot(x, y).mean())}
