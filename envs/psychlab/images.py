"""The pictures of the task: a folder of them, or drawn here, any number, each from its number alone.

A pool has numbers; every fifth of them is held out from training. Pictures are 256 x 256 RGB, shown at 204 x 204.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int32]

SIDE = 256
"""Pixels of a picture."""
SHOWN_SIDE = 204
"""Pixels of the virtual screen that it takes up (0.4 of 512)."""

HELD_OUT_EVERY = 5
"""Pictures 5, 10, 15, ... of a pool are never seen in training."""

_SALT = 7_041_949
"""Of the pictures' random generator: number 3 here is nothing that another task draws from seed 3."""


def draw(number: int) -> Pixels:
    """Picture `number` of the endless set: an "object" of a few coloured shapes on a light ground, [256, 256, 3].

    Equal numbers give equal pictures everywhere.
    """
    rng = np.random.default_rng([_SALT, number])
    ground = tuple(int(value) for value in rng.integers(215, 256, size=3)) if rng.random() < 0.5 else (255, 255, 255)
    image = Image.new("RGB", (SIDE, SIDE), ground)
    brush = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 7))):
        color = tuple(int(value) for value in rng.integers(0, 220, size=3))
        centre, half = rng.integers(50, SIDE - 50, size=2), rng.integers(14, 56, size=2)
        box = (*(int(v) for v in centre - half), *(int(v) for v in centre + half))
        kind = rng.integers(4)
        if kind == 0:
            brush.rectangle(box, fill=color)
        elif kind == 1:
            brush.ellipse(box, fill=color)
        else:
            corners, first = int(rng.integers(3, 7)), rng.random()
            angles = 2 * np.pi * (np.arange(corners) / corners + first)
            reach = rng.uniform(0.6, 1.0, size=corners) * half.max()
            points = centre[:, None] + reach * np.stack([np.cos(angles), np.sin(angles)])
            brush.polygon([(float(x), float(y)) for x, y in points.T], fill=color)
        if kind == 3:  # stripes across the last shape
            width, gap = int(rng.integers(4, 10)), int(rng.integers(12, 26))
            stripe = tuple(int(value) for value in rng.integers(0, 256, size=3))
            for y in range(box[1], box[3], gap):
                brush.line((box[0], y, box[2], y), fill=stripe, width=width)
    return np.asarray(image)


def write_folder(folder: Path, numbers: Iterable[int]) -> None:
    """Write drawn pictures as `0001.png`, `0002.png`, ...: what DeepMind Lab's own level reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, number in enumerate(numbers, start=1):
        Image.fromarray(draw(number)).save(folder / f"{place:04d}.png")


class Pictures:
    """Numbers to draw from, and the pictures behind them as they are shown."""

    def __init__(self, folder: str, pool: int, split: str) -> None:
        """See `PsychLabSettings`: `images`, `pool` (0: all of a folder) and `split`.

        Raises:
            ValueError: if a folder is not there or holds too few pictures.
        """
        self._files: dict[int, Path] = {}
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
        image = Image.fromarray(draw(number)) if not self._files else _read(self._files[number])
        return np.asarray(image.resize((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.BILINEAR))


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise ValueError(f"psychlab: {path} cannot be read as a picture: {error}") from error
