"""A safe and a risky lever (Stopper et al. 2014), as Wang et al. 2018 trained networks on it (simulation 6).

One lever always pays `safe`. The other pays `risky` with a probability p that an episode draws and keeps, else nothing.
Which lever is which is drawn for each episode, too. First each lever is forced `forced` times, in random order, then
`free` choices follow. The paper tells p at test (.125 and .5) and what the dopamine signal is replaced by, but neither
the distribution of p in training nor the numbers of trials and the amounts: those are our choices.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from ...conf.settings import Many, NonNegative, Probability, Recorded, settings
from ..two_sides import TwoSides
from ..vector import Array, Mask


@settings
class RiskyChoiceSettings:
    """Options of the task."""

    probabilities: Many[Probability] = (0.125, 0.5)
    """What p is drawn from, each equally often; empty: uniform in 0..1."""
    safe: NonNegative = 1.0
    risky: NonNegative = 4.0
    forced: Annotated[int, Ge(1), Le(1000)] = 5
    """Trials of each lever in which there is no other."""
    free: Recorded = 20
    fixation: bool = True
    penalty: NonNegative = 1.0
    """Cost of an action that the step does not allow."""

    @property
    def trial_count(self) -> int:
        """Trials of an episode."""
        return 2 * self.forced + self.free


class RiskyChoiceEnv(TwoSides):
    """B episodes, the sides are levers; see `TwoSides`. `choice` in `info` is 0 (safe) or 1 (risky)."""

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "free": np.bool_,
        "choice": np.int8,
        "action": np.int8,
        "reward": np.float32,
        "p": np.float32,
        "fixated": np.bool_,
    }

    def __init__(self, settings: RiskyChoiceSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode, settings.fixation, settings.penalty)
        self.settings = settings
        self._length[:] = settings.trial_count
        self._p = np.zeros(num_envs, dtype=np.float32)
        self._safe_side = np.zeros(num_envs, dtype=np.int8)
        self._order = np.zeros((num_envs, 2 * settings.forced), dtype=np.int8)
        """The lever of each forced trial."""

    @property
    def probability(self) -> Array:
        """p of each episode, [B]: the truth, for oracles."""
        return self._p

    @property
    def safe_side(self) -> Array:
        """The lever that is safe, [B]: the truth, for oracles."""
        return self._safe_side

    def _begin(self, which: Mask) -> None:
        super()._begin(which)
        count, settings = int(which.sum()), self.settings
        self._p = self._p.copy()
        if settings.probabilities:
            self._p[which] = self.rng.choice(np.array(settings.probabilities, dtype=np.float32), size=count)
        else:
            self._p[which] = self.rng.random(count, dtype=np.float32)
        self._safe_side[which] = self.rng.integers(2, size=count, dtype=np.int8)
        levers = np.repeat(np.arange(2, dtype=np.int8), settings.forced)
        self._order[which] = self.rng.permuted(np.tile(levers, (count, 1)), axis=1)

    def _there(self) -> Mask:
        forced = self._order.shape[1]
        trial = np.minimum(self._trial, forced - 1)
        only = self._order[np.arange(self.num_envs), trial]
        there: Mask = (self._trial >= forced)[:, None] | (only[:, None] == np.arange(2))
        return there

    def _choose(self, chosen: Mask, uniform: Array) -> tuple[Array, Array]:
        risky = chosen[:, 1] != self._safe_side
        return risky, np.where(risky, self.settings.risky * (uniform < self._p), self.settings.safe)

    def _told(self, action: Array) -> dict[str, Array]:
        return {"free": self._trial >= self._order.shape[1], "action": action.astype(np.int8), "p": self._p}

    def _shown_trial(self) -> str:
        free = self._trial[0] >= self._order.shape[1]
        return f"{super()._shown_trial()} ({'free' if free else 'forced'})"
