"""The pictures of the task: a folder of them, or drawn here, any number, each from its number alone.

A pool has numbers; every fifth of them is held out from training. Pictures are 256 x 256 RGB, shown at 204 x 204.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .families import FAMILIES, TRAINED, Family, Pixels

Numbers = NDArray[np.int32]

SHOWN_SIDE = 204
"""Pixels of the virtual screen that it takes up (0.4 of 512)."""

HELD_OUT_EVERY = 5
"""Pictures 5, 10, 15, ... of a pool are never seen in training."""

_SALT = 7_041_949
"""Of the pictures' random generator: number 3 here is nothing that another task draws from seed 3."""


def draw(number: int, families: Sequence[Family] = TRAINED) -> Pixels:
    """Picture `number` of the endless set of some families, [256, 256, 3].

    Equal numbers and families give equal pictures everywhere. Which family a picture is of is drawn, so that the
    pictures held out of a pool are of all of them.
    """
    which = int(np.random.default_rng([_SALT, number, 0]).integers(len(families)))
    return FAMILIES[families[which]](np.random.default_rng([_SALT, number]))


def write_folder(folder: Path, numbers: Iterable[int], families: Sequence[Family] = TRAINED) -> None:
    """Write drawn pictures as `0001.png`, `0002.png`, ...: what DeepMind Lab's own level reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, number in enumerate(numbers, start=1):
        Image.fromarray(draw(number, families)).save(folder / f"{place:04d}.png")


class Pictures:
    """Numbers to draw from, and the pictures behind them as they are shown."""

    def __init__(self, folder: str, pool: int, split: str, families: Sequence[Family] = TRAINED) -> None:
        """See `PsychLabSettings`: `images`, `pool` (0: all of a folder), `split`, and `families` of drawn ones.

        Raises:
            ValueError: if a folder is not there or holds too few pictures.
        """
        self._files: dict[int, Path] = {}
        self._families = families
        if folder:
            path = Path(folder).expanduser()
            if not path.is_dir():
                raise ValueError(f"psychlab: images={folder} is no folder on this machine")
            found = sorted(path.glob("*.png"))
            self._files = dict(enumerate(found[: pool or None], start=1))
            numbers = np.array(list(self._files), dtype=np.int32)
        else:
            if not pool:
                raise ValueError("psychlab: pool says how many pictures are drawn; it cannot be 0 without a folder")
            numbers = np.arange(1, pool + 1, dtype=np.int32)
        held_out = numbers % HELD_OUT_EVERY == 0
        self.numbers = numbers if split == "all" else numbers[held_out if split == "test" else ~held_out]
        """[n] int32, those of this split."""
        if len(self.numbers) < 2:
            raise ValueError(
                f"psychlab: {len(self.numbers)} pictures for split={split} from {folder or 'the generator'} "
                f"(pool={pool}) are too few: an episode needs two; every {HELD_OUT_EVERY}th is held out"
            )

    def shown(self, number: int) -> Pixels:
        """Picture `number` as the screen shows it, [204, 204, 3]; read only.

        Raises:
            ValueError: for a file that is no picture.
        """
        image = Image.fromarray(draw(number, self._families)) if not self._files else _read(self._files[number])
        return np.asarray(image.resize((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.BILINEAR))


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise ValueError(f"psychlab: {path} cannot be read as a picture: {error}") from error
