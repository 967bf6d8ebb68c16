"""A step of trust-region policy optimisation (Schulman et al. 2015): natural gradient, then a line search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Evaluate = Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]
"""From parameters to what is to be minimised, and to the KL divergence from the policy that played: two scalars."""


class Step(NamedTuple):
    """What a step came to."""

    parameters: list[Tensor]
    """Those that were accepted, or what they were."""
    loss_before: Tensor
    loss_after: Tensor
    kl: Tensor
    """Of the accepted parameters; 0 where none were."""
    gradient: Tensor
    """[P] of the loss, before the step."""
    backtracks: int
    """Lengths that were tried in vain."""
    residual: float
    """What conjugate gradients left of the gradient, as a share of its norm."""


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side, [P]."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], target: Tensor, steps: int, tolerance: float = 1e-10
) -> tuple[Tensor, Tensor]:
    """x with A x = target, for a symmetric positive A, and what is left of the target, both [P].

    Args:
        product: A v of a vector [P].
        target: [P]
        steps: at most.
        tolerance: of the squared residual, from which on it is good enough.
    """
    found, left = torch.zeros_like(target), target.clone()
    direction, size = left.clone(), left @ left
    for _ in range(steps):
        if size < tolerance:
            break
        image = product(direction)
        length = size / (direction @ image)
        found += length * direction
        left -= length * image
        size, before = left @ left, size
        direction = left + size / before * direction
    return found, left


def trust_region_step(
    evaluate: Evaluate,
    parameters: Sequence[Tensor],
    max_kl: float,
    damping: float,
    cg_steps: int,
    backtracks: int,
    backtrack_ratio: float,
) -> Step:
    """The longest of a few steps along the natural gradient that lowers the loss and keeps the KL below its bound.

    Args:
        evaluate: see `Evaluate`; the KL has to be twice differentiable, and 0 where the parameters are.
        parameters: that require gradients; they are not changed.
        max_kl: in nats.
        damping: added to the diagonal of the KL's Hessian.
        cg_steps: of conjugate gradients.
        backtracks: how many lengths are tried.
        backtrack_ratio: of each to the one before.
    """
    parameters = list(parameters)
    loss, kl = evaluate(parameters)
    gradient = flat(torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True))
    slope = flat(torch.autograd.grad(kl, parameters, create_graph=True, allow_unused=True, materialize_grads=True))

    def product(vector: Tensor) -> Tensor:
        parts = torch.autograd.grad(
            slope @ vector, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return flat(parts) + damping * vector

    direction, left = conjugate_gradient(product, gradient, cg_steps)
    curvature = 0.5 * (direction @ (gradient - left))  # what is not left of the gradient is A x
    before, nothing = loss.detach(), torch.zeros_like(loss.detach())
    residual = float(left.norm() / gradient.norm().clamp_min(1e-30))
    unchanged = [parameter.detach() for parameter in parameters]
    if not curvature > 0 or not torch.isfinite(direction).all():
        return Step(unchanged, before, before, nothing, gradient, 0, residual)
    full = (max_kl / curvature).sqrt() * direction
    sizes = [parameter.numel() for parameter in parameters]
    with torch.no_grad():
        for tried in range(backtracks):
            moves = (backtrack_ratio**tried * full).split(sizes)
            moved = [old - move.view_as(old) for old, move in zip(unchanged, moves, strict=True)]
            after, distance = evaluate(moved)
            if after < before and distance < max_kl:
                return Step(moved, before, after, distance, gradient, tried, residual)
    return Step(unchanged, before, before, nothing, gradient, backtracks, residual)
