"""The contextual water maze (Ritter et al. 2018, "Been There, Done That"; after Morris 1984).

A life (see `envs.barcodes`) hides one platform under each barcode. In an episode the agent is put somewhere in a square
pool, sees where it is and the barcode, and swims until it comes onto the platform, which pays 1. It stays there for one
more step, in which it can take in where it is; an episode without success is cut off. On the first visit the platform
has to be searched for; who recalls where it was swims straight there ever after. The paper's parameters are not known
to us: all of them are our choices.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Box, Discrete

from ...conf.settings import Count, Recorded, settings
from ..barcodes import MOST_BITS, BarcodeTask, check_barcodes
from ..canvas import INK, PAPER, Canvas
from ..vector import Array, Cue, Mask

MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]], dtype=np.int32)
"""Row and column of up, down, left, right."""


@settings
class WaterMazeSettings:
    """Options of the task.

    Raises:
        ValueError: for a value that cannot be.
    """

    size: Annotated[int, Ge(2), Le(32)] = 5
    barcodes: Count = 10
    encounters: Recorded = 10
    bits: Annotated[int, Ge(1), Le(MOST_BITS)] = 10
    longest: Count = 50
    """Moves after which an episode is cut off."""

    def __post_init__(self) -> None:
        check_barcodes(self.barcodes, self.bits)
        if self.longest < 2 * (self.size - 1):
            raise ValueError(
                f"longest={self.longest}: from corner to corner of size={self.size} are {2 * (self.size - 1)} moves"
            )

    @property
    def episodes(self) -> int:
        """Episodes of a life."""
        return self.barcodes * self.encounters


def distance(one: Array, other: Array) -> Array:
    """Moves from cells [..., 2] to others: there are no obstacles."""
    moves: Array = np.abs(one - other).sum(-1, dtype=np.int32)
    return moves


class WaterMazeEnv(BarcodeTask):
    """B episodes; each is one trial of many steps.

    Observation [2 size + bits]: one-hot row and column of the agent, and the barcode, -1 or 1. Actions: `MOVES`; a move
    against the wall leads nowhere. `info` tells of an episode at its end.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "encounter": np.int32,
        "barcode": np.int32,
        "path": np.int32,
        "shortest": np.int32,
        "found": np.bool_,
        "reward": np.float32,
    }

    def __init__(self, settings: WaterMazeSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode, settings.barcodes, settings.encounters, settings.bits)
        self.settings = settings
        self._set_spaces(Box(-1.0, 1.0, (2 * settings.size + settings.bits,), np.float32), Discrete(len(MOVES)))
        self._platforms = np.zeros((num_envs, settings.barcodes, 2), dtype=np.int32)
        self._cell = np.zeros((num_envs, 2), dtype=np.int32)
        self._shortest = np.zeros(num_envs, dtype=np.int32)
        self._path = np.zeros(num_envs, dtype=np.int32)
        """Moves so far."""
        self._there = np.zeros(num_envs, dtype=bool)
        """On the platform: the episode's last step."""
        self._known = np.zeros((num_envs, settings.barcodes), dtype=bool)
        """Which platforms were found in this life."""
        self._eye = np.eye(settings.size, dtype=np.float32)
        self._nothing = np.zeros(num_envs, dtype=np.int32)

    @property
    def cell(self) -> Array:
        """Where the agents are, [B, 2] row and column."""
        return self._cell

    def platform(self) -> Array:
        """Where the platform is under the barcode that is shown, [B, 2]: the truth, for oracles."""
        cells: Array = self._platforms[self._rows, self.barcode()]
        return cells

    def known(self) -> Mask:
        """[B] whether the platform was found before, in this life."""
        found: Mask = self._known[self._rows, self.barcode()]
        return found

    @property
    def cue_size(self) -> int:
        """See `VectorTask.cue_size`."""
        return self.settings.bits

    def _begin_world(self, which: Mask) -> None:
        shape = int(which.sum()), self.settings.barcodes, 2
        self._platforms[which] = self.rng.integers(self.settings.size, size=shape, dtype=np.int32)
        self._known[which] = False

    def _begin(self, which: Mask) -> None:
        super()._begin(which)
        count, size = int(which.sum()), self.settings.size
        # Every cell but the platform's, each equally often.
        platform = self.platform()[which] @ np.array([size, 1])
        start = (platform + self.rng.integers(1, size * size, size=count)) % (size * size)
        self._cell = self._cell.copy()
        self._cell[which] = np.stack(np.divmod(start, size), axis=1)
        self._shortest = np.where(which, distance(self._cell, self.platform()), self._shortest)
        self._path = np.where(which, 0, self._path)
        self._there = self._there & ~which

    def _observe(self) -> Array:
        row, column = self._eye[self._cell[:, 0]], self._eye[self._cell[:, 1]]
        seen: Array = np.concatenate((row, column, self._shown_bits()), axis=1)
        return seen

    def _cue(self) -> Cue:
        """Keeps the state that has seen the platform: that of the step on it."""
        return self._cue_of(self._path == 0, self._there, self.known())

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        swims = ~self._there
        moved = np.clip(self._cell + MOVES[action], 0, self.settings.size - 1)
        self._cell = np.where(swims[:, None], moved, self._cell)
        self._path = self._path + swims
        arrives = swims & (self._cell == self.platform()).all(1)
        lost = swims & ~arrives & (self._path >= self.settings.longest)
        ended = self._there | lost
        info = {
            "trial": self._nothing,
            "trial_done": ended,
            "encounter": self.encounter(),
            "barcode": self.barcode(),
            "path": self._path,
            "shortest": self._shortest,
            "found": self._there,
            "reward": self._there.astype(np.float32),
        }
        self._known[self._rows, self.barcode()] |= arrives
        self._completed[self._rows, self.barcode()] += ended
        self._there = arrives
        return arrives.astype(np.float32), ended, self._nowhere, info

    def _render_ansi(self) -> str:
        signs = "".join("1" if bit > 0 else "0" for bit in self._shown_bits()[0])
        row, column = self._cell[0]
        place = f"row {row + 1}, column {column + 1}" + (", on the platform" if self._there[0] else "")
        episode = f"episode {self._episode[0] + 1} of {self.settings.episodes}"
        return f"{episode}   barcode {signs}   {place}   {self._path[0]} moves, {self._shortest[0]} at best"

    def _render_rgb(self) -> Array:
        size = self.settings.size
        canvas = Canvas(360, 440)
        canvas.text(180, 20, f"episode {self._episode[0] + 1} of {self.settings.episodes}", 14)
        width = min(20.0, 320 / self.settings.bits)
        left = 180 - width * self.settings.bits / 2
        for i, bit in enumerate(self._shown_bits()[0]):
            canvas.box(left + width * i, 36, width - 2, 20, INK if bit > 0 else PAPER)
        side = 320 / size
        for row in range(size):
            for column in range(size):
                canvas.box(20 + side * column, 72 + side * row, side - 2, side - 2, (214, 230, 244))
        for (row, column), color in ((self.platform()[0], (240, 196, 60)), (self._cell[0], (60, 90, 160))):
            centre = 20 + side * (column + 0.5) - 1, 72 + side * (row + 0.5) - 1
            canvas.disc(*centre, side * 0.36, color)
        canvas.text(180, 416, f"{self._path[0]} moves ({self._shortest[0]} at best)", 15)
        return canvas.pixels
