"""The lesson of labelled pictures: to tell their classes apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pretraining import Lesson, PretrainConfig


@dataclass(frozen=True)
class Pictures:
    """N pictures with their classes, on the device."""

    pixels: Tensor
    """[N, h, w, C] uint8"""
    labels: Tensor
    """[N] int64"""


def augmented(pixels: Tensor, index: Tensor, flip: bool, shift: int, generator: torch.Generator) -> Tensor:
    """The pictures [n, h, w, C] of `index` [n], each shifted by up to `shift` pixels and mirrored or not.

    What a shift uncovers repeats the picture's edge.
    """
    height, width, device = pixels.shape[1], pixels.shape[2], pixels.device
    count = len(index)

    def offsets(low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (count, 1), generator=generator).to(device)

    rows = (torch.arange(height, device=device) + offsets(-shift, shift)).clamp(0, height - 1)
    columns = (torch.arange(width, device=device) + offsets(-shift, shift)).clamp(0, width - 1)
    if flip:
        columns = torch.where(offsets(0, 1) == 1, width - 1 - columns, columns)
    return pixels[index[:, None, None], rows[:, :, None], columns[:, None, :]]


def resized(pixels: Tensor, height: int, width: int) -> Tensor:
    """Pictures [n, h, w, C] uint8 as [n, height, width, C] in 0..1 (bilinear)."""
    scaled = pixels.permute(0, 3, 1, 2).float() / 255
    if scaled.shape[2:] != (height, width):
        scaled = F.interpolate(scaled, (height, width), mode="bilinear", antialias=height < scaled.shape[2])
    return scaled.permute(0, 2, 3, 1)


class Classes(Lesson):
    """Pictures of some classes, moved and mirrored, with a linear classifier.

    Args:
        train: the pictures to learn.
        test: those that tell how well it went.
        classes: how many classes there are.
        size: height and width that the pictures are resized to.
        config: of the training.
        seed: of the order and what is drawn for each picture.
    """

    def __init__(
        self, train: Pictures, test: Pictures, classes: int, size: tuple[int, int], config: PretrainConfig, seed: int
    ) -> None:
        self.device = train.pixels.device
        self.steps_per_epoch = -(-len(train.labels) // config.batch_size)
        self._train, self._test, self._classes, self._size, self._config = train, test, classes, size, config
        self._generator = torch.Generator().manual_seed(seed)

    def head(self, width: int) -> nn.Module:  # noqa: D102  # see Lesson
        return nn.Linear(width, self._classes)

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every picture once, in random order."""
        train, config = self._train, self._config
        order = torch.randperm(len(train.labels), generator=self._generator).to(self.device)
        for index in order.split(config.batch_size):
            pixels = augmented(train.pixels, index, config.flip, config.shift, self._generator)
            yield resized(pixels, *self._size), train.labels[index]

    def judge(self, told: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        return F.cross_entropy(told, truth), (told.argmax(1) == truth).float().mean()

    def accuracy(self, encoded: Callable[[Tensor], Tensor], head: nn.Module) -> float:
        """The share of test pictures, as they are, whose class is told right."""
        right = 0
        for pixels, labels in zip(self._test.pixels.split(512), self._test.labels.split(512), strict=True):
            right += int((head(encoded(resized(pixels, *self._size))).argmax(1) == labels).sum())
        return right / len(self._test.labels)
