"""Probability matching: two sides with baited rewards, as Wang et al. 2018 trained networks on it (simulation 1).

A side pays with the probability 1 - (1 - p0)^(n + 1), n the trials since it was last chosen: as if each trial put a
reward there with probability p0, which then stays until it is taken (Lau & Glimcher 2005; Tsutsui et al. 2016). An
episode draws p0 of the left side; that of the right side is what is left of `total`. Agents are trained on bands of it
and evaluated on all of it, the gaps between the bands too. That p0 is uniform within the bands is our choice.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from ...conf.settings import Many, NonNegative, Pair, Probability, Recorded, Share, settings
from ..two_sides import TwoSides
from ..vector import Array, Mask


@settings
class MatchingSettings:
    """Options of the task.

    Raises:
        ValueError: for bands that are no ascending parts of 0..total, or a split that has none.
    """

    total: Share = 0.5
    """p0 of both sides together."""
    bands: Many[Pair[Probability]] = ((0.0, 0.1), (0.2, 0.3), (0.4, 0.5))
    """Of p0 of the left side, in training."""
    split: Literal["train", "test", "all"] = "train"
    trials: Pair[Recorded] = (50, 100)
    """Fewest and most in an episode, each number between them equally often."""
    fixation: bool = True
    penalty: NonNegative = 1.0
    """Cost of an action that the step does not allow."""

    def __post_init__(self) -> None:
        if not np.all(np.diff([0.0, *np.ravel(self.bands), self.total]) >= 0):
            raise ValueError(f"bands={[list(band) for band in self.bands]} do not ascend within 0..{self.total:g}")
        if self.trials[0] > self.trials[1]:
            raise ValueError(f"trials={list(self.trials)}: the fewest come first")
        if not len(self.intervals()):
            raise ValueError(f"split={self.split} leaves nothing of 0..{self.total:g}")

    def intervals(self) -> Array:
        """Where p0 of the left side lies in this split, [K, 2] float64."""
        bands = np.reshape(self.bands, (-1, 2))
        found = {
            "all": np.array([[0.0, self.total]]),
            "train": bands,
            "test": np.concatenate(([0.0], bands.ravel(), [self.total])).reshape(-1, 2),
        }[self.split]
        return np.asarray(found[found[:, 0] < found[:, 1]])

    def base(self, share: Array) -> Array:
        """The p0 of the left side below which these shares (0..1) of the split lie."""
        intervals = self.intervals()
        width = np.diff(intervals)[:, 0]
        place, ends = share * width.sum(), np.cumsum(width)
        which = np.searchsorted(ends, place).clip(max=len(ends) - 1)
        return np.asarray(intervals[which, 1] - ends[which] + place)

    def held_out(self, base: Array) -> Mask:
        """Whether a p0 of the left side lies in none of the bands."""
        bands = np.reshape(self.bands, (-1, 2))
        return np.asarray(~((base[:, None] >= bands[:, 0]) & (base[:, None] <= bands[:, 1])).any(1))


class MatchingEnv(TwoSides):
    """B episodes, all trials with both sides; see `TwoSides`. `choice` in `info` is 0 (left) or 1 (right)."""

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "choice": np.int8,
        "reward": np.float32,
        "p0_left": np.float32,
        "held_out": np.bool_,
        "fixated": np.bool_,
    }

    def __init__(self, settings: MatchingSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode, settings.fixation, settings.penalty)
        self.settings = settings
        self._p0_left = np.zeros(num_envs, dtype=np.float32)
        self._held_out = np.zeros(num_envs, dtype=bool)
        self._base = np.zeros((num_envs, 2), dtype=np.float32)
        self._since = np.zeros((num_envs, 2), dtype=np.int32)
        """n, trials since each side was last chosen."""

    @property
    def base(self) -> Array:
        """p0 of each side, [B, 2]: the truth, for oracles."""
        return self._base

    def _begin(self, which: Mask) -> None:
        super()._begin(which)
        count, settings = int(which.sum()), self.settings
        self._p0_left = self._p0_left.copy()
        self._p0_left[which] = settings.base(self.rng.random(count))
        self._held_out = settings.held_out(self._p0_left)
        self._base = np.stack([self._p0_left, np.float32(settings.total) - self._p0_left], axis=1)
        self._since[which] = 0
        fewest, most = settings.trials
        self._length[which] = self.rng.integers(fewest, most + 1, size=count, dtype=np.int32)

    def _choose(self, chosen: Mask, uniform: Array) -> tuple[Array, Array]:
        missed = (1 - self._base) ** (self._since + 1)
        pays = uniform < np.where(chosen, 1 - missed, 0).sum(1)
        self._since = np.where(chosen, np.int32(0), self._since + 1)
        return chosen[:, 1], pays

    def _told(self, action: Array) -> dict[str, Array]:  # noqa: ARG002
        return {"p0_left": self._p0_left, "held_out": self._held_out}
