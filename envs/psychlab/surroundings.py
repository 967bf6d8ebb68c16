"""What is around the screen, drawn: sky, stands with lit rails, floor, the grey frame. One panorama a theme.

The eye never moves, so all that does not change lies on a sphere. It is kept as a square map of the sphere folded
into an octahedron (Engelhardt and Dachsbacher 2008): a direction (x, y, z) has its place at (x, z) / (|x| + |y| + |z|)
while it looks ahead (y > 0), folded outwards behind. Colours and places follow recordings of the real room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Floats = NDArray[np.float64]

FRONT = 1.5
"""The drawn wall with the frame covers tangents -FRONT..FRONT ahead."""
_GRID = 1092
"""Units across that wall in which `_FRAME` is measured."""
_DETAIL = 2
"""Pixels a unit in each direction, averaged in the end."""


@dataclass(frozen=True)
class Theme:
    """How a room looks. The default is the real one's look."""

    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors of red, green and blue everywhere."""
    sky: tuple[float, float, float] = (1.0, 1.0, 1.0)
    stands: tuple[float, float, float] = (1.0, 1.0, 1.0)
    frame: float = 1.0
    """Brightness of the frame."""
    adverts: int = 0
    """Seed of the lit patches on the rails."""
    ring: float = 1.0
    """Strength of the ring of light at the start of an episode."""


def random_theme(rng: np.random.Generator) -> Theme:
    """Other colours, brightness, adverts, and a ring of any strength or none."""

    def factors(low: float, high: float) -> tuple[float, float, float]:
        red, green, blue = rng.uniform(low, high, size=3)
        return float(red), float(green), float(blue)

    return Theme(
        tint=(float(rng.uniform(0.6, 1.3)),) * 3,
        sky=factors(0.5, 1.5),
        stands=factors(0.5, 1.8),
        frame=float(rng.uniform(0.6, 1.6)),
        adverts=int(rng.integers(1, 2**31)),
        ring=float(rng.choice([0.0, 1.0]) * rng.uniform(0.3, 1.3)),
    )


_Color = tuple[int, int, int]
_TEAL, _BLUE, _NAVY, _FLOOR = (20, 68, 104), (2, 54, 92), (3, 34, 56), (87, 165, 255)
_DARK, _RIM, _EDGE, _LIGHT, _CAP = (28, 28, 28), (58, 58, 58), (53, 53, 53), (121, 121, 121), (0, 40, 82)

_SKY_AT = (-10.0, 0.0, 14.0, 38.0, 43.0, 54.0, 75.0, 90.0)
_SKY_RED = (0.0, 3.0, 14.0, 42.0, 53.0, 77.0, 115.0, 130.0)
_SKY_MORE = (0.0, 59.0, 127.0)
"""Red by elevation, degrees; green and blue have so much more."""

_RAILS = (
    # top at 40 degrees to the side, how it rises from there, [(thickness, colour or lit)]
    (5.5, 13.7, ((2.3, None), (2.4, (50, 55, 60)), (60.0, _TEAL))),
    (-3.2, 12.3, ((3.4, None), (0.8, (22, 41, 56)), (1.3, (60, 64, 67)), (3.1, _BLUE), (1.0, _NAVY), (60.0, _TEAL))),
    (-20.8, 10.4, ((2.7, None), (2.6, (52, 55, 58)), (60.0, _TEAL))),
    (-34.6, 9.0, ((2.5, None), (2.0, (57, 61, 64)), (3.3, _NAVY), (0.6, (29, 50, 66)), (60.0, _TEAL))),
    (-45.5, 8.0, ((90.0, _FLOOR),)),
)


def _lit(side: Floats, seed: int) -> Floats:
    """Brightness of a rail by azimuth: patches of three degrees, some of them lit."""
    rng = np.random.default_rng([91, seed])
    patches = rng.choice([70.0, 110.0, 155.0, 218.0], p=[0.2, 0.25, 0.3, 0.25], size=120)
    return np.asarray(patches[(np.floor(side / 3).astype(int)) % 120])


def _room(x: Floats, y: Floats, z: Floats, theme: Theme) -> Floats:
    """Colours [..., 3] of sky, stands and floor in directions."""
    side = np.degrees(np.arctan2(x, y))
    up = np.degrees(np.arctan2(z, np.hypot(x, y)))
    red = np.interp(up, _SKY_AT, _SKY_RED)
    color = np.stack([red + more for more in _SKY_MORE], axis=-1) * np.array(theme.sky)
    rise = 0.17 - np.cos(2 * np.radians(side))
    for number, (base, slope, bands) in enumerate(_RAILS):
        below = base + slope * rise - up  # degrees under the rail's top
        start = 0.0
        for thickness, paint in bands:
            where = (below > start) & (below <= start + thickness)
            if paint is None:
                lit = _lit(side + 11 * number, theme.adverts + number)
                shade = 1 - np.abs((below - start) / thickness - 0.45) * 0.9
                color = np.where(where[..., None], (lit * shade)[..., None], color)
            else:
                color = np.where(where[..., None], np.array(paint) * np.array(theme.stands), color)
            start += thickness
    # The platform that the player stands on: 32 units in each direction, 50 below the eye.
    reach = 50 / np.maximum(-z, 1e-9)
    platform = (z < 0) & (np.abs(x) * reach <= 32) & (np.abs(y) * reach <= 32)
    tile = 95 + 25 * ((np.floor(x * reach / 16) + np.floor(y * reach / 16)) % 2)
    return np.where(platform[..., None], tile[..., None], color)


def _mirrored(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(_GRID - x, y) for x, y in points]


def _bar(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


_FRAME: tuple[tuple[list[tuple[float, float]], _Color, bool], ...] = (
    # polygon in units of the wall, colour, whether its mirror image is there too
    ([(537, 187), (560, 215), (560, 252), (537, 252)], (90, 92, 96), False),
    ([(345, 830), (747, 830), (757, 869), (335, 869)], (28, 28, 28), False),
    ([(335, 869), (757, 869), (795, 988), (300, 988)], (47, 47, 47), False),
    (_bar(306, 252, 786, 277), _LIGHT, False),
    (_bar(306, 277, 786, 304), (21, 21, 21), False),
    (_bar(234, 325, 264, 755), _RIM, True),
    (_bar(264, 312, 281, 770), _LIGHT, True),
    (_bar(281, 304, 309, 775), _DARK, True),
    (_bar(312, 779, 780, 806), (37, 37, 37), False),
    (_bar(312, 806, 780, 832), (73, 73, 73), False),
    (_bar(309, 304, 783, 779), _EDGE, False),
    ([(318, 247), (290, 255), (266, 275), (254, 300), (258, 313), (285, 313), (305, 300), (318, 275)], _CAP, True),
    (_bar(308, 247, 322, 277), (8, 8, 8), True),
    ([(254, 770), (300, 775), (318, 790), (318, 834), (296, 830), (268, 808)], _CAP, True),
    ([(440, 785), (470, 779), (500, 785), (540, 820), (530, 845), (490, 848), (460, 830)], _CAP, True),
    ([(474, 842), (530, 838), (528, 851), (490, 854)], (150, 150, 150), True),
)


def _wall(theme: Theme, detail: int) -> tuple[Floats, Floats]:
    """The frame as colours [n, n, 3] and coverage [n, n] over the wall."""
    scale = detail / _GRID
    image = Image.new("RGBA", (detail, detail), (0, 0, 0, 0))
    brush = ImageDraw.Draw(image)
    for points, color, twice in _FRAME:
        paint = (*(min(255, round(value * theme.frame)) for value in color), 255)
        for polygon in (points, _mirrored(points)) if twice else (points,):
            brush.polygon([(x * scale, y * scale) for x, y in polygon], fill=paint)
    pixels = np.asarray(image).astype(float)
    return pixels[..., :3], pixels[..., 3] / 255


def directions(side: int) -> tuple[Floats, Floats, Floats]:
    """Direction (x, y, z) of each place of a map of `side` x `side`, not normalised; rows go down."""
    places = (np.arange(side) + 0.5) / side * 2 - 1
    p, q = np.meshgrid(places, -places)
    y = 1 - np.abs(p) - np.abs(q)
    behind = y < 0
    x = np.where(behind, (1 - np.abs(q)) * np.where(p < 0, -1, 1), p)
    z = np.where(behind, (1 - np.abs(p)) * np.where(q < 0, -1, 1), q)
    return x, y, z


def panorama(theme: Theme, side: int) -> NDArray[np.uint8]:
    """The map of a theme, [side, side, 3]."""
    x, y, z = directions(_DETAIL * side)
    color = _room(x, y, z, theme)
    wall, cover = _wall(theme, _DETAIL * _GRID)
    ahead = y > 1e-6
    tangent_x, tangent_z = (np.divide(v, y, out=np.full_like(v, 9.0), where=ahead) for v in (x, z))
    column, row = ((1 + t / FRONT) / 2 * len(wall) for t in (tangent_x, -tangent_z))
    seen = ahead & (column >= 0) & (column < len(wall)) & (row >= 0) & (row < len(wall))
    column, row = (np.where(seen, v, 0).astype(int) for v in (column, row))
    framed = (seen & (cover[row, column] > 0.5))[..., None]
    color = np.where(framed, wall[row, column], color) * np.array(theme.tint)
    small = color.reshape(side, _DETAIL, side, _DETAIL, 3).mean((1, 3))
    pixels: NDArray[np.uint8] = small.clip(0, 255).round().astype(np.uint8)
    return pixels


RING_FRAMES = 27
"""Frames until the ring of light is gone."""
RING_STEPS = 512
"""Entries by sine of the elevation, -1..1."""
_RING_COLOR = (82, 126, 71)
_RING_AT = {
    0: ((18.6, 21.0), (-29.0, -24.3), (33.0, 45.0)),
    1: ((-18.2, -16.4), (26.7, 45.0)),
    2: ((14.9, 16.2), (-31.5, -28.5)),
    3: ((-17.6, -16.1),),
}
_RING_RESTS = ((-24.6, -21.5), (-70.0, -42.0))
"""Elevations of its bands, degrees: in the first frames, and later, where it fades."""


def ring(strength: float = 1.0) -> NDArray[np.uint8]:
    """Light that the ring adds, [RING_FRAMES, RING_STEPS, 3], by frame and elevation."""
    up = np.degrees(np.arcsin(np.linspace(-1, 1, RING_STEPS)))
    light = np.zeros((RING_FRAMES, RING_STEPS, 3))
    for frame in range(RING_FRAMES):
        fade = min(1.0, (26.3 - frame) / 25) if frame > 3 else 1.0
        for low, high in _RING_AT.get(frame, _RING_RESTS):
            light[frame, (up >= low) & (up <= high)] = np.array(_RING_COLOR) * max(0.0, strength * fade)
    return light.clip(0, 255).round().astype(np.uint8)
