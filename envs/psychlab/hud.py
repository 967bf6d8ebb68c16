"""The head-up display over the view: health, ammunition, weapon, clock and the score in its box. Drawn once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_GRID = 136
"""The places below are pixels of a view of this size."""
_DETAIL = 6

_SCORE_BOX = (127, 113, 136, 121)


def _scaled(box: tuple[float, float, float, float], size: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(value * size / _GRID) for value in box)
    return left, top, right, bottom


def _text(
    brush: ImageDraw.ImageDraw, scale: float, place: tuple[float, float], text: str, height: float, paint: str
) -> None:
    font = ImageFont.load_default(max(1, height * scale))
    brush.text((place[0] * scale, place[1] * scale), text, fill=paint, anchor="mm", font=font)


def signs(size: int) -> NDArray[np.uint8]:
    """All but the score, [size, size, 4] (the last is coverage), for a view of this size."""
    image = Image.new("RGBA", (size * _DETAIL,) * 2, (0, 0, 0, 0))
    brush, scale = ImageDraw.Draw(image), size * _DETAIL / _GRID
    _text(brush, scale, (12, 128.5), "100", 13, "#d59a2b")
    _text(brush, scale, (49, 128.5), "125", 13, "#c9cdd2")
    _text(brush, scale, (130.5, 3), "4:59", 5.5, "#e8e8e8")
    for shape, box, paint in (
        ("box", (22.5, 124, 29.5, 130), "#2fbfff"),
        ("disc", (61.5, 121.5, 70, 135), "#fdeb9c"),
        ("disc", (61.5, 107.5, 65, 116), "#d6d8da"),
        ("box", (67.5, 107, 76, 117.5), "#545a5e"),
        ("box", (69.5, 109, 74, 115.5), "#8a6a2c"),
    ):
        place = [value * scale for value in box]
        (brush.rectangle if shape == "box" else brush.ellipse)(place, fill=paint)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def score_box(size: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the score's box in a view of this size."""
    return _scaled(_SCORE_BOX, size)


def scores(size: int, low: int, high: int) -> NDArray[np.uint8]:
    """The box with each score from `low` to `high`, [n, height, width, 3]."""
    left, top, right, bottom = score_box(size)
    pictures = []
    for score in range(low, high + 1):
        image = Image.new("RGB", ((right - left) * _DETAIL, (bottom - top) * _DETAIL), (24, 24, 150))
        brush = ImageDraw.Draw(image)
        font = ImageFont.load_default(0.85 * image.height if len(str(score)) < 3 else 0.65 * image.height)
        brush.text((image.width / 2, image.height / 2), str(score), fill="white", anchor="mm", font=font)
        pictures.append(np.asarray(image.resize((right - left, bottom - top), Image.Resampling.BOX)))
    return np.stack(pictures)
