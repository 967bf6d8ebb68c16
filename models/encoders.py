"""Encoders: observation [N, ...] -> features [N, F]."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .pixels import Conv, ResNet


class Flatten(nn.Module):
    """No encoder: the observation itself, as one float vector."""

    def __init__(self, obs_shape: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        if sizes:
            raise ValueError("encoder 'none' has no layers: leave model.encoder_sizes empty or choose encoder 'mlp'")
        self.output_size = math.prod(obs_shape)

    def forward(self, obs: Tensor) -> Tensor:
        """[N, ...] -> [N, F]."""
        return obs.flatten(1).to(torch.get_default_dtype())


class MLP(nn.Module):
    """Fully connected layers with ReLU, such as 9-64-128 in one-dimensional Harlow."""

    def __init__(self, obs_shape: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        if not sizes:
            raise ValueError("encoder 'mlp' needs at least one layer: model.encoder_sizes=[64,128]")
        widths = [math.prod(obs_shape), *sizes]
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.output_size = widths[-1]

    def forward(self, obs: Tensor) -> Tensor:
        """[N, ...] -> [N, F]."""
        features: Tensor = self.layers(obs.flatten(1).to(torch.get_default_dtype()))
        return features


Encoder = Flatten | MLP | Conv | ResNet
EncoderName = Literal["none", "mlp", "conv", "resnet"]

ENCODERS: dict[EncoderName, Callable[[Sequence[int], Sequence[int]], Encoder]] = {
    "none": Flatten,
    "mlp": MLP,
    "conv": Conv,
    "resnet": ResNet,
}


def make_encoder(name: EncoderName, obs_shape: Sequence[int], sizes: Sequence[int]) -> Encoder:
    """The encoder called `name`; `sizes` as in `model.encoder_sizes`.

    Raises:
        ValueError: for sizes that do not fit the observations.
    """
    return ENCODERS[name](obs_shape, sizes)
