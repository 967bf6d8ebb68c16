"""Value targets and advantages: V-trace, GAE, n-step, TD(0). Pure functions of time-major tensors [T, B].

Called by the learner once an update. All of them take the same five tensors of one shape, and raise `ValueError` for
shapes that differ and `TypeError` for a `continues` that is not boolean. Episodes may end anywhere inside, by the
conventions of the trajectory:

- `reward` r_t.
- `discount` γ_t: the discount, 0 only where the episode truly terminated in step t.
- `value` V(x_t).
- `next_value` V of what followed step t: V(x_{t+1}), or V of the episode's real last observation where it was cut off,
  or the bootstrap value in the last step of the unroll.
- `continues`: True where step t+1 belongs to the same episode. No trace crosses a place where it is False.

Results carry no gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Returns(NamedTuple):
    """Both [T, B]."""

    target: Tensor
    """What the value is regressed on."""
    advantage: Tensor
    """What weighs the policy gradient."""


class VTrace(NamedTuple):
    """All [T, B]."""

    target: Tensor
    """v_t of Espeholt et al. 2018, equation 1."""
    advantage: Tensor
    """ρ_t (r_t + γ_t v_{t+1} - V(x_t)), section 4.2 of the same; ρ_t clipped at `pg_rho_clip`."""
    rho: Tensor
    """Importance weights, clipped at `rho_clip`."""


def _check(continues: Tensor, **tensors: Tensor) -> None:
    """One shape [T, B], T > 0: broadcasting would turn a wrong shape into wrong numbers without a word."""
    shapes = {name: tuple(tensor.shape) for name, tensor in (*tensors.items(), ("continues", continues))}
    if len(set(shapes.values())) > 1 or continues.ndim != 2 or not len(continues):
        raise ValueError(f"returns need tensors of one shape [T, B] with T > 0, got {shapes}")
    if continues.dtype != torch.bool:
        raise TypeError(f"continues must be boolean, got {continues.dtype}")


def _backward_sum(delta: Tensor, decay: Tensor) -> Tensor:
    """x_t = delta_t + decay_t x_{t+1}, with x_T = 0."""
    result = torch.empty_like(delta)
    total = torch.zeros_like(delta[0])
    rows = zip(delta.unbind(), decay.unbind(), result.unbind(), strict=True)
    for delta_t, decay_t, out in reversed(list(rows)):
        torch.addcmul(delta_t, decay_t, total, out=out)
        total = out
    return result


@torch.no_grad()
def vtrace(
    log_rho: Tensor,
    reward: Tensor,
    discount: Tensor,
    value: Tensor,
    next_value: Tensor,
    continues: Tensor,
    lambda_: float = 1.0,
    rho_clip: float = 1.0,
    c_clip: float = 1.0,
    pg_rho_clip: float = 1.0,
) -> VTrace:
    """V-trace (Espeholt et al. 2018, equation 1; λ as in remark 2, where it scales the trace coefficients only).

    Args:
        log_rho: log π(a_t|x_t) - log μ(a_t|x_t), [T, B].
        reward: see the module's text, as are the next four.
        discount: [T, B].
        value: [T, B].
        next_value: [T, B].
        continues: [T, B] bool.
        lambda_: 1 for long traces, 0 for one step.
        rho_clip: bound of the weight of each temporal difference; decides which policy is evaluated.
        c_clip: bound of the trace coefficients; decides how fast.
        pg_rho_clip: bound of the weight of each policy gradient.
    """
    _check(continues, log_rho=log_rho, reward=reward, discount=discount, value=value, next_value=next_value)
    ratio = log_rho.exp()
    rho = ratio.clamp(max=rho_clip)
    trace = lambda_ * ratio.clamp(max=c_clip) * continues
    delta = reward + discount * next_value - value
    correction = _backward_sum(rho * delta, discount * trace)
    # v_{t+1} - V(x_{t+1}); nothing where what follows is another episode, or lies beyond the unroll.
    following = torch.cat((correction[1:], torch.zeros_like(correction[:1]))) * continues
    advantage = ratio.clamp(max=pg_rho_clip) * (delta + discount * following)
    return VTrace(value + correction, advantage, rho)


@torch.no_grad()
def generalized_advantage(
    reward: Tensor, discount: Tensor, value: Tensor, next_value: Tensor, continues: Tensor, lambda_: float = 1.0
) -> Returns:
    """GAE (Schulman et al. 2016, equation 16).

    λ = 1 is the n-step return bootstrapped at the end of the unroll (A3C), λ = 0 is TD(0).
    """
    _check(continues, reward=reward, discount=discount, value=value, next_value=next_value)
    advantage = _backward_sum(reward + discount * next_value - value, lambda_ * discount * continues)
    return Returns(value + advantage, advantage)


@torch.no_grad()
def n_step(reward: Tensor, discount: Tensor, value: Tensor, next_value: Tensor, continues: Tensor, n: int) -> Returns:
    """n rewards and a bootstrap value; fewer rewards where the episode or the unroll ends before.

    Takes n passes over [T, B], so for n near T `generalized_advantage` with λ = 1 is the cheaper one.

    Raises:
        ValueError: if n < 1.
    """
    _check(continues, reward=reward, discount=discount, value=value, next_value=next_value)
    if n < 1:
        raise ValueError(f"an n-step return needs n >= 1, got {n}")
    delta = reward + discount * next_value - value
    decay = discount * continues
    # The n-step advantage is a sum of n temporal differences; this adds them one distance at a time.
    advantage = torch.zeros_like(delta)
    for _ in range(min(n, len(delta))):
        following = torch.cat((advantage[1:], torch.zeros_like(advantage[:1])))
        advantage = delta + decay * following
    return Returns(value + advantage, advantage)
