"""Views of the screen with the truth about them, at random: what an encoder can be taught before an agent has it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .geometry import SHORTS
from .machine import BLANK, CROSS, PICTURES
from .options import PsychLabSettings
from .screen import Screen

NEAR, SEEN, WIDE = 3.0, 22.0, 30.0
"""Degrees to either side of the screen's middle: where pictures are chosen from; whence both are in view, also from
beyond the one that is looked at (17 degrees); and all."""
SHARE_WIDE, _SHARE_BLANK, _SHARE_CROSS = 0.6, 0.1, 0.2
_FRAMES = 400
"""Within them the ring of light around a new episode fades."""
_POINTS = (-10, 20)
"""On the display."""


class Glimpses(NamedTuple):
    """n views and what they show."""

    obs: Tensor
    """[n, size, size, 3] uint8"""
    display: Tensor
    """[n] int64, as in `machine`."""
    yaw: Tensor
    """[n] degrees to the left of the screen's middle."""
    left: Tensor
    right: Tensor
    """[n] int64, places of the two pictures in the split, whether they are shown or not."""

    @property
    def of_pictures(self) -> Tensor:
        """[n] bool, whether both pictures are seen."""
        return (self.display == PICTURES) & (self.yaw.abs() < SEEN)


class GlimpseSource:
    """Draws n views at a time: pictures of the split, mostly from near the cross, at any moment of an episode.

    Args:
        settings: of the task, with `env=screen`.
        count: n.
        device: where they are drawn.
        seed: of what is drawn.
        wide: share of views from anywhere within `WIDE`; the others are from within `NEAR`.
    """

    def __init__(
        self, settings: PsychLabSettings, count: int, device: torch.device, seed: int, wide: float = SHARE_WIDE
    ) -> None:
        self._wide = wide
        self._screen = Screen(settings, count, device)
        self.pictures = self._screen.pictures
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self) -> Glimpses:
        """The next views."""
        screen, state = self._screen, self._screen.machine.state
        drawn = torch.rand(screen.num_envs, screen.numbers + 5, generator=self._generator).to(screen.device)
        what, far, where, when, score = drawn[:, screen.numbers :].unbind(1)
        screen.begin(torch.ones_like(what, dtype=torch.bool), drawn[:, : screen.numbers])
        yaw = (2 * where - 1) * torch.where(far < self._wide, WIDE, NEAR)
        state.start = torch.round((90 + yaw.double()) * SHORTS).int()
        shows_cross = what < _SHARE_BLANK + _SHARE_CROSS
        display = torch.where(what < _SHARE_BLANK, BLANK, torch.where(shows_cross, CROSS, PICTURES))
        state.display, state.frame = display.int(), (when * _FRAMES).int()
        state.score = (_POINTS[0] + score * (_POINTS[1] - _POINTS[0])).int()
        rewarded, other = screen.pair.unbind(1)
        on_right = screen.machine.rewarded_side()
        left, right = torch.where(on_right, other, rewarded), torch.where(on_right, rewarded, other)
        return Glimpses(screen.observe(), display, yaw, left, right)

    def look_elsewhere(self) -> tuple[Tensor, Tensor]:
        """The moments drawn last, seen from other gazes within `SEEN`: views [n, size, size, 3] and their yaws [n]."""
        state = self._screen.machine.state
        where = torch.rand(self._screen.num_envs, generator=self._generator).to(self._screen.device)
        yaw = (2 * where - 1) * SEEN
        state.start = torch.round((90 + yaw.double()) * SHORTS).int()
        return self._screen.observe(), yaw
