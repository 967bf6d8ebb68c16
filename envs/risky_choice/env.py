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
from gymnasium.spaces import Box, Discrete

from ...conf.settings import Many, NonNegative, Probability, Recorded, settings
from ..vector import Array, Mask, VectorTask

FIXATE = 2
"""The action of central fixation, and the entry of the cue for it in the observation."""


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


class RiskyChoiceEnv(VectorTask):
    """B episodes. Observation: which levers are there (left, right), and with `fixation` the cue for it, [2] or [3].

    With `fixation` a trial has two steps: the cue alone, which wants the third action, then the levers. Another action
    on the cue costs `penalty`, and the trial goes on. A lever that is not there, or a fixation where a lever was due,
    costs `penalty`, and the trial is over. `choice` in `info` is 0 (safe), 1 (risky) or -1 (neither); `reward` is what
    the trial's last step brought, `fixated` whether the cue was answered as it should be.
    """

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
        super().__init__(num_envs, render_mode)
        self.settings = settings
        entries = 2 + settings.fixation
        self._set_spaces(Box(0.0, 1.0, (entries,), np.float32), Discrete(entries))
        self._p = np.zeros(num_envs, dtype=np.float32)
        self._safe_side = np.zeros(num_envs, dtype=np.int8)
        self._order = np.zeros((num_envs, 2 * settings.forced), dtype=np.int8)
        """The lever of each forced trial."""
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._fixating = np.full(num_envs, settings.fixation)
        """Whether this step shows the cue; the same in all rows, since all episodes have the same length."""
        self._fixated = np.ones(num_envs, dtype=bool)
        self._total, self._last = np.zeros(num_envs, dtype=np.float32), np.zeros(num_envs, dtype=np.float32)
        """Return so far and last reward, for rendering."""

    @property
    def probability(self) -> Array:
        """p of each episode, [B]: the truth, for oracles."""
        return self._p

    @property
    def safe_side(self) -> Array:
        """The lever that is safe, [B]: the truth, for oracles."""
        return self._safe_side

    def _begin(self, which: Mask) -> None:
        count, settings = int(which.sum()), self.settings
        self._p = self._p.copy()
        if settings.probabilities:
            self._p[which] = self.rng.choice(np.array(settings.probabilities, dtype=np.float32), size=count)
        else:
            self._p[which] = self.rng.random(count, dtype=np.float32)
        self._safe_side[which] = self.rng.integers(2, size=count, dtype=np.int8)
        levers = np.repeat(np.arange(2, dtype=np.int8), settings.forced)
        self._order[which] = self.rng.permuted(np.tile(levers, (count, 1)), axis=1)
        self._trial = np.where(which, np.int32(0), self._trial)
        self._fixating = np.where(which, settings.fixation, self._fixating)
        self._total[which] = 0
        self._last = np.where(which, np.float32(0), self._last)

    def _draw(self, steps: int) -> tuple[Array, ...]:
        return (self.rng.random((steps, self.num_envs), dtype=np.float32),)

    def _there(self) -> Mask:
        """Which levers are there, [B, 2]."""
        forced = self._order.shape[1]
        trial = np.minimum(self._trial, forced - 1)
        only = self._order[np.arange(self.num_envs), trial]
        there: Mask = (self._trial >= forced)[:, None] | (only[:, None] == np.arange(2))
        there &= ~self._fixating[:, None]
        return there

    def _observe(self) -> Array:
        obs = np.zeros((self.num_envs, 2 + self.settings.fixation), dtype=np.float32)
        obs[:, :2] = self._there()
        if self.settings.fixation:
            obs[:, FIXATE] = self._fixating
        return obs

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        (uniform,) = self._next_draws()
        fixates = self._fixating[0]
        if fixates:
            choice = np.full(self.num_envs, -1, dtype=np.int8)
            self._fixated = action == FIXATE
            reward = np.where(self._fixated, np.float32(0), np.float32(-self.settings.penalty))
        else:
            choice, reward = self._pull(action, uniform)
        info = {
            "trial": self._trial,
            "trial_done": self._nowhere if fixates else self._everywhere,
            "free": self._trial >= self._order.shape[1],
            "choice": choice,
            "action": action.astype(np.int8),
            "reward": reward,
            "p": self._p,
            "fixated": self._fixated,
        }
        self._total += reward
        self._last = reward
        if not fixates:
            self._trial = self._trial + 1
        self._fixating = np.full(self.num_envs, self.settings.fixation and not fixates)
        return reward, self._trial >= self.settings.trial_count, self._nowhere, info

    def _pull(self, action: Array, uniform: Array) -> tuple[Array, Array]:
        """What a step at the levers is (safe 0, risky 1, neither -1), and what it brings; both [B]."""
        settings = self.settings
        lever = np.minimum(action, 1)
        pulled = (action < FIXATE) & self._there()[np.arange(self.num_envs), lever]
        risky = lever != self._safe_side
        paid = np.where(risky, settings.risky * (uniform < self._p), settings.safe)
        reward = np.where(pulled, paid, -settings.penalty).astype(np.float32)
        return np.where(pulled, risky, -1).astype(np.int8), reward

    def _shown_trial(self) -> str:
        trial = min(int(self._trial[0]) + 1, self.settings.trial_count)
        kind = "free" if trial > 2 * self.settings.forced else "forced"
        return f"trial {trial} of {self.settings.trial_count} ({kind})"

    def _render_ansi(self) -> str:
        left, right = self._there()[0]
        place = "fixate the cross" if self._fixating[0] else f"{'[left]' if left else ''} {'[right]' if right else ''}"
        return f"{self._shown_trial()}   {place}   last {self._last[0]:+g}   total {self._total[0]:g}"

    def _render_rgb(self) -> Array:
        from ..canvas import Canvas

        canvas = Canvas(400, 300)
        for x, name, there in zip((100, 300), ("left", "right"), self._there()[0], strict=True):
            canvas.disc(x, 150, 44, (150, 178, 226) if there else (235, 235, 238))
            canvas.text(x, 150, name, 16)
        if self._fixating[0]:
            canvas.text(200, 150, "+", 48)
        canvas.text(200, 36, self._shown_trial())
        canvas.text(200, 268, f"total {self._total[0]:g}   (last: {self._last[0]:+g})")
        return canvas.pixels
