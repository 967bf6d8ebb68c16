"""Trials with two sides to choose from after central fixation (Wang et al. 2018): what tasks of such trials share."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from gymnasium.spaces import Box, Discrete

from .random_agent import RandomAgent
from .vector import Array, Mask, VectorTask

FIXATE = 2
"""The action of central fixation, and the entry of the cue for it in the observation."""


class TwoSides(VectorTask):
    """B episodes. Observation: which sides are there (left, right), and with `fixation` the cue for it, [2] or [3].

    With `fixation` a trial has two steps: the cue alone, which wants the third action, then the sides. Another action
    on the cue costs `penalty`, and the trial goes on. A side that is not there, or a fixation where a side was due,
    costs `penalty`, and the trial is over. In `info`, `choice` is -1 where no side was chosen; `reward` is what the
    trial's last step brought, `fixated` whether the cue was answered as it should be. Only what a subclass declares is
    told.

    A subclass sets `_length`, writes `_begin` (which calls this one's) and the hooks below.
    """

    def __init__(self, num_envs: int, render_mode: str | None, fixation: bool, penalty: float) -> None:
        super().__init__(num_envs, render_mode)
        self._fixation, self._penalty = fixation, np.float32(penalty)
        entries = 2 + fixation
        self._set_spaces(Box(0.0, 1.0, (entries,), np.float32), Discrete(entries))
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._length = np.ones(num_envs, dtype=np.int32)
        """Trials of each episode."""
        self._fixating = np.full(num_envs, fixation)
        """Whether this step shows the cue; the same in all rows, since all trials have as many steps."""
        self._fixated = np.ones(num_envs, dtype=bool)
        self._total, self._last = np.zeros(num_envs, dtype=np.float32), np.zeros(num_envs, dtype=np.float32)
        """Return so far and last reward, for rendering."""

    # Hooks -------------------------------------------------------------------------------------------------

    def _begin_trial(self, drawn: tuple[Array, ...]) -> None:
        """Called in a trial's first step with what `_draw` drew for that step before its last array."""

    def _there(self) -> Mask:
        """Which sides this trial has, [B, 2]: one at least."""
        return np.ones((self.num_envs, 2), dtype=bool)

    def _choose(self, chosen: Mask, uniform: Array) -> tuple[Array, Array]:
        """`choice` and reward of who chose, [B] each; in rows of `chosen` [B, 2] without a side they do not count.

        Args:
            chosen: the side.
            uniform: random numbers in 0..1, [B].
        """
        raise NotImplementedError

    def _told(self, action: Array) -> dict[str, Array]:
        """What `info` says beside `trial`, `trial_done`, `choice`, `reward`, `fixated`; before what the step does."""
        raise NotImplementedError

    # VectorTask's ------------------------------------------------------------------------------------------

    def _begin(self, which: Mask) -> None:
        self._trial = np.where(which, np.int32(0), self._trial)
        self._fixating = np.where(which, self._fixation, self._fixating)
        self._total[which] = 0
        self._last = np.where(which, np.float32(0), self._last)

    def _draw(self, steps: int) -> tuple[Array, ...]:
        return (self.rng.random((steps, self.num_envs), dtype=np.float32),)

    def _observe(self) -> Array:
        obs = np.zeros((self.num_envs, 2 + self._fixation), dtype=np.float32)
        obs[:, :FIXATE] = self._there() & ~self._fixating[:, None]
        obs[:, FIXATE:] = self._fixating[:, None]
        return obs

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        *drawn, uniform = self._next_draws()
        fixates = self._fixating[0]
        if fixates or not self._fixation:
            self._begin_trial(tuple(drawn))
        told = self._told(action)
        if fixates:
            choice = np.full(self.num_envs, -1, dtype=np.int8)
            self._fixated = action == FIXATE
            reward = np.where(self._fixated, np.float32(0), -self._penalty)
        else:
            chosen = (action[:, None] == np.arange(2)) & self._there()
            side, paid = self._choose(chosen, uniform)
            valid = chosen.any(1)
            choice = np.where(valid, side, -1).astype(np.int8)
            reward = np.where(valid, paid, -self._penalty).astype(np.float32)
        info = {
            "trial": self._trial,
            "trial_done": self._nowhere if fixates else self._everywhere,
            "choice": choice,
            "reward": reward,
            "fixated": self._fixated,
            **told,
        }
        self._total += reward
        self._last = reward
        if not fixates:
            self._trial = self._trial + 1
        self._fixating = np.full(self.num_envs, self._fixation and not fixates)
        return reward, self._trial >= self._length, self._nowhere, {name: info[name] for name in self.info_spec}

    def _shown_trial(self) -> str:
        length = int(self._length[0])
        return f"trial {min(int(self._trial[0]) + 1, length)} of {length}"

    def _render_ansi(self) -> str:
        left, right = self._there()[0]
        place = "fixate the cross" if self._fixating[0] else f"{'[left]' if left else ''} {'[right]' if right else ''}"
        return f"{self._shown_trial()}   {place}   last {self._last[0]:+g}   total {self._total[0]:g}"

    def _render_rgb(self) -> Array:
        from .canvas import Canvas

        canvas = Canvas(400, 300)
        there = self._there()[0] & ~self._fixating[0]
        for x, name, shown in zip((100, 300), ("left", "right"), there, strict=True):
            canvas.disc(x, 150, 44, (150, 178, 226) if shown else (235, 235, 238))
            canvas.text(x, 150, name, 16)
        if self._fixating[0]:
            canvas.text(200, 150, "+", 48)
        canvas.text(200, 36, self._shown_trial())
        canvas.text(200, 268, f"total {self._total[0]:g}   (last: {self._last[0]:+g})")
        return canvas.pixels


Env = TypeVar("Env", bound=TwoSides)


class RandomSide(RandomAgent[Env]):
    """Fixates when it should, and takes each side that is there equally often."""

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        left, right = obs[:, 0] > 0, obs[:, 1] > 0
        if not (left | right).any():
            return np.full(len(obs), FIXATE)
        return np.where(left & right, self._choose(), np.where(right, 1, 0))

    def _choose(self) -> Array:
        """A side for each episode, [B], as if both were there."""
        return self.rng.integers(2, size=self.env.num_envs)
