"""Training an encoder on a lesson, before an agent has it. What is trained on top of it is thrown away afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..conf.settings import Count, CountOrZero, Positive, settings
from ..models.encoders import make_encoder
from .pretrained import EncoderSpec


class NonFinitePretrainingError(RuntimeError):
    """The loss is NaN or infinite."""


@settings
class PretrainConfig:
    """Settings of the training; see `conf/pretrain.yaml`."""

    epochs: Count = 30
    batch_size: Count = 128
    learning_rate: Positive = 1e-3
    flip: bool = True
    shift: CountOrZero = 4


class Lesson(ABC):
    """What an encoder is to learn. What it draws at random, it draws from a generator of its own."""

    device: torch.device
    steps_per_epoch: int

    @abstractmethod
    def head(self, width: int) -> nn.Module:
        """What is trained on top of an encoder with so many features."""

    @abstractmethod
    def epoch(self) -> Iterator[tuple[Tensor, Any]]:
        """Observations [n, H, W, C] and what is to be told of them, once for each step."""

    @abstractmethod
    def judge(self, told: Any, truth: Any) -> tuple[Tensor, Tensor]:
        """Loss and accuracy of what the head gave."""

    @abstractmethod
    def accuracy(self, encoded: Callable[[Tensor], Tensor], head: nn.Module) -> float:
        """How well what was never trained on is told, 0 to 1."""


@dataclass(frozen=True)
class Step:
    """What one optimizer step tells."""

    step: int
    """Counted from 1."""
    loss: float
    accuracy: float
    """Of this step's batch, before the step."""


class Pretraining:
    """An encoder with a lesson's head on top, and their optimizer: Adam, with one cycle of the learning rate.

    Args:
        spec: the encoder.
        config: of the training.
        lesson: what to learn.
        seed: of the weights.
        bf16: compute the network under bfloat16 autocast.
    """

    def __init__(
        self, spec: EncoderSpec, config: PretrainConfig, lesson: Lesson, seed: int, bf16: bool = False
    ) -> None:
        self.config, self.lesson = config, lesson
        self._bf16 = bf16
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = make_encoder(spec.name, spec.obs_shape, spec.sizes).to(lesson.device)
            self.head = lesson.head(self.encoder.output_size).to(lesson.device)
        self._optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.head.parameters()], config.learning_rate)
        self.total_steps = lesson.steps_per_epoch * config.epochs
        # One step of the schedule is counted at its start.
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, config.learning_rate, total_steps=self.total_steps + 1
        )
        self.step = 0

    def run_epoch(self) -> Iterator[Step]:
        """An epoch of the lesson: one item a step.

        Raises:
            NonFinitePretrainingError: before the weights are changed.
        """
        for obs, truth in self.lesson.epoch():
            loss, right = self.lesson.judge(self.head(self._encoded(obs)), truth)
            value, accuracy = torch.stack((loss.detach(), right)).tolist()
            if not abs(value) < float("inf"):
                raise NonFinitePretrainingError(
                    f"step {self.step + 1}: the loss is {value}; lower learning_rate ({self.config.learning_rate})"
                )
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            self._schedule.step()
            self.step += 1
            yield Step(self.step, value, accuracy)

    @torch.inference_mode()
    def accuracy(self) -> float:
        """How well what was never trained on is told."""
        return self.lesson.accuracy(self._encoded, self.head)

    def _encoded(self, obs: Tensor) -> Tensor:
        with torch.autocast(obs.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            features: Tensor = self.encoder(obs)
        return features.float()
