"""A step of trust-region policy optimisation (Schulman et al. 2015): natural gradient, then a line search.

The KL divergence depends on the parameters through the policy P. Where the step begins it is 0, its least value. There
its Hessian is Jᵀ F J, with the Jacobian J of P and the Hessian F of the divergence in P alone: two products with J in
the place of a second derivative of everything that P is computed by, steps of adaptation included. A part of the data
is enough for it (Schulman et al. 2015, appendix C): the gradient and the line search are of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Evaluate = Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]
"""From parameters to what is to be minimised, a scalar, and to the policy, a tensor of any shape."""

Divergence = Callable[[Tensor, Tensor], Tensor]
"""From a policy and the one that played to the KL divergence of the first from the second, a scalar."""


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
    divergence: Divergence,
    parameters: Sequence[Tensor],
    max_kl: float,
    damping: float,
    cg_steps: int,
    backtracks: int,
    backtrack_ratio: float,
    sampled: Callable[[Sequence[Tensor]], Tensor] | None = None,
) -> Step:
    """The longest of a few steps along the natural gradient that lowers the loss and keeps the KL below its bound.

    Args:
        evaluate: see `Evaluate`; has to be differentiable twice.
        divergence: see `Divergence`; 0, and twice differentiable, where its arguments are the same.
        parameters: that require gradients; they are not changed.
        max_kl: in nats.
        damping: added to the diagonal of the KL's Hessian.
        cg_steps: of conjugate gradients.
        backtracks: how many lengths are tried.
        backtrack_ratio: of each to the one before.
        sampled: from parameters to the policy in the part of the data that the Hessian is measured in; None: in all.
    """
    parameters = list(parameters)
    loss, policy = evaluate(parameters)
    gradient = flat(_gradients(loss, parameters))
    played = policy.detach()
    product = _hessian_product(policy if sampled is None else sampled(parameters), divergence, parameters, damping)
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
            after, there = evaluate(moved)
            distance = divergence(there, played)
            if after < before and distance < max_kl:
                return Step(moved, before, after, distance, gradient, tried, residual)
    return Step(unchanged, before, before, nothing, gradient, backtracks, residual)


def _gradients(
    outputs: Tensor, inputs: Sequence[Tensor], weights: Tensor | None = None, create_graph: bool = False
) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = torch.autograd.grad(
        outputs,
        inputs,
        weights,
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    return found


def _hessian_product(
    policy: Tensor, divergence: Divergence, parameters: Sequence[Tensor], damping: float
) -> Callable[[Tensor], Tensor]:
    """v -> Jᵀ F J v + damping v (see the module's text), for vectors [P]."""
    here = policy.detach().requires_grad_()
    (slope,) = torch.autograd.grad(divergence(here, policy.detach()), here, create_graph=True)
    # Jᵀ w is linear in w, whatever w is, and its derivative by w along v is J v.
    weights = torch.zeros_like(policy).requires_grad_()
    pulled = flat(_gradients(policy, parameters, weights, create_graph=True))

    def product(vector: Tensor) -> Tensor:
        (pushed,) = _gradients(pulled, [weights], vector)
        (curved,) = _gradients(slope, [here], pushed)
        return flat(_gradients(policy, parameters, curved)) + damping * vector

    return product
