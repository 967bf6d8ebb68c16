"""A lesson of views of PsychLab's screen that is told nothing about them: no pictures, no displays, no sides.

An agent knows where it has turned its gaze, and that what lies left and right of it may change places. From views alone
and from the turns between them an encoder can learn (contrastive, van den Oord et al. 2018):

- *Two gazes, one moment.* The code of what is on the left (three eighths of the features), and that of what is on the
  right (as many), are the same before and after a turn, and others at other moments.
- *Sides swapped.* In a view from near the cross, the two stretches beside the middle change places, and one of them
  comes from another moment: the code of the left is now that of the other one's right, and the code of the right that
  of its own left. So each depends on its side alone, and a thing has one code on both.
- *Where the gaze is*: the rest of the features tell the turn from one view to the other, and what is in the middle, in
  few pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...envs.psychlab.glimpses import WIDE
from ...envs.psychlab.options import PsychLabSettings
from .screen_lesson import SHARPNESS, WEIGHT_REST, ScreenLesson, codes, normalised

STRETCH = 3
"""What is swapped is this fraction of the view's width, on either side of its middle."""
FOVEA, FOVEA_PIXELS = 7, 6
"""The middle is this fraction of the view's sides, and is told in so many pixels each way."""


class Told(NamedTuple):
    """What the head gives of 3n views: n, n of another gaze, n with sides swapped."""

    left: Tensor
    right: Tensor
    """[3n, 3/8 F] of length 1."""
    yaw: Tensor
    """[3n]"""
    fovea: Tensor
    """[3n, pixels]"""


class Seen(NamedTuple):
    """What is known of n moments without being told."""

    turn: Tensor
    """[n] from the first gaze to the other one, in units of the widest."""
    fovea: Tensor
    """[n, pixels] of the first view, 0..1."""
    other: Tensor
    """[n] int64, whose right side is on the left of a swapped view."""


class Head(nn.Module):
    """Codes, and linear readings of the rest."""

    def __init__(self, width: int) -> None:
        super().__init__()
        rest = width - 2 * (3 * width // 8)
        self.rest = rest
        self.yaw, self.fovea = nn.Linear(rest, 1), nn.Linear(rest, 3 * FOVEA_PIXELS**2)

    def forward(self, features: Tensor) -> Told:
        """[3n, F] -> what it gives."""
        features = normalised(features)
        rest = features[:, -self.rest :]
        return Told(*codes(features), self.yaw(rest).squeeze(1), self.fovea(rest))


def swapped(obs: Tensor, other: Tensor) -> Tensor:
    """Views [n, H, W, 3] whose own left stretch is on the right, and the right one of views `other` [n] on the left."""
    width, middle = obs.shape[2] // STRETCH, obs.shape[2] // 2
    left, right = slice(middle - width, middle), slice(middle, middle + width)
    made = obs.clone()
    made[:, :, left], made[:, :, right] = obs[other][:, :, right], obs[:, :, left]
    return made


class ViewLesson(ScreenLesson):
    """See the module's text; tested as `ScreenLesson` is, which knows the truth.

    Args:
        settings: of the task; its split is not looked at.
        batch_size: moments of a step, each in three views.
        device: where they are drawn.
        seed: of what is drawn.
    """

    wide = 0.0

    def __init__(self, settings: PsychLabSettings, batch_size: int, device: torch.device, seed: int) -> None:
        super().__init__(settings, batch_size, device, seed)
        self._generator = torch.Generator().manual_seed(seed)

    def _head(self, width: int) -> nn.Module:
        return Head(width)

    def epoch(self) -> Iterator[tuple[Tensor, Any]]:
        """As many steps as an epoch of `ScreenLesson` has."""
        for _ in range(self.steps_per_epoch):
            view = self._train.draw()
            elsewhere, yaw = self._train.look_elsewhere()
            other = torch.randperm(len(yaw), generator=self._generator).to(self.device)
            side = view.obs.shape[1]
            near = slice(side // 2 - side // FOVEA // 2, side // 2 - side // FOVEA // 2 + side // FOVEA)
            middle = view.obs[:, near, near].movedim(-1, 1).float() / 255
            fovea = F.adaptive_avg_pool2d(middle, FOVEA_PIXELS).flatten(1)
            obs = torch.cat((view.obs, elsewhere, swapped(view.obs, other)))
            yield obs, Seen((yaw - view.yaw) / WIDE, fovea, other)

    def judge(self, told: Any, truth: Any) -> tuple[Tensor, Tensor]:
        """The accuracy is how often a swapped side is known among all of the batch."""
        (left, left_there, left_swapped), (right, right_there, right_swapped) = told.left.chunk(3), told.right.chunk(3)
        itself = torch.arange(len(left), device=left.device)
        questions = ((left_there, left, itself), (right_there, right, itself))
        exchanged = ((left_swapped, right, truth.other), (right_swapped, left, itself))
        logits = [SHARPNESS * asked @ known.t() for asked, known, _ in (*questions, *exchanged)]
        answers = [answer for *_, answer in (*questions, *exchanged)]
        contrast = torch.stack([F.cross_entropy(*pair) for pair in zip(logits, answers, strict=True)]).sum()
        yaw, there, _ = told.yaw.chunk(3)
        rest = F.mse_loss(there - yaw, truth.turn) + F.mse_loss(told.fovea.chunk(3)[0], truth.fovea)
        known = [
            (made.argmax(1) == answer).float().mean() for made, answer in zip(logits[2:], answers[2:], strict=True)
        ]
        return contrast + WEIGHT_REST * rest, torch.stack(known).mean()
