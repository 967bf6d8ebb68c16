"""Agents to hold a network against in the water maze: searchers with and without recall, oracle, random."""

from __future__ import annotations

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, Mask, VectorTask
from .env import MOVES, WaterMazeEnv, distance


class Random(RandomAgent[WaterMazeEnv]):
    """Swims at random."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, WaterMazeEnv)

    def _towards(self, goal: Array) -> Array:
        """Moves [B] that lead nearer to cells [B, 2], each of them equally often."""
        size = self.env.settings.size
        after = np.clip(self.env.cell[:, None] + MOVES, 0, size - 1)  # [B, moves, 2]
        left = distance(after, goal[:, None]) + self.rng.random(after.shape[:2]) / 2
        moves: Array = left.argmin(1)
        return moves


class Oracle(Random):
    """Is told where the platform is."""

    def act(self, obs: Array) -> Array:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        return self._towards(self.env.platform())


class Searcher(Random):
    """Swims to the nearest cell that it has not been to in this episode, and straight to a platform that it knows.

    That is no optimal search, which would have to be planned, but it hardly ever comes to a cell twice.
    """

    recalls = True

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        size = self.env.settings.size
        self._seen = np.zeros((env.num_envs, size, size), dtype=bool)
        self._cells = np.moveaxis(np.indices((size, size)), 0, -1)
        self._goal = np.zeros((env.num_envs, 2), dtype=np.int32)
        self._rows = np.arange(env.num_envs)

    def begin(self, which: Mask) -> None:
        """See `envs.trials.Baseline`."""
        self._seen[which] = False
        self._goal[which] = self.env.cell[which]

    def act(self, obs: Array) -> Array:  # noqa: ARG002
        """See `envs.trials.Baseline`."""
        cell, size = self.env.cell, self.env.settings.size
        self._seen[self._rows, cell[:, 0], cell[:, 1]] = True
        far = distance(cell[:, None, None], self._cells) + self.rng.random(self._seen.shape) / 2
        # On the way to a cell it stays that way, of equally near ones; cells in corners first, which cost most later.
        next_cell = np.where(self._seen, np.inf, far).reshape(len(cell), -1).argmin(1)
        reached = self._seen[self._rows, self._goal[:, 0], self._goal[:, 1]]
        chosen = np.stack(np.divmod(next_cell, size), axis=1)
        self._goal = np.where(reached[:, None], chosen, self._goal)
        known = self.env.known() & self.recalls
        return self._towards(np.where(known[:, None], self.env.platform(), self._goal))


class WithoutRecall(Searcher):
    """Searches in each episode anew."""

    recalls = False


BASELINES = {"searcher": Searcher, "without_recall": WithoutRecall, "oracle": Oracle, "random": Random}
