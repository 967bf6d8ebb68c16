"""Linked values of two targets (Bromberg-Martin et al. 2010), as in Wang et al. 2018, simulation 3.

Each trial shows one of two targets, left or right, which a saccade has to follow. Exactly one of them is rewarded, and
the roles reverse without a sign: what one target brings tells what the other is worth. The paper tells neither the
length of an episode nor when roles reverse: those are our choices.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from ...conf.settings import LARGEST_RECORDED, NonNegative, Probability, settings
from ..two_sides import FIXATE, TwoSides
from ..vector import Array, Mask, constant

Trial = Annotated[int, Ge(2), Le(LARGEST_RECORDED)]


@settings
class InferredValueSettings:
    """Options of the task.

    Raises:
        ValueError: if the last trial that may be a reversal is before the first one or after the episode.
    """

    trials: Trial = 20
    earliest: Trial = 6
    latest: Trial = 15
    """The trial (from 1) from which on the roles are reversed: one an episode, each from `earliest` on as often."""
    hazard: Probability = 0.0
    """Above 0, the roles reverse before each trial with this probability instead, any number of times."""
    penalty: NonNegative = 1.0
    """Cost of an action that the step does not allow."""

    def __post_init__(self) -> None:
        if not self.hazard and not self.earliest <= self.latest <= self.trials:
            raise ValueError(
                f"latest={self.latest} has to lie from {self.earliest} (earliest) to {self.trials} (trials)"
            )


class InferredValueEnv(TwoSides):
    """B episodes, trials of one target after central fixation; see `TwoSides`.

    In `info`, `target` is the side of the trial's one (0 left, 1 right), `rewarded` whether it is the one with the
    reward, `reversed` whether the roles changed before this trial, `valid` whether the step (and `fixated`, whether the
    cue) was answered as it should be.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "target": np.int8,
        "rewarded": np.bool_,
        "reversed": np.bool_,
        "rewarded_side": np.int8,
        "action": np.int8,
        "reward": np.float32,
        "fixated": np.bool_,
        "valid": np.bool_,
    }
    phases = ("fixation", "target")

    def __init__(self, settings: InferredValueSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode, fixation=True, penalty=settings.penalty)
        self.settings = settings
        self._length[:] = settings.trials
        self._sides = constant(np.eye(2, dtype=bool))
        self._target = np.zeros(num_envs, dtype=np.int8)
        self._rewarded_side = np.zeros(num_envs, dtype=np.int8)
        self._reversal = np.zeros(num_envs, dtype=np.int32)
        """The trial (from 0) of the one reversal."""
        self._reversed = np.zeros(num_envs, dtype=bool)

    def _begin(self, which: Mask) -> None:
        super()._begin(which)
        count, settings = int(which.sum()), self.settings
        self._rewarded_side = self._rewarded_side.copy()
        self._rewarded_side[which] = self.rng.integers(2, size=count, dtype=np.int8)
        if not settings.hazard:
            reversal = self.rng.integers(settings.earliest - 1, settings.latest, size=count, dtype=np.int32)
            self._reversal[which] = reversal
        self._reversed = self._reversed & ~which

    def _draw(self, steps: int) -> tuple[Array, ...]:
        return self.rng.integers(2, size=(steps, self.num_envs), dtype=np.int8), *super()._draw(steps)

    def _begin_trial(self, drawn: tuple[Array, ...]) -> None:
        (self._target,) = drawn

    def _there(self) -> Mask:
        there: Mask = self._sides[self._target]
        return there

    def _choose(self, chosen: Mask, uniform: Array) -> tuple[Array, Array]:  # noqa: ARG002
        paid = self._target == self._rewarded_side
        hazard = self.settings.hazard
        self._reversed = uniform < hazard if hazard else self._trial + 1 == self._reversal
        self._rewarded_side = self._rewarded_side ^ self._reversed
        return self._target, paid

    def _told(self, action: Array) -> dict[str, Array]:
        return {
            "target": self._target,
            "rewarded": self._target == self._rewarded_side,
            "reversed": self._reversed,
            "rewarded_side": self._rewarded_side,
            "action": action.astype(np.int8),
            "valid": action == np.where(self._fixating, FIXATE, self._target),
        }
