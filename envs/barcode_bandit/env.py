"""The barcode bandit (Ritter et al. 2018, "Been There, Done That"): contextual bandits that return within a life.

A life (see `envs.barcodes`) gives each barcode an arm that pays more often than the others; every arm is the best one
of some barcode. An episode lets the agent pull a number of times. Within it the best arm has to be searched for; an
agent that recalls what it found under the same barcode before has it from the first pull on.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Box, Discrete

from ...conf.settings import LARGEST, Count, Probability, Recorded, settings
from ..barcodes import MOST_BITS, BarcodeTask, check_barcodes
from ..canvas import INK, PAPER, Canvas
from ..vector import Array, Cue, Mask


@settings
class BarcodeBanditSettings:
    """Options of the task.

    Raises:
        ValueError: for a value that cannot be.
    """

    arms: Annotated[int, Ge(2), Le(LARGEST)] = 10
    barcodes: Count = 10
    encounters: Recorded = 10
    pulls: Recorded = 10
    best: Probability = 0.9
    other: Probability = 0.1
    bits: Annotated[int, Ge(1), Le(MOST_BITS)] = 10

    def __post_init__(self) -> None:
        if self.best <= self.other:
            raise ValueError(f"best={self.best:g} must exceed other={self.other:g}")
        if self.barcodes < self.arms:
            raise ValueError(
                f"barcodes={self.barcodes} must be at least arms={self.arms}, so that each arm is the best one of some "
                "barcode"
            )
        check_barcodes(self.barcodes, self.bits)

    @property
    def episodes(self) -> int:
        """Episodes of a life."""
        return self.barcodes * self.encounters

    @property
    def chance(self) -> float:
        """Reward per pull of an agent that pulls at random."""
        return (self.best + (self.arms - 1) * self.other) / self.arms


class BarcodeBanditEnv(BarcodeTask):
    """B episodes; a step is a pull, and a trial. Observation [bits]: the barcode, -1 or 1. Actions: the arms."""

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "encounter": np.int32,
        "barcode": np.int32,
        "choice": np.int32,
        "best_arm": np.int32,
        "correct": np.bool_,
        "reward": np.float32,
    }

    def __init__(self, settings: BarcodeBanditSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode, settings.barcodes, settings.encounters, settings.bits)
        self.settings = settings
        self._set_spaces(Box(-1.0, 1.0, (settings.bits,), np.float32), Discrete(settings.arms))
        self._best_arms = np.zeros((num_envs, settings.barcodes), dtype=np.int32)
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._last_choice = np.full(num_envs, -1, dtype=np.int32)
        self._last_reward = np.zeros(num_envs, dtype=np.float32)
        self._total = np.zeros(num_envs, dtype=np.float32)

    def _begin(self, which: Mask) -> None:
        super()._begin(which)
        self._trial[which] = 0
        self._last_choice[which] = -1
        self._last_reward[which] = 0
        self._total[which] = 0

    def _begin_world(self, which: Mask) -> None:
        settings, count = self.settings, int(which.sum())
        spare = settings.barcodes - settings.arms
        once = np.tile(np.arange(settings.arms, dtype=np.int16), (count, 1))
        again = self.rng.integers(settings.arms, size=(count, spare), dtype=np.int16)
        self._best_arms[which] = self.rng.permuted(np.concatenate([once, again], axis=1), axis=1)

    def best_arm(self) -> Array:
        """The arm that pays best under the barcode that is shown [B]."""
        arms: Array = self._best_arms[self._rows, self.barcode()]
        return arms

    def _observe(self) -> Array:
        return self._shown_bits()

    def _cue(self) -> Cue:
        """Looks up the barcode in each pull; keeps under it the state of the episode's last pull.

        That state has seen the outcomes of all pulls but the last one, which no later step of the episode shows.
        """
        return self._cue_of(self._trial == 0, self._trial == self.settings.pulls - 1, self.encounter() > 0)

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        shown, best_arm, choice = self.barcode(), self.best_arm(), action.astype(np.int32)
        correct = choice == best_arm
        pays = np.where(correct, self.settings.best, self.settings.other)
        reward = (self.rng.random(self.num_envs) < pays).astype(np.float32)
        info = {
            "trial": self._trial.copy(),
            "trial_done": np.ones(self.num_envs, dtype=bool),
            "encounter": self.encounter(),
            "barcode": shown,
            "choice": choice,
            "best_arm": best_arm,
            "correct": correct,
            "reward": reward,
        }
        self._last_choice = choice.copy()
        self._last_reward = reward.copy()
        self._total += reward
        self._trial += 1
        ended = self._trial >= self.settings.pulls
        self._completed[self._rows, shown] += ended
        return reward.copy(), ended, np.zeros(self.num_envs, dtype=bool), info

    def _render_ansi(self) -> str:
        number, settings = min(int(self._trial[0]) + 1, self.settings.pulls), self.settings
        signs = "".join("1" if bit > 0 else "0" for bit in self._observe()[0])
        last = "first pull"
        if self._last_choice[0] >= 0:
            last = f"arm {self._last_choice[0] + 1} paid {self._last_reward[0]:g}"
        episode = f"episode {self._episode[0] + 1} of {settings.episodes}"
        return f"{episode}, pull {number} of {settings.pulls}   barcode {signs}   {last}   total {self._total[0]:g}"

    def _render_rgb(self) -> Array:
        settings = self.settings
        canvas = Canvas(440, 260)
        canvas.text(220, 24, f"episode {self._episode[0] + 1} of {settings.episodes}", 14)
        width = min(24.0, 400 / settings.bits)
        left = 220 - width * settings.bits / 2
        for i, bit in enumerate(self._observe()[0]):
            canvas.box(left + width * i, 50, width - 2, 40, INK if bit > 0 else PAPER)
        width = min(40.0, 400 / settings.arms)
        left = 220 - width * settings.arms / 2
        for arm in range(settings.arms):
            pulled = arm == self._last_choice[0]
            paid = (240, 196, 60) if self._last_reward[0] > 0 else (150, 150, 158)
            canvas.box(left + width * arm, 130, width - 4, 50, paid if pulled else (222, 226, 236))
            if width >= 16:
                canvas.text(left + width * (arm + 0.5) - 2, 155, str(arm + 1), 15)
        number = min(int(self._trial[0]) + 1, settings.pulls)
        canvas.text(220, 212, f"pull {number} of {settings.pulls}")
        canvas.text(220, 240, f"total {self._total[0]:g}", 15)
        return canvas.pixels
