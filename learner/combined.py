"""Gradients that actors computed, as the gradient of one update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..replay.gradient import Gradient


@dataclass(frozen=True)
class Combined:
    """The mean over all steps of several unrolls: what a batch that joined them would give."""

    gradient: Tensor
    """[P] on the learner's device."""
    metrics: Mapping[str, float]
    fresh_env_steps: int
    params_versions: tuple[int, ...]
    """Version of the parameters of each unroll."""


def combine(gradients: Sequence[Gradient], device: torch.device) -> Combined:
    """Weighed by the environment steps behind each; the same sum whenever they come in the same order.

    Raises:
        ValueError: if they are of different networks, or there are none.
    """
    sizes = {gradient.vector.shape for gradient in gradients}
    if len(sizes) != 1:
        raise ValueError(f"gradients of one update must be of one network, got the shapes {sorted(sizes) or 'none'}")
    env_steps = sum(gradient.env_steps for gradient in gradients)
    weights = [gradient.env_steps / env_steps for gradient in gradients]
    total = torch.zeros(gradients[0].vector.shape)
    for weight, gradient in zip(weights, gradients, strict=True):
        vector = gradient.vector  # read-only where it comes out of Ray's object store, which torch refuses to share
        total.add_(torch.from_numpy(vector if vector.flags.writeable else vector.copy()), alpha=weight)
    return Combined(
        gradient=total.to(device),
        metrics={
            name: sum(w * gradient.metrics[name] for w, gradient in zip(weights, gradients, strict=True))
            for name in gradients[0].metrics
        },
        fresh_env_steps=env_steps,
        params_versions=tuple(gradient.params_version for gradient in gradients),
    )
