"""A small canvas for the tasks' `rgb_array` renderings: boxes, discs and text on a light ground (Pillow)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
INK: Color = (45, 45, 52)
PAPER: Color = (250, 250, 247)


class Canvas:
    """A picture of `width` x `height` pixels."""

    def __init__(self, width: int, height: int, ground: Color = PAPER) -> None:
        self._image = Image.new("RGB", (width, height), ground)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, x: float, y: float, width: float, height: float, color: Color) -> None:
        """A filled box with its upper left corner at (x, y)."""
        self._draw.rounded_rectangle((x, y, x + width, y + height), radius=min(8, width // 4), fill=color, outline=INK)

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        """A filled disc around (x, y)."""
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=INK)

    def ring(self, x: float, y: float, radius: float, color: Color, width: int = 2) -> None:
        """A circle around (x, y)."""
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color, width=width)

    def picture(self, x: int, y: int, pixels: NDArray[np.uint8]) -> None:
        """A picture [height, width, 3] with its upper left corner at (x, y)."""
        self._image.paste(Image.fromarray(pixels), (x, y))

    def line(self, x0: float, y0: float, x1: float, y1: float, color: Color = INK, width: int = 2) -> None:
        """A straight line."""
        self._draw.line((x0, y0, x1, y1), fill=color, width=width)

    def text(self, x: float, y: float, text: str, size: int = 18, color: Color = INK) -> None:
        """Text centred on (x, y)."""
        self._draw.text((x, y), text, fill=color, anchor="mm", font=_font(size))

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """[height, width, 3]"""
        return np.asarray(self._image).copy()


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Kept: to unpack one takes longer than to draw with it."""
    return ImageFont.load_default(size)
