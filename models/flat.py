"""All parameters of a module as one flat float32 vector: the form in which they are broadcast."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Vector = NDArray[np.float32]


def to_vector(parameters: Iterable[nn.Parameter]) -> Vector:
    """A copy of all parameters, in order, as one array [P] on the host."""
    with torch.no_grad():
        vector: Vector = torch.cat([p.detach().flatten() for p in parameters]).float().cpu().numpy()
    return vector


def load_vector(vector: Vector, parameters: Iterable[nn.Parameter]) -> None:
    """Copy `vector` [P] into the parameters, in order.

    Raises:
        ValueError: if the sizes do not match.
    """
    targets = list(parameters)
    expected = sum(p.numel() for p in targets)
    if vector.shape != (expected,):
        raise ValueError(f"the agent has {expected} parameters, the broadcast vector has shape {vector.shape}")
    with torch.no_grad():
        source = torch.from_numpy(np.array(vector, dtype=np.float32))  # a copy: arrays from Ray are read-only
        for target, part in zip(targets, source.split([p.numel() for p in targets]), strict=True):
            target.copy_(part.view_as(target))
