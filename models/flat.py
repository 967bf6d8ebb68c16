"""All parameters of a module as one flat float32 vector: the form in which they are broadcast.

An array on the host, to be sent anywhere; or, for who acts in the learner's process, a tensor that stays on its device.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Vector = NDArray[np.float32]


class Published(NamedTuple):
    """Parameters and the version that they are; the two never travel apart."""

    version: int
    """Updates that made them."""
    vector: Vector
    """[P]"""
    env_steps: int
    """Environment steps trained on until then, by which schedules go."""


def to_tensor(parameters: Iterable[Tensor]) -> Tensor:
    """A copy of all parameters (or gradients), in order, as one tensor [P] where they are."""
    with torch.no_grad():
        return torch.cat([p.detach().flatten() for p in parameters]).float()


def to_vector(parameters: Iterable[Tensor]) -> Vector:
    """A copy of all parameters, in order, as one array [P] on the host."""
    vector: Vector = to_tensor(parameters).cpu().numpy()
    return vector


def load_vector(vector: Vector | Tensor, parameters: Iterable[nn.Parameter]) -> None:
    """Copy `vector` [P] into the parameters, in order.

    Raises:
        ValueError: if the sizes do not match.
    """
    targets = list(parameters)
    expected = sum(p.numel() for p in targets)
    if vector.shape != (expected,):
        raise ValueError(f"the agent has {expected} parameters, the broadcast vector has shape {vector.shape}")
    with torch.no_grad():
        if not isinstance(vector, Tensor):  # a copy: arrays from Ray are read-only
            vector = torch.from_numpy(np.array(vector, dtype=np.float32))
        for target, part in zip(targets, vector.split([p.numel() for p in targets]), strict=True):
            target.copy_(part.view_as(target))
