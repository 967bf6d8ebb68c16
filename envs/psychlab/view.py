"""The view of B gazes at once: what each pixel's ray meets, looked up in one table. Runs on any device of torch.

For every pixel two places are computed: on the virtual screen (a homography, as the screen is flat) and on the
panorama of the surroundings. A map of the screen (one for each display) says what is shown there: black, red, or a
pixel of one of the two pictures; off the screen the panorama's pixel is taken. Its colour is then looked up in the
palette. The real game samples its screen in the same way: the nearest texel, no averaging.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from . import hud
from .geometry import DISTANCE, LIFT, REACH, RISE, Gaze
from .images import SHOWN_SIDE
from .machine import CROSS, PICTURES, SCORES
from .palette import BLACK, FIRST, PANORAMA, RED, ROW, Palette
from .surroundings import RING_FRAMES, RING_STEPS

TEXELS = 512
"""Side of the virtual screen."""

_SIDE = TEXELS + 2  # a rim of one texel stands for all that is off the screen
_OFF = -(2**31)
"""Less than anything on the screen, whatever is added."""

_CROSS_AT, _CROSS_SIDE, _ARM = 230, 51, (19, 32)
_LEFT_AT, _RIGHT_AT, _TOP_AT = 25, 281, 153
"""Texels of the upper left corners, as the level's script rounds them."""


@functools.cache
def _screen_maps() -> Tensor:
    """What is shown by texel, [4 displays, _SIDE, _SIDE] int32: blank, cross, and the pictures with the rewarded one on
    the left and on the right; `_OFF` in the rim. Entries of the rewarded picture's row, then those of the other's."""
    maps = np.full((4, _SIDE, _SIDE), _OFF, dtype=np.int32)
    inner = maps[:, 1:-1, 1:-1]
    inner[:] = BLACK
    cross = inner[CROSS, _CROSS_AT : _CROSS_AT + _CROSS_SIDE, _CROSS_AT : _CROSS_AT + _CROSS_SIDE]
    cross[slice(*_ARM)] = RED
    cross[:, slice(*_ARM)] = RED
    picture = np.arange(SHOWN_SIDE**2, dtype=np.int32).reshape(SHOWN_SIDE, SHOWN_SIDE) + FIRST
    rows = slice(_TOP_AT, _TOP_AT + SHOWN_SIDE)
    for display, left, right in ((PICTURES, 0, 1), (PICTURES + 1, 1, 0)):
        for at, which in ((_LEFT_AT, left), (_RIGHT_AT, right)):
            inner[display, rows, at : at + SHOWN_SIDE] = picture + which * ROW
    return torch.from_numpy(maps)


class View:
    """Draws `size` x `size` pixels with a field of view of 90 degrees."""

    def __init__(self, size: int, palette: Palette, trials: int) -> None:
        """`trials` of an episode, for the range of the score."""
        self.size = size
        self.may_look = palette.device.type == "cpu"
        """Whether a look at data is free, so that what no gaze sees and what is over need not be drawn."""
        device = palette.device
        self._maps = _screen_maps().flatten().to(device)
        self._palette = palette
        self._lift = torch.tensor(LIFT, device=device) / DISTANCE
        places = torch.arange(size, dtype=torch.float32, device=device)
        self._places = (places + 0.5) / size * 2 - 1
        lengths = (1 + self._places**2 + self._places[:, None] ** 2).rsqrt()
        self._to_ring = lengths * (RING_STEPS / 2)
        # A frame of no light stands for all after the last.
        self._ring = torch.nn.functional.pad(palette.rings, (0, 0, 0, 1)).flatten()
        signs = hud.signs(size).copy()
        self._sign_places = torch.from_numpy(np.flatnonzero(signs[..., 3] > 0)).to(device)
        chosen = torch.from_numpy(signs.reshape(-1, 4)).to(device)[self._sign_places].float()
        self._sign_cover, self._sign_color = chosen[:, 3:] / 255, chosen[:, :3]
        self._lowest, highest = trials * min(SCORES), trials * (SCORES[1] + SCORES[2])
        self._scores = torch.from_numpy(hud.scores(size, self._lowest, highest)).to(device)
        self._score_box = hud.score_box(size)

    def draw(
        self, pictures: Tensor, gaze: Gaze, display: Tensor, right: Tensor, theme: Tensor, frame: Tensor, score: Tensor
    ) -> Tensor:
        """Pixels [n, size, size, 3], uint8.

        Args:
            pictures: [n, 2] rows of the palette with the rewarded and the other picture.
            gaze: [n] where they look.
            display: [n] what their screens show.
            right: [n] bool, whether the rewarded picture is on the right.
            theme: [n] number of the surroundings.
            frame: [n] frames since the start (the ring of light).
            score: [n] the game's points.
        """
        x, y, level = self._rays(gaze)
        z = self._from_spawn(level, y, frame)
        shown = display + ((display == PICTURES) & right)
        # On the screen. A ray that does not go ahead ends far outside, in the map's rim.
        inverse = y.clamp(min=1e-4).reciprocal_()
        middle, scale = TEXELS / 2 + 1, TEXELS / 2 / REACH
        column = (x * inverse).mul_(scale).add_(middle).clamp_(0, _SIDE - 1).int()
        line = (z * inverse).mul_(-scale).add_(middle + scale * RISE).clamp_(0, _SIDE - 1).int()
        index = line.mul_(_SIDE).add_(column).add_((shown * _SIDE**2)[:, None, None].int())
        entry = torch.index_select(self._maps, 0, index.view(-1)).view_as(index)
        # On the panorama.
        half = PANORAMA / 2
        inverse = x.abs().add_(y.abs()).add_(z.abs()).reciprocal_()
        p, q = x.mul_(inverse), inverse.mul_(z)
        if not self.may_look or self._sees_behind(gaze):
            behind = y < 0
            folded = (1 - q.abs()).copysign(p), (1 - p.abs()).copysign(q)
            p, q = torch.where(behind, folded[0], p), torch.where(behind, folded[1], q)
        column = p.mul_(half).add_(half).clamp_(max=PANORAMA - 1).int()
        line = q.mul_(-half).add_(half).clamp_(max=PANORAMA - 1).int()
        room = line.mul_(PANORAMA).add_(column).add_((theme * PANORAMA**2)[:, None, None].int())
        rewarded, other = (self._palette.rooms_end + pictures * ROW).int()[:, :, None, None].unbind(1)
        entry += torch.where(entry >= ROW, other - ROW, rewarded)
        index = torch.maximum(room, entry)  # rooms come first in the palette: where there is the screen, it wins
        color = torch.index_select(self._palette.colors, 0, index.view(-1)).view(torch.uint8)
        pixels = color.view(len(pictures), self.size, self.size, 4)[..., :3].contiguous()
        self._add_ring(pixels, level, frame, theme)
        self._add_signs(pixels, score)
        return pixels

    def _rays(self, gaze: Gaze) -> tuple[Tensor, Tensor, Tensor]:
        """Directions of all pixels: x, y [n, size, size] and z [n, size, 1] (the same along a line of pixels)."""
        flat, down = torch.cos(gaze.pitch), torch.sin(gaze.pitch)
        ahead, aside = torch.sin(gaze.yaw), torch.cos(gaze.yaw)
        places = self._places

        def lines(middle: Tensor, upwards: Tensor) -> Tensor:
            return (middle.float()[:, None] - upwards.float()[:, None] * places).unsqueeze(2)

        def columns(rightwards: Tensor) -> Tensor:
            return (rightwards.float()[:, None] * places).unsqueeze(1)

        x = lines(flat * aside, aside * down) + columns(ahead)
        y = lines(flat * ahead, ahead * down) + columns(-aside)
        return x, y, lines(-down, flat)

    def _from_spawn(self, z: Tensor, y: Tensor, frame: Tensor) -> Tensor:
        """The eye comes up in the first frames: what is as far as the screen is seen higher (what is farther, too)."""
        if self.may_look and not (frame < len(self._lift)).any():
            return z
        lift = torch.where(frame < len(self._lift), self._lift[frame.clamp(max=len(self._lift) - 1)], 0.0)
        return z - lift[:, None, None] * y

    @staticmethod
    def _sees_behind(gaze: Gaze) -> bool:
        """Whether a pixel of some view may look back (y < 0)."""
        ahead = torch.sin(gaze.yaw)
        least = ahead * torch.cos(gaze.pitch) - (ahead * torch.sin(gaze.pitch)).abs() - torch.cos(gaze.yaw).abs()
        return bool((least < 0).any())

    def _add_ring(self, pixels: Tensor, z: Tensor, frame: Tensor, theme: Tensor) -> None:
        """The ring of light depends on the time and on a ray's elevation only."""
        under = pixels
        if self.may_look:
            rows = torch.nonzero(frame < RING_FRAMES).squeeze(1)
            if not len(rows):
                return
            if len(rows) < len(pixels):
                under, z, frame, theme = pixels[rows], z[rows], frame[rows], theme[rows]
        level = (z * self._to_ring).add_(RING_STEPS / 2).int().clamp_(0, RING_STEPS - 1)
        moment = theme * (RING_FRAMES + 1) + frame.clamp(max=RING_FRAMES)
        level += (moment * RING_STEPS)[:, None, None].int()
        light = torch.index_select(self._ring, 0, level.view(-1)).view(torch.uint8)
        light = light.view(*level.shape, 4)[..., :3]
        under += torch.minimum(light, ~under)  # no more than is left to 255
        if under is not pixels:
            pixels[rows] = under

    def _add_signs(self, pixels: Tensor, score: Tensor) -> None:
        flat = pixels.view(len(pixels), -1, 3)
        under = flat[:, self._sign_places].float()
        flat[:, self._sign_places] = under.lerp_(self._sign_color, self._sign_cover).to(torch.uint8)
        left, top, right, bottom = self._score_box
        number = (score - self._lowest).clamp(0, len(self._scores) - 1)
        pixels[:, top:bottom, left:right] = self._scores[number]
