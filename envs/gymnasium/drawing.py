"""Pictures of an environment that draws none itself: what it says, in lines and bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..canvas import Canvas, Color
from ..vector import Array

WIDTH, HEIGHT = 480, 280
BAR: Color = (64, 112, 176)
GROUND: Color = (222, 222, 226)
MOST_BARS = 96
"""Of longer observations the first so many entries are drawn."""


def drawn(picture: Callable[[], Any], lines: Sequence[str], obs: Array) -> NDArray[np.uint8]:
    """What the environment shows, or where it shows nothing its observation, as bars from zero: [H, W, 3].

    Args:
        picture: gives the environment's own picture, or None.
        lines: of text to go with the bars.
        obs: of any shape.
    """
    try:
        shown = picture()
    except Exception as error:  # of others, for want of a display or a package: no film is worth a run
        shown, lines = None, (*lines, f"no picture: {' '.join(str(error).split())[:60]}")
    if shown is not None and np.ndim(shown) == 3 and np.shape(shown)[2] == 3:
        return np.asarray(shown, dtype=np.uint8)
    canvas = Canvas(WIDTH, HEIGHT)
    for i, line in enumerate(lines):
        canvas.text(WIDTH / 2, 24 + 24 * i, line, size=15)
    values = np.ravel(obs).astype(float)[:MOST_BARS]
    scale = max(1.0, float(np.abs(values).max(initial=0.0)))
    middle, tall, column = 190.0, 70.0, (WIDTH - 40) / max(1, len(values))
    canvas.line(20, middle, WIDTH - 20, middle, GROUND, width=2)
    for i, value in enumerate(values):
        x = 20 + (i + 0.5) * column
        canvas.line(x, middle, x, middle - tall * value / scale, BAR, width=max(1, int(0.7 * min(column, 40))))
    return canvas.pixels


def as_text(obs: Array, most: int = 24) -> str:
    """An observation as a line of numbers, the first so many."""
    values = np.ravel(obs).astype(float)
    numbers = " ".join(f"{value:.4g}" for value in values[:most])
    return f"observation {numbers}{' ...' if len(values) > most else ''}"
