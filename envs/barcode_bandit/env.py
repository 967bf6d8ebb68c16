"""The barcode bandit (Ritter et al. 2018, "Been There, Done That"): contextual bandits that return within a life.

A life draws a few distinct barcodes, random bits, and gives each an arm that pays more often than the others; every arm
is the best one of some barcode. An episode shows one barcode throughout and lets the agent pull a number of times. Each
barcode comes back equally often, all in one shuffled order. Within an episode the best arm has to be searched for; an
agent that recalls what it found under the same barcode before has it from the first pull on. An agent's recurrent
state is reset with each episode; only an episodic memory lasts for the life.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Box, Discrete

from ...conf.settings import LARGEST, Count, Probability, Recorded, settings
from ..canvas import INK, PAPER, Canvas
from ..vector import Array, Cue, Mask, VectorTask

MOST_BITS = 14
"""Barcodes are drawn as int16."""


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
        if self.barcodes > 2**self.bits:
            raise ValueError(f"barcodes={self.barcodes} are more than the {2**self.bits} that bits={self.bits} make")

    @property
    def episodes(self) -> int:
        """Episodes of a life."""
        return self.barcodes * self.encounters

    @property
    def chance(self) -> float:
        """Reward per pull of an agent that pulls at random."""
        return (self.best + (self.arms - 1) * self.other) / self.arms


class BarcodeBanditEnv(VectorTask):
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
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self._set_spaces(Box(-1.0, 1.0, (settings.bits,), np.float32), Discrete(settings.arms))
        self._rows = np.arange(num_envs)
        self._bits = np.zeros((num_envs, settings.barcodes, settings.bits), dtype=np.float32)
        """Each barcode of the life, -1 or 1."""
        self._best_arms = np.zeros((num_envs, settings.barcodes), dtype=np.int32)
        self._order = np.zeros((num_envs, settings.episodes), dtype=np.int32)
        """Barcode of each episode of the life."""
        self._completed = np.zeros((num_envs, settings.barcodes), dtype=np.int32)
        """How often each barcode's episode was played to its end in this life."""
        self._episode = np.full(num_envs, settings.episodes, dtype=np.int32)
        """Number of the episode within its life; past the last one where the life is over."""
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._last_choice = np.full(num_envs, -1, dtype=np.int32)
        self._last_reward = np.zeros(num_envs, dtype=np.float32)
        self._total = np.zeros(num_envs, dtype=np.float32)

    def _end_life(self) -> None:
        self._episode[:] = self.settings.episodes

    def _begin(self, which: Mask) -> None:
        self._episode[which] += 1
        over = which & (self._episode >= self.settings.episodes)
        if over.any():
            self._begin_life(over)
        self._trial[which] = 0
        self._last_choice[which] = -1
        self._last_reward[which] = 0
        self._total[which] = 0

    def _begin_life(self, which: Mask) -> None:
        settings, count = self.settings, int(which.sum())

        def shuffled(row: Array) -> Array:
            rows: Array = self.rng.permuted(np.tile(row.astype(np.int16), (count, 1)), axis=1)
            return rows

        codes = shuffled(np.arange(2**settings.bits))[:, : settings.barcodes, None]
        self._bits[which] = 2 * (codes >> np.arange(settings.bits) & 1) - 1
        spare = settings.barcodes - settings.arms
        once = np.tile(np.arange(settings.arms, dtype=np.int16), (count, 1))
        again = self.rng.integers(settings.arms, size=(count, spare), dtype=np.int16)
        self._best_arms[which] = self.rng.permuted(np.concatenate([once, again], axis=1), axis=1)
        self._order[which] = shuffled(np.repeat(np.arange(settings.barcodes), settings.encounters))
        self._completed[which] = 0
        self._episode[which] = 0

    def barcode(self) -> Array:
        """Number of the barcode that is shown [B]."""
        shown: Array = self._order[self._rows, self._episode]
        return shown

    def best_arm(self) -> Array:
        """The arm that pays best under the barcode that is shown [B]."""
        arms: Array = self._best_arms[self._rows, self.barcode()]
        return arms

    def _observe(self) -> Array:
        bits: Array = self._bits[self._rows, self.barcode()]
        return bits

    def _cue(self) -> Cue:
        """Looks up the barcode in each pull; keeps under it the state of the episode's last pull.

        That state has seen the outcomes of all pulls but the last one, which no later step of the episode shows.
        """
        shown = self.barcode()
        first, last = self._trial == 0, self._trial == self.settings.pulls - 1
        tag = shown.astype(np.int32)
        return Cue(
            new_life=first & (self._episode == 0),
            query=self._observe(),
            retrieve=np.ones(self.num_envs, dtype=bool),
            key=self._observe(),
            write=last,
            tag=tag,
            target=np.where(self._completed[self._rows, shown] > 0, tag, np.int32(-1)),
        )

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        shown, best_arm, choice = self.barcode(), self.best_arm(), action.astype(np.int32)
        correct = choice == best_arm
        pays = np.where(correct, self.settings.best, self.settings.other)
        reward = (self.rng.random(self.num_envs) < pays).astype(np.float32)
        info = {
            "trial": self._trial.copy(),
            "trial_done": np.ones(self.num_envs, dtype=bool),
            "encounter": self._completed[self._rows, shown],
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
