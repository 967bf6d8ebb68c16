"""Where the eye, the screen and the hit areas of PsychLab's room are, and how the gaze moves. Units of the game's map.

The eye stays where it is (after the first frames, `LIFT`), so a gaze is two angles. Yaw 90 looks straight at the
screen (along +y), smaller yaws to the right; a positive pitch looks down. The screen is drawn on one plane; what the
gaze hits is found by another one, half a unit nearer, with a ray that starts 14 units ahead at coordinates *cut to
whole units*: so the hit areas are not quite where the pictures are (the cross's reaches 2.1 degrees to either side,
not 1.75). All of this is the game's own way and is checked against recordings of it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

EYE_Y, EYE_Z = -32.0, 122.125
SCREEN_Y, SCREEN_HALF, SCREEN_Z = 58.5, 56.0, 123.0
"""The screen: its plane, half its side, the height of its centre."""

DISTANCE = SCREEN_Y - EYE_Y
REACH = SCREEN_HALF / DISTANCE
"""Tangent of the angle from the centre of the screen to its edge."""
RISE = (SCREEN_Z - EYE_Z) / DISTANCE
"""Tangent of the angle by which the centre of the screen is above the eye."""

LIFT = (14.0, 9.8, 5.4, 1.9)
"""Units by which the eye is lower in the first frames of an episode: the player rises from a crouch."""

DEGREES_PER_UNIT = 0.1056
"""Turn of the gaze by one look unit in one frame."""
SHORTS = 65536 / 360
"""The game keeps angles in 1/65536 of a turn."""
LARGEST_PITCH_UNITS = 832
"""87.9 degrees."""

FIXATION_HALF, TARGET_HALF = 0.025, 0.1
"""Half sides of the hit areas of the cross and of a picture, as shares of the screen."""
LEFT_U, RIGHT_U = 0.25, 0.75

_HIT_Y, _HIT_HALF, _HIT_EYE_Z, _AHEAD = 58.0, 57.0, 122.0, 14.0


class Gaze(NamedTuple):
    """Directions, radians, any shape."""

    pitch: Tensor
    yaw: Tensor


class Hits(NamedTuple):
    """What a gaze rests on, bool, any shape. An area counts whether something is shown in it or not."""

    cross: Tensor
    left: Tensor
    right: Tensor


def gaze_of(start: Tensor, right_units: Tensor, down_units: Tensor) -> Gaze:
    """The gaze after look units summed over frames.

    Args:
        start: yaw at the start of the episode, in 1/65536 of a turn (integers).
        right_units: sum of the look units to the right (integers).
        down_units: the same downwards.
    """
    scale = DEGREES_PER_UNIT * SHORTS
    yaw = start - torch.round(right_units.double() * scale)
    pitch = torch.round(down_units.double() * scale)
    turn = 2 * math.pi / 65536
    return Gaze(pitch * turn, yaw * turn)


def hits_of(gaze: Gaze) -> Hits:
    """The hit areas that a gaze lies in, as the game finds them."""
    flat = torch.cos(gaze.pitch)
    x, y, z = flat * torch.cos(gaze.yaw), flat * torch.sin(gaze.yaw), -torch.sin(gaze.pitch)
    from_x = torch.trunc(_AHEAD * x)
    from_y = torch.trunc(EYE_Y + _AHEAD * y)
    from_z = torch.trunc(_HIT_EYE_Z + _AHEAD * z)
    ahead = y > 1e-6
    reach = (_HIT_Y - from_y) / torch.where(ahead, y, 1.0)
    u = (from_x + reach * x) / (2 * _HIT_HALF)
    v = (from_z + reach * z - SCREEN_Z) / (2 * _HIT_HALF)
    level = ahead & (v.abs() <= TARGET_HALF)
    return Hits(
        cross=ahead & (u.abs() <= FIXATION_HALF) & (v.abs() <= FIXATION_HALF),
        left=level & ((u - (LEFT_U - 0.5)).abs() <= TARGET_HALF),
        right=level & ((u - (RIGHT_U - 0.5)).abs() <= TARGET_HALF),
    )
