"""How far two ways to compute the same network may differ, for tests of identities.

An identity (step == unroll, replay == acting, gradients of the unroll == gradients of the steps) is exact in exact
arithmetic. Tests check it in float64, to `IDENTITY`, where an error of the code shows, and in float32 against
`round_off`, where a computation that is silently made in less precision shows.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator

import torch
from prefrontal.learner.batch import Batch
from prefrontal.models.agent import Agent
from torch import Tensor, nn

IDENTITY = 1e-10
"""In float64, u = 1.1e-16: sums of 10^2 terms of size 10 over 10^2 steps stay below it by a factor of ten."""


@contextlib.contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """New modules and tensors, and what networks make of observations, have this type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def round_off(module: nn.Module, compute: Callable[[nn.Module], Iterable[Tensor]], draws: int = 4) -> list[float]:
    """Bounds on the difference of two evaluations of a network in float32, one for each tensor that `compute` gives.

    In whatever order a sum of n products w_i x_i is evaluated, with or without fused multiply-add, the result is the
    exact one of weights w_i (1 + e_i), |e_i| <= gamma_n = n u / (1 - n u), u = 2^-24 (Higham 2002, equation 3.4). What
    the sizes of the numbers and the number of steps make of that is found by doing it: every parameter moves by
    gamma_n, up or down at random, and the largest change of the result in float64 is the bound of one evaluation; two
    of them may differ by twice as much. A parameter moves the same way in all steps of an unroll, where roundings go
    to and fro: this leaves more room than element-wise operations on the way and unlucky draws need. What is done to
    the result at the end (softmax, logarithm: less than 8 roundings) counts with its own size.

    Args:
        module: the network; it stays as it is.
        compute: called with copies in float64, while that is torch's default type.
        draws: how many times the parameters move.
    """
    generator = torch.Generator().manual_seed(0)
    with precision(torch.float64):
        reference = [tensor.detach() for tensor in compute(copy.deepcopy(module).double())]
        largest = [0.0] * len(reference)
        for _ in range(draws):
            moved = copy.deepcopy(module).double()
            with torch.no_grad():
                for parameter in moved.parameters():
                    terms = parameter[0].numel() + 1 if parameter.dim() > 1 else 1
                    gamma = terms * 2.0**-24 / (1 - terms * 2.0**-24)
                    up_or_down = 2 * torch.randint(2, parameter.shape, generator=generator) - 1
                    parameter.mul_(1 + gamma * up_or_down.to(parameter.device))
            for i, (tensor, exact) in enumerate(zip(compute(moved), reference, strict=True)):
                assert tensor.dtype == torch.float64
                largest[i] = max(largest[i], (tensor.detach() - exact).abs().max().item())
    ends = [8 * 2.0**-24 * exact.abs().max().item() for exact in reference]
    return [2 * (change + end) for change, end in zip(largest, ends, strict=True)]


def replayed(agent: Agent, batch: Batch) -> Tensor:
    """The learner's log-probabilities [T, B] of the actions that were played."""
    policy, _ = agent.unroll(batch.seen, batch.initial_state)
    return agent.policy.log_prob(policy[:-1], batch.action)


def replay_error(agent: Agent, batch: Batch) -> float:
    """How far the learner's log-probabilities lie from those of the actor, at most."""
    with torch.no_grad():
        return (replayed(agent, batch) - batch.behaviour_logp).abs().max().item()


def replay_bound(agent: Agent, batch: Batch) -> float:
    """What rounding may make of `replay_error`, with the parameters that were played with."""
    if batch.behaviour_logp.dtype == torch.float64:
        return IDENTITY
    with torch.no_grad():
        return round_off(agent, lambda moved: [replayed(moved, batch)])[0]
