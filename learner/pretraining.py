"""Training an encoder to tell classes of pictures apart, with a linear classifier that is thrown away afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.encoders import make_encoder
from .pretrained import EncoderSpec


class NonFinitePretrainingError(RuntimeError):
    """The loss is NaN or infinite."""


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of the training; see `conf/pretrain.yaml`.

    Raises:
        ValueError: for a value that cannot be.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    flip: bool = True
    shift: int = 4

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.learning_rate <= 0 or self.shift < 0:
            raise ValueError("epochs and batch_size must be at least 1, learning_rate above 0, shift at least 0")


@dataclass(frozen=True)
class Pictures:
    """N pictures with their classes, on the device."""

    pixels: Tensor
    """[N, h, w, C] uint8"""
    labels: Tensor
    """[N] int64"""


@dataclass(frozen=True)
class Step:
    """What one optimizer step tells."""

    step: int
    """Counted from 1."""
    loss: float
    accuracy: float
    """Of this step's batch, before the step."""


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


class Pretraining:
    """An encoder with a classifier on top, and its optimizer: Adam, with one cycle of the learning rate.

    Args:
        spec: the encoder; pictures are resized to its observations.
        config: of the training.
        train: the pictures to learn.
        classes: how many classes there are.
        seed: of the weights, the order and the augmentation.
        bf16: compute the network under bfloat16 autocast.
    """

    def __init__(
        self, spec: EncoderSpec, config: PretrainConfig, train: Pictures, classes: int, seed: int, bf16: bool = False
    ) -> None:
        self.config = config
        self._spec, self._train, self._bf16 = spec, train, bf16
        device = train.pixels.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = make_encoder(spec.name, spec.obs_shape, spec.sizes).to(device)
            self.classifier = nn.Linear(self.encoder.output_size, classes).to(device)
        self._parameters = [*self.encoder.parameters(), *self.classifier.parameters()]
        self._optimizer = torch.optim.Adam(self._parameters, config.learning_rate)
        self.steps_per_epoch = -(-len(train.labels) // config.batch_size)
        self.total_steps = self.steps_per_epoch * config.epochs
        # One step of the schedule is counted at its start.
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, config.learning_rate, total_steps=self.total_steps + 1
        )
        self._generator = torch.Generator().manual_seed(seed)
        self.step = 0

    def run_epoch(self) -> Iterator[Step]:
        """Every picture once, in random order: one item a step.

        Raises:
            NonFinitePretrainingError: before the weights are changed.
        """
        config, train = self.config, self._train
        order = torch.randperm(len(train.labels), generator=self._generator).to(train.labels.device)
        for index in order.split(config.batch_size):
            pixels = augmented(train.pixels, index, config.flip, config.shift, self._generator)
            labels = train.labels[index]
            logits = self._logits(pixels)
            loss = F.cross_entropy(logits, labels)
            value, accuracy = torch.stack((loss.detach(), (logits.argmax(1) == labels).float().mean())).tolist()
            if not abs(value) < float("inf"):
                raise NonFinitePretrainingError(
                    f"step {self.step + 1}: the loss is {value}; lower learning_rate ({config.learning_rate})"
                )
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            self._schedule.step()
            self.step += 1
            yield Step(self.step, value, accuracy)

    @torch.inference_mode()
    def accuracy(self, pictures: Pictures) -> float:
        """The share of pictures, as they are, whose class is told right."""
        right = 0
        for pixels, labels in zip(pictures.pixels.split(512), pictures.labels.split(512), strict=True):
            right += int((self._logits(pixels).argmax(1) == labels).sum())
        return right / len(pictures.labels)

    def _logits(self, pixels: Tensor) -> Tensor:
        height, width, _ = self._spec.obs_shape
        with torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            logits: Tensor = self.classifier(self.encoder(resized(pixels, height, width)))
        return logits.float()
