"""Random Markov decision processes of few states (Duan et al. 2016; in the form of a public MAML, Deleu 2018).

Of each life's process the transitions are Dirichlet(1) and the mean rewards N(1, 1), a state and an action each; an
action pays its mean plus N(0, 1). An episode starts in state 0.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Discrete

from ...conf.settings import Count, NonNegative, Number, settings
from ..canvas import Canvas
from ..families import Family
from ..vector import Array, Mask

Few = Annotated[int, Ge(2), Le(1000)]


@settings
class TabularSettings:
    """Options of the task."""

    episodes: Count = 10
    steps: Count = 10
    states: Few = 10
    actions: Few = 5
    mean: Number = 1.0
    spread: NonNegative = 1.0
    """Mean and standard deviation of an action's mean reward."""
    noise: NonNegative = 1.0
    """Standard deviation of a reward around its mean."""
    starts: bool = False
    """Tell in the observation that an episode starts."""


class TabularEnv(Family):
    """B lives. Observation: the state, one-hot (with `starts` one number more). `info` tells the optimal return of an
    episode in this life, in expectation."""

    info_spec: ClassVar = {**Family.info_spec, "optimal": np.float32}
    hidden = ("transitions", "rewards")

    def __init__(self, settings: TabularSettings, num_envs: int, render_mode: str | None = None) -> None:
        self.settings = settings
        states, actions = settings.states, settings.actions
        life = settings.episodes, settings.steps, settings.starts
        super().__init__(num_envs, *life, Discrete(actions), states, 1.0, render_mode)
        self.transitions = np.zeros((num_envs, states, actions, states))
        """P(s' | s, a) up to s', summed: what a uniform number is looked up in."""
        self.rewards = np.zeros((num_envs, states, actions))
        """Mean reward of an action in a state."""
        self._state = np.zeros(num_envs, dtype=np.int64)

    def _hide(self, which: Mask) -> None:
        settings, count = self.settings, int(which.sum())
        shape = count, settings.states, settings.actions
        chances = self.rng.dirichlet(np.ones(settings.states), shape)
        self.transitions[which] = chances.cumsum(-1)
        self.rewards[which] = self.rng.normal(settings.mean, settings.spread, shape)

    def _place(self, which: Mask) -> None:
        self._state[which] = 0

    def _draw(self, steps: int) -> tuple[Array, ...]:
        shape = steps, self.num_envs
        return self.rng.random(shape), self.rng.standard_normal(shape)

    def _see(self) -> Array:
        seen: Array = (self._state[:, None] == np.arange(self.settings.states)).astype(np.float32)
        return seen

    def _move(self, action: Array) -> Array:
        uniform, normal = self._next_draws()
        here = np.arange(self.num_envs), self._state, action
        earned = self.rewards[here] + self.settings.noise * normal
        following = (self.transitions[here] < uniform[:, None]).sum(1)
        self._state = np.minimum(following, self.settings.states - 1)
        return np.asarray(earned)

    def _told(self) -> dict[str, Array]:
        # Computed where an episode ends; elsewhere nobody reads it.
        over = self._clock >= self.steps
        optimal = np.zeros(self.num_envs, dtype=np.float32)
        if over.any():
            values, _ = plan(np.diff(self.transitions[over], axis=-1, prepend=0.0), self.rewards[over], self.steps)
            optimal[over] = values[:, 0, 0]
        return {"optimal": optimal}

    def _render_rgb(self) -> Array:
        canvas = Canvas(360, 260)
        canvas.text(180, 24, self._render_ansi(), size=15)
        count = self.settings.states
        for state in range(count):
            angle = 2 * np.pi * state / count
            color = (200, 85, 61) if state == self._state[0] else (222, 222, 226)
            canvas.disc(180 + 90 * np.cos(angle), 145 + 90 * np.sin(angle), max(4, min(14, 240 / count)), color)
        return canvas.pixels


def plan(transitions: Array, rewards: Array, steps: int) -> tuple[Array, Array]:
    """Dynamic programming over an episode's steps.

    Args:
        transitions: [N, S, A, S] P(s' | s, a).
        rewards: [N, S, A] mean rewards.
        steps: of an episode.

    Returns:
        The optimal value [N, steps, S] at each step, and the best actions [N, steps, S].
    """
    value = np.zeros((*rewards.shape[:2],))
    values, best = [], []
    for _ in range(steps):
        worth = rewards + np.einsum("nsat,nt->nsa", transitions, value)
        value = worth.max(-1)
        values.append(value)
        best.append(worth.argmax(-1))
    return np.stack(values[::-1], axis=1), np.stack(best[::-1], axis=1)
