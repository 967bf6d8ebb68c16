"""Volatility: two sides that pay with p and 1 - p, steadily or with reversals (Behrens et al. 2007; Wang et al. 2018,
simulation 2).

In a stable block one side stays the better one; in a volatile block they change places again and again. What the paper
tells is the order of the blocks in its figure (stable, volatile, volatile, stable); probabilities, reversals, lengths
and what networks are trained on are our choices. In training blocks and reversals come at random, so that no schedule
can be learnt by heart.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from ...conf.settings import Count, settings
from ..two_sides import TwoSides
from ..vector import Array, Mask

BetterSide = Annotated[float, Ge(0.5), Le(1.0)]
FIGURE = (False, True, True, False)
"""Which blocks of the paper's figure are volatile; further ones begin again."""


@settings
class VolatilitySettings:
    """Options of the task."""

    order: Literal["random", "figure"] = "random"
    """random: a new block, of the other kind, begins with a probability of 1 / `block_trials` in each trial, and sides
    change in volatile ones with a probability of 1 / `every` | figure: blocks of `block_trials` as in the paper's
    figure, and a reversal every `every` trials of volatile ones, from the first on."""
    blocks: Annotated[int, Ge(1), Le(100)] = 4
    block_trials: Annotated[int, Ge(1), Le(100_000)] = 100
    """An episode's schedule is drawn as it begins, so that both are bounded."""
    stable: BetterSide = 0.75
    """Probability that the better side pays, in stable blocks."""
    volatile: BetterSide = 0.9
    every: Count = 20

    @property
    def trials(self) -> int:
        """Of an episode."""
        return self.blocks * self.block_trials


class VolatilityEnv(TwoSides):
    """B episodes, all trials with both sides and without fixation; see `TwoSides`. `choice` in `info` is 0 (left) or 1
    (right); `block` counts from 0."""

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "choice": np.int8,
        "reward": np.float32,
        "p_left": np.float32,
        "block": np.int32,
        "volatile": np.bool_,
    }

    def __init__(self, settings: VolatilitySettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode, fixation=False, penalty=0.0)
        self.settings = settings
        self._length[:] = settings.trials
        shape = num_envs, settings.trials
        self._p_left = np.zeros(shape, dtype=np.float32)
        self._block, self._volatile = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=bool)
        """Of each trial of the episode."""

    @property
    def p_left(self) -> Array:
        """Probability that the left side pays in this trial, [B]: the truth, for oracles."""
        return self._now(self._p_left)

    def _begin(self, which: Mask) -> None:
        super()._begin(which)
        self._p_left[which], self._block[which], self._volatile[which] = self._schedule(int(which.sum()))

    def _schedule(self, count: int) -> tuple[Array, Array, Array]:
        """p of the left side, number and kind of the block in each trial of new episodes, [count, trials] each."""
        settings, trial = self.settings, np.arange(self.settings.trials)
        if settings.order == "figure":
            block = np.tile(trial // settings.block_trials, (count, 1))
            volatile = np.array(FIGURE)[block % len(FIGURE)]
            reversal = volatile & (trial % settings.block_trials % settings.every == 0)
        else:
            new = self.rng.random((count, len(trial))) < 1 / settings.block_trials
            new[:, 0] = False
            block = new.cumsum(1)
            volatile = (block + self.rng.integers(2, size=(count, 1))) % 2 == 1
            reversal = volatile & (self.rng.random((count, len(trial))) < 1 / settings.every)
        left = (reversal.cumsum(1) + self.rng.integers(2, size=(count, 1))) % 2 == 1
        better = np.where(volatile, settings.volatile, settings.stable)
        return np.where(left, better, 1 - better), block, volatile

    def _now(self, column: Array) -> Array:
        """This trial's value in each episode, [B]."""
        value: Array = column[np.arange(self.num_envs), self._trial.clip(max=self.settings.trials - 1)]
        return value

    def _choose(self, chosen: Mask, uniform: Array) -> tuple[Array, Array]:
        left = self.p_left
        return chosen[:, 1], uniform < np.where(chosen[:, 0], left, 1 - left)

    def _told(self, action: Array) -> dict[str, Array]:  # noqa: ARG002
        return {"p_left": self.p_left, "block": self._now(self._block), "volatile": self._now(self._volatile)}
