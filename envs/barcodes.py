"""Lives of episodes that come back, each announced by its barcode (Ritter et al. 2018): what such tasks share.

A life draws distinct barcodes, random bits, and ties something to each that an agent has to find. An episode shows one
barcode throughout. Each comes back equally often, all in one shuffled order. An agent's recurrent state is reset with
each episode; only an episodic memory lasts for the life.
"""

from __future__ import annotations

import numpy as np

from .vector import Array, Cue, Mask, VectorTask

MOST_BITS = 14
"""Barcodes are drawn as int16."""


def check_barcodes(barcodes: int, bits: int) -> None:
    """That there are so many barcodes.

    Raises:
        ValueError: if not.
    """
    if barcodes > 2**bits:
        raise ValueError(f"barcodes={barcodes} are more than the {2**bits} that bits={bits} make")


class BarcodeTask(VectorTask):
    """B lives; a subclass ties something to each barcode in `_begin_world` and plays the episodes.

    Args:
        num_envs: B.
        render_mode: as of all tasks.
        barcodes: of a life.
        encounters: how often each comes.
        bits: length of a barcode.
    """

    def __init__(self, num_envs: int, render_mode: str | None, barcodes: int, encounters: int, bits: int) -> None:
        super().__init__(num_envs, render_mode)
        self._barcodes, self._encounters, self._code_size = barcodes, encounters, bits
        self._rows = np.arange(num_envs)
        self._bits = np.zeros((num_envs, barcodes, bits), dtype=np.float32)
        """Each barcode of the life, -1 or 1."""
        self._order = np.zeros((num_envs, barcodes * encounters), dtype=np.int32)
        """Barcode of each episode of the life."""
        self._completed = np.zeros((num_envs, barcodes), dtype=np.int32)
        """How often each barcode's episode was played to its end in this life."""
        self._episode = np.full(num_envs, barcodes * encounters, dtype=np.int32)
        """Number of the episode within its life; past the last one where the life is over."""

    def _end_life(self) -> None:
        self._episode[:] = self._barcodes * self._encounters

    def _begin(self, which: Mask) -> None:
        self._episode[which] += 1
        over = which & (self._episode >= self._barcodes * self._encounters)
        if over.any():
            self._begin_life(over)

    def _begin_life(self, which: Mask) -> None:
        count = int(which.sum())
        codes = self._shuffled(np.arange(2**self._code_size), count)[:, : self._barcodes, None]
        self._bits[which] = 2 * (codes >> np.arange(self._code_size) & 1) - 1
        self._begin_world(which)
        self._order[which] = self._shuffled(np.repeat(np.arange(self._barcodes), self._encounters), count)
        self._completed[which] = 0
        self._episode[which] = 0

    def _shuffled(self, row: Array, count: int) -> Array:
        rows: Array = self.rng.permuted(np.tile(row.astype(np.int16), (count, 1)), axis=1)
        return rows

    def _begin_world(self, which: Mask) -> None:
        """Tie something to each barcode of the lives that begin in the rows of `which` [B]."""
        raise NotImplementedError

    def barcode(self) -> Array:
        """Number of the barcode that is shown [B]."""
        shown: Array = self._order[self._rows, self._episode]
        return shown

    def encounter(self) -> Array:
        """How often the barcode that is shown was there before [B]."""
        met: Array = self._completed[self._rows, self.barcode()]
        return met

    def _shown_bits(self) -> Array:
        """[B, bits]"""
        bits: Array = self._bits[self._rows, self.barcode()]
        return bits

    def _cue_of(self, first: Mask, write: Mask, known: Mask) -> Cue:
        """Looks up the barcode in each step, and keeps states under it.

        Args:
            first: [B] whether it is the first step of an episode.
            write: [B] whether to keep the state that this step leads to.
            known: [B] whether something was kept under the barcode before, in this life.
        """
        tag = self.barcode().astype(np.int32)
        return Cue(
            new_life=first & (self._episode == 0),
            query=self._shown_bits(),
            retrieve=np.ones(self.num_envs, dtype=bool),
            key=self._shown_bits(),
            write=write,
            tag=tag,
            target=np.where(known, tag, np.int32(-1)),
        )
