"""Families of drawn pictures: each draws a picture [256, 256, 3] uint8 from a random generator, and from nothing else.

`shapes` are objects on a light ground; the others fill the square. What a family looks like says nothing about another
one, so that an agent trained on some of them can be tested on those that it never saw (`HELD_OUT`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float64]

SIDE = 256
"""Pixels of a picture."""

_Y, _X = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
_DISTANCE = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])


def _color(rng: np.random.Generator, low: int = 0, high: int = 256) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(low, high, size=3))


def _mixed(share: Plane, rng: np.random.Generator) -> Plane:
    """[256, 256, 3] from one random colour (0) to another one (1)."""
    one, other = np.array(_color(rng)), np.array(_color(rng))
    mixed: Plane = one + share[..., None] * (other - one)
    return mixed


def _pixels(values: Plane) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _turned(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """The two coordinates, -1..1 in the middle of the sides, turned and moved at random."""
    angle, (dx, dy) = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4, size=2)
    x, y = _X - dx, _Y - dy
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def _noise(rng: np.random.Generator, slope: float) -> Plane:
    """[256, 256] with mean 0 and variance 1, whose amplitudes fall with frequency ** slope."""
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
    spectrum /= np.maximum(_DISTANCE, 1 / SIDE) ** slope
    spectrum[0, 0] = 0
    plane: Plane = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    plane /= plane.std()
    return plane


def shapes(rng: np.random.Generator) -> Pixels:
    """An "object" of a few coloured shapes on a light ground."""
    ground = _color(rng, 215) if rng.random() < 0.5 else (255, 255, 255)
    image = Image.new("RGB", (SIDE, SIDE), ground)
    brush = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 7))):
        color = _color(rng, 0, 220)
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
            stripe = _color(rng)
            for y in range(box[1], box[3], gap):
                brush.line((box[0], y, box[2], y), fill=stripe, width=width)
    return np.asarray(image)


def gratings(rng: np.random.Generator) -> Pixels:
    """A sinusoid or a plaid between two colours, in half of the pictures within a Gaussian window (Gabor 1946)."""
    wave = np.zeros((SIDE, SIDE))
    for _ in range(int(rng.integers(1, 3))):
        x, _ = _turned(rng)
        wave += np.sin(2 * np.pi * rng.uniform(0.8, 5.0) * x)
    values = _mixed(np.clip(0.5 + 0.5 * wave, 0, 1), rng)
    if rng.random() < 0.5:
        x, y = _turned(rng)
        window = np.exp(-((x / rng.uniform(0.3, 0.9)) ** 2) - (y / rng.uniform(0.3, 0.9)) ** 2)[..., None]
        values = window * values + (1 - window) * np.array(_color(rng))
    return _pixels(values)


def checks(rng: np.random.Generator) -> Pixels:
    """A turned chequerboard of two to four colours; its fields may be longer than wide."""
    x, y = _turned(rng)
    across, along = rng.uniform(1.2, 6.0, size=2)
    count = int(rng.integers(2, 5))
    colors = np.array([_color(rng) for _ in range(count)], dtype=float)
    field = np.floor(x * across).astype(int) + int(rng.integers(1, count)) * np.floor(y * along).astype(int)
    return _pixels(colors[field % count])


def noise(rng: np.random.Generator) -> Pixels:
    """Clouds with the spectrum of natural pictures (amplitude about 1 / frequency; Field 1987), in mixed colours."""
    slope = rng.uniform(0.8, 1.8)
    planes = np.stack([_noise(rng, slope) for _ in range(3)], axis=-1)
    mixing = rng.normal(0, 30, size=(3, 3))
    return _pixels(np.array(_color(rng, 40, 216)) + planes @ mixing)


def leaves(rng: np.random.Generator) -> Pixels:
    """Shapes of all sizes that cover one another ("dead leaves": Matheron 1968; Lee, Mumford & Huang 2001)."""
    image = Image.new("RGB", (SIDE, SIDE), _color(rng))
    brush = ImageDraw.Draw(image)
    palette = [_color(rng) for _ in range(int(rng.integers(3, 9)))]
    for _ in range(int(rng.integers(40, 120))):
        x, y = (float(v) for v in rng.uniform(-20, SIDE + 20, size=2))
        size = float(10 / rng.uniform(0.12, 1.0))
        color = palette[int(rng.integers(len(palette)))]
        if rng.random() < 0.6:
            brush.ellipse((x - size, y - size, x + size, y + size), fill=color)
        else:
            brush.regular_polygon((x, y, size), int(rng.integers(3, 6)), float(rng.uniform(0, 90)), fill=color)
    return np.asarray(image)


def scenes(rng: np.random.Generator) -> Pixels:
    """Much as a photograph: a graded sky, hills, ground with texture, lit balls and their soft shadows."""
    horizon = rng.uniform(-0.4, 0.3)
    sky = _mixed(np.clip((_Y + 1) / (horizon + 1), 0, 1), rng)
    ground = _mixed(np.clip((_Y - horizon) / (1 - horizon), 0, 1), rng) + 14 * _noise(rng, 1.0)[..., None]
    ridge = horizon - 0.2 * np.abs(_noise(rng, 1.6)[0])
    values = np.where(_Y[..., None] > horizon, ground, sky)
    values = np.where(((ridge < _Y) & (horizon >= _Y))[..., None], _mixed(np.clip(_Y + 1, 0, 1), rng), values)
    light = rng.uniform(-0.6, 0.6)
    for _ in range(int(rng.integers(1, 5))):
        radius, at = rng.uniform(0.12, 0.4), rng.uniform((-0.8, horizon), (0.8, 0.8))
        x, y = (_X - at[0]) / radius, (_Y - at[1]) / radius
        shadow = np.exp(-((x + 1.2 * light) ** 2) - ((y - 0.9) * 3) ** 2)
        values *= 1 - 0.6 * shadow[..., None]
        lit = 0.25 + 0.75 * np.clip(np.sqrt(np.clip(1 - x**2 - y**2, 0, 1)) - light * x - 0.5 * y, 0, 1.2)
        values = np.where((x**2 + y**2 < 1)[..., None], np.array(_color(rng, 60)) * lit[..., None], values)
    image = Image.fromarray(_pixels(values))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2)))))


def rings(rng: np.random.Generator) -> Pixels:
    """Rings about a centre, or sectors of a circle, in two to five colours."""
    x, y = _turned(rng)
    count = int(rng.integers(2, 6))
    colors = np.array([_color(rng) for _ in range(count)], dtype=float)
    if rng.random() < 0.65:
        field = np.floor(np.hypot(x, y * rng.uniform(0.6, 1.6)) * rng.uniform(2.0, 8.0))
    else:
        field = np.floor((np.arctan2(y, x) / (2 * np.pi) + 0.5) * count * rng.integers(1, 4))
    return _pixels(colors[field.astype(int) % count])


def mosaics(rng: np.random.Generator) -> Pixels:
    """Cells around random points, each in a colour of its own (Voronoi 1908)."""
    count = int(rng.integers(5, 30))
    points = rng.uniform(-1.1, 1.1, size=(count, 2))
    distance = (_X[..., None] - points[:, 0]) ** 2 + (_Y[..., None] - points[:, 1]) ** 2
    colors = np.array([_color(rng) for _ in range(count)], dtype=float)
    return _pixels(colors[distance.argmin(-1)])


Family = Literal["shapes", "gratings", "checks", "noise", "leaves", "scenes", "rings", "mosaics"]

FAMILIES: Mapping[Family, Callable[[np.random.Generator], Pixels]] = {
    "shapes": shapes,
    "gratings": gratings,
    "checks": checks,
    "noise": noise,
    "leaves": leaves,
    "scenes": scenes,
    "rings": rings,
    "mosaics": mosaics,
}

HELD_OUT: tuple[Family, ...] = ("rings", "mosaics")
"""Of no training with the default options."""

TRAINED: tuple[Family, ...] = tuple(family for family in FAMILIES if family not in HELD_OUT)
