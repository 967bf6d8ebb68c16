"""The lesson of PsychLab's screen: which pictures are on the left and on the right, what is shown, where the gaze is.

A picture's code is the same on either side: three eighths of the features are the left picture's, as many the right
one's, and both are compared with the same vector for each picture. They are compared by their cosine, which spreads
the codes of different pictures over all directions (Wang & Isola 2020), so that pictures that were never seen get
codes of their own. Features are normalised first, as `model.layer_norm` does it for the agent's core.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...envs.psychlab.glimpses import SHARE_WIDE, WIDE, Glimpses, GlimpseSource
from ...envs.psychlab.options import PsychLabSettings
from ...learner.pretraining import Lesson

VIEWS_OF_A_PICTURE = 64
"""In an epoch."""
_TEST_VIEWS = 1024
SHARPNESS = 20.0
"""Of the softmax over cosines."""
_FEWEST_FEATURES = 8
WEIGHT_REST = 0.5
"""Of what is shown and where the gaze is, beside the pictures."""


class Told(NamedTuple):
    """What the head tells of n views."""

    left: Tensor
    right: Tensor
    """[n, pictures] logits."""
    display: Tensor
    """[n, 3] logits."""
    yaw: Tensor
    """[n] in units of the widest."""


def normalised(features: Tensor) -> Tensor:
    """As `model.layer_norm` does it, [n, F]."""
    return F.layer_norm(features, features.shape[1:])


def codes(features: Tensor) -> tuple[Tensor, Tensor]:
    """Of the left and of the right picture, [n, 3/8 F] each, of length 1."""
    size = 3 * features.shape[1] // 8
    return F.normalize(features[:, :size], dim=1), F.normalize(features[:, size : 2 * size], dim=1)


class Head(nn.Module):
    """Tells all of a view from F features."""

    def __init__(self, width: int, pictures: int) -> None:
        super().__init__()
        self.pictures = nn.Parameter(torch.randn(pictures, 3 * width // 8))
        self.display, self.yaw = nn.Linear(width, 3), nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Told:
        """[n, F] -> what it tells."""
        features = normalised(features)
        known = SHARPNESS * F.normalize(self.pictures, dim=1).t()
        left, right = codes(features)
        return Told(left @ known, right @ known, self.display(features), self.yaw(features).squeeze(1))


class ScreenLesson(Lesson):
    """Views of the training pictures; tested on pictures that are held out.

    Args:
        settings: of the task; its split is not looked at.
        batch_size: views of a step.
        device: where they are drawn.
        seed: of what is drawn.

    Raises:
        ValueError: as `images.Pictures`.
    """

    wide = SHARE_WIDE
    """Share of views in training from anywhere; the others are from near the cross."""

    def __init__(self, settings: PsychLabSettings, batch_size: int, device: torch.device, seed: int) -> None:
        self.device = device
        self._train = GlimpseSource(dataclasses.replace(settings, split="train"), batch_size, device, seed, self.wide)
        test = GlimpseSource(dataclasses.replace(settings, split="test"), _TEST_VIEWS, device, seed)
        self._test = test.draw()
        self.pictures, self.held_out = self._train.pictures, test.pictures
        self.steps_per_epoch = -(-self.pictures * VIEWS_OF_A_PICTURE // batch_size)

    def head(self, width: int) -> nn.Module:
        """See `Lesson.head`.

        Raises:
            ValueError: if the features are too few to be shared out.
        """
        if width < _FEWEST_FEATURES:
            raise ValueError(
                f"data=screen shares the encoder's features out to two pictures and the rest: at least "
                f"{_FEWEST_FEATURES} are needed, encoder_sizes ends in {width}"
            )
        return self._head(width)

    def _head(self, width: int) -> nn.Module:
        return Head(width, self.pictures)

    def epoch(self) -> Iterator[tuple[Tensor, Glimpses]]:
        """Each picture in about as many views."""
        for _ in range(self.steps_per_epoch):
            view = self._train.draw()
            yield view.obs, view

    def judge(self, told: Told, truth: Glimpses) -> tuple[Tensor, Tensor]:
        """The accuracy is that of the pictures, where they are seen."""
        rows = truth.of_pictures
        sides = ((told.left[rows], truth.left[rows]), (told.right[rows], truth.right[rows]))
        count = rows.sum().clamp(min=1)
        pictures = sum(F.cross_entropy(logits, picture, reduction="sum") for logits, picture in sides) / count
        rest = F.cross_entropy(told.display, truth.display) + F.mse_loss(told.yaw, truth.yaw / WIDE)
        right = sum((logits.argmax(1) == picture).sum() for logits, picture in sides) / (2 * count)
        return pictures + WEIGHT_REST * rest, right

    def accuracy(self, encoded: Callable[[Tensor], Tensor], head: nn.Module) -> float:  # noqa: ARG002
        """Of held-out pictures on the left, the share whose code is nearest to that of the same one on the right."""
        view, rows = self._test, self._test.of_pictures
        features = normalised(torch.cat([encoded(obs) for obs in view.obs[rows].split(256)]))
        left, right = codes(features - features.mean(0))
        nearest = view.right[rows][(left @ right.t()).argmax(1)]
        return float((nearest == view.left[rows]).float().mean())
