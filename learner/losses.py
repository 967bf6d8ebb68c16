"""The actor-critic loss: policy gradient, value regression, entropy."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Losses:
    """Scalars; `total` carries the gradient. `entropy` is the mean entropy of the policy in nats."""

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor


def actor_critic_loss(
    chosen: Tensor,
    entropies: Tensor,
    advantage: Tensor,
    value: Tensor,
    target: Tensor,
    value_weight: float,
    entropy_weight: float,
) -> Losses:
    """-log π(a) A + value_weight ½ (target - V)² - entropy_weight H(π), each a mean over T x B (Mnih et al. 2016).

    Args:
        chosen: [T, B] log π(a) of the actions taken.
        entropies: [T, B] H(π).
        advantage: [T, B], taken as a constant.
        value: [T, B] of the critic.
        target: [T, B], taken as a constant.
        value_weight: β_v of Wang et al. 2018.
        entropy_weight: β_e.

    Raises:
        ValueError: if the shapes do not fit.
    """
    named = (("entropies", entropies), ("advantage", advantage), ("value", value), ("target", target))
    for name, tensor in named:
        if tensor.shape != chosen.shape:
            raise ValueError(f"{name} must have the shape {tuple(chosen.shape)} of chosen, got {tuple(tensor.shape)}")
    policy = -(chosen * advantage.detach()).mean()
    regression = 0.5 * (target.detach() - value).square().mean()
    entropy = entropies.mean()
    return Losses(policy + value_weight * regression - entropy_weight * entropy, policy, regression, entropy)
