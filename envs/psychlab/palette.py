"""All colours that a view may show, in one table on the device: those of the rooms, then a row for each picture.

Colours are four bytes in one int32, so that a pixel costs one look-up.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .images import SHOWN_SIDE, Pictures
from .surroundings import Theme, panorama, ring

PANORAMA = 512
"""Side of the map of the surroundings."""

BLACK, RED, FIRST = 0, 1, 2
"""Entries of a picture's row: the two colours that every screen has, and the first pixel."""
ROW = FIRST + SHOWN_SIDE**2

_LARGEST = 2**31
_KEPT = 1000
"""Pictures that are kept where they are drawn when needed (166 kB each): drawing them anew costs a millisecond."""


def packed(pixels: NDArray[np.uint8]) -> Tensor:
    """Colours [..., 3] as int32 [...]."""
    padded = np.zeros((*pixels.shape[:-1], 4), dtype=np.uint8)
    padded[..., :3] = pixels
    return torch.from_numpy(padded).view(torch.int32).squeeze(-1)


@functools.lru_cache(maxsize=64)
def _room(theme: Theme) -> Tensor:
    """The panorama of a theme, [PANORAMA**2] int32; drawing one takes a second."""
    return packed(panorama(theme, PANORAMA)).flatten()


class Palette:
    """The table; see the module's text.

    Args:
        themes: of the rooms.
        rows: of pictures.
        device: where it lies.

    Raises:
        ValueError: for more than can be counted.
    """

    def __init__(self, themes: Sequence[Theme], rows: int, device: torch.device) -> None:
        self.device, self.rows = device, rows
        self.rooms_end = len(themes) * PANORAMA**2
        size = self.rooms_end + rows * ROW
        if size >= _LARGEST:
            raise ValueError(
                f"psychlab: {rows} pictures and {len(themes)} rooms are too many for one table on the device: at most "
                f"{(_LARGEST - self.rooms_end) // ROW} pictures fit beside these rooms (task.pool)"
            )
        self.colors = torch.empty(size, dtype=torch.int32, device=device)
        self.colors[: self.rooms_end] = torch.cat([_room(theme) for theme in themes]).to(device)
        self.rings = torch.stack([packed(ring(theme.ring)) for theme in themes]).to(device)
        """[themes, frames, elevations] int32, the ring of light; see `surroundings.ring`."""
        self._pictures = self.colors[self.rooms_end :].view(rows, ROW)

    def set_pictures(self, row: int, pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Put pictures [204, 204, 3] into the table, from a row on."""
        table = torch.zeros(len(pictures), ROW, dtype=torch.int32)
        table[:, RED] = packed(np.array([255, 0, 0], dtype=np.uint8))
        table[:, FIRST:] = packed(np.stack(pictures)).flatten(1)
        self._pictures[row : row + len(pictures)] = table.to(self.device)


class Gallery:
    """Which row of the palette holds which picture: all of them in order, or those that were needed last.

    Args:
        pictures: of the split.
        palette: with `rows_for` these pictures.
        lazily: draw a picture when it is needed, in place of all of them at once (a millisecond each).
    """

    def __init__(self, pictures: Pictures, palette: Palette, lazily: bool) -> None:
        self._pictures, self._palette, self._lazily = pictures, palette, lazily
        if not lazily:
            palette.set_pictures(0, [pictures.shown(int(number)) for number in pictures.numbers])
            return
        self._row_of = np.full(len(pictures.numbers), -1)
        self._holds = np.full(palette.rows, -1)
        self._used = np.zeros(palette.rows, dtype=np.int64)
        self._now = 0

    @staticmethod
    def rows_for(pictures: Pictures, episodes: int, lazily: bool) -> int:
        """Rows that a palette needs: lazily always some that no episode shows, so that there is room for the next."""
        everything = len(pictures.numbers)
        return min(everything, max(_KEPT, 4 * episodes)) if lazily else everything

    def rows_of(self, pairs: Tensor) -> Tensor:
        """Rows [B, 2] of the pictures of all episodes, `pairs` [B, 2] (places among those of the split)."""
        if not self._lazily:
            return pairs
        wanted = pairs.numpy()
        self._now += 1
        rows = self._row_of[wanted]
        self._used[rows[rows >= 0]] = self._now
        for place in np.unique(wanted[rows < 0]):
            row = int(self._used.argmin())
            if self._holds[row] >= 0:
                self._row_of[self._holds[row]] = -1
            self._row_of[place], self._holds[row], self._used[row] = row, place, self._now
            self._palette.set_pictures(row, [self._pictures.shown(int(self._pictures.numbers[place]))])
        return torch.from_numpy(self._row_of[wanted])
