"""RMSprop and Adam, with their state by name.

The formulas of `torch.optim` in the same order, with the same numbers. But the first optimizer of `torch.optim` that a
process makes imports torch's compiler, which nothing here uses: seconds of every learner's start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from .algorithm import OptimizerConfig


class Optimizer(Protocol):
    """Changes parameters by their gradients, in place."""

    slots: Mapping[str, list[Tensor]]
    """What is kept of each parameter, by name: one tensor a parameter."""

    def step(self, learning_rate: float) -> None:
        """One step down the gradient, which is 0 for a parameter that has none."""


class RMSprop:
    """Gradients over the root of their mean square so far (Tieleman and Hinton 2012).

    Args:
        parameters: to change.
        alpha: of the mean square, how much of it stays in a step.
        eps: added to the root.
    """

    def __init__(self, parameters: Iterable[Tensor], alpha: float, eps: float) -> None:
        self._parameters = list(parameters)
        self._alpha, self._eps = alpha, eps
        self._square = [torch.zeros_like(parameter) for parameter in self._parameters]
        self.slots: Mapping[str, list[Tensor]] = {"square_avg": self._square}

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """See `Optimizer`."""
        gradients = _gradients(self._parameters)
        torch._foreach_mul_(self._square, self._alpha)
        torch._foreach_addcmul_(self._square, gradients, gradients, value=1 - self._alpha)
        root = torch._foreach_sqrt(self._square)
        torch._foreach_add_(root, self._eps)
        torch._foreach_addcdiv_(self._parameters, gradients, root, value=-learning_rate)


class Adam:
    """Mean gradients over the root of their mean square, both without their bias to zero (Kingma and Ba 2015).

    Args:
        parameters: to change.
        betas: of the mean and of the mean square, how much of it stays in a step.
        eps: added to the root.
    """

    def __init__(self, parameters: Iterable[Tensor], betas: tuple[float, float], eps: float) -> None:
        self._parameters = list(parameters)
        self._betas, self._eps = betas, eps
        self._mean = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._square = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._steps = [torch.zeros(()) for _ in self._parameters]
        self.slots: Mapping[str, list[Tensor]] = {
            "exp_avg": self._mean,
            "exp_avg_sq": self._square,
            "step": self._steps,
        }

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """See `Optimizer`."""
        gradients = _gradients(self._parameters)
        torch._foreach_add_(self._steps, 1.0)
        taken = [float(steps) for steps in self._steps]  # they differ where a part of the network is new
        one, two = self._betas
        torch._foreach_lerp_(self._mean, gradients, 1 - one)
        torch._foreach_mul_(self._square, two)
        torch._foreach_addcmul_(self._square, gradients, gradients, value=1 - two)
        root = torch._foreach_sqrt(self._square)
        torch._foreach_div_(root, [(1 - two**steps) ** 0.5 for steps in taken])
        torch._foreach_add_(root, self._eps)
        torch._foreach_addcdiv_(self._parameters, self._mean, root, [-learning_rate / (1 - one**s) for s in taken])


def make_optimizer(config: OptimizerConfig, parameters: Iterable[Tensor]) -> Optimizer:
    """The optimizer that the settings name."""
    if config.name == "adam":
        return Adam(parameters, config.betas, config.eps)
    return RMSprop(parameters, config.alpha, config.eps)


def restore(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Take over what was kept, by `<index of the parameter>.<slot>`; what is not among it stays as it is."""
    for name, kept in optimizer.slots.items():
        for index, tensor in enumerate(kept):
            if (saved := tensors.get(f"{index}.{name}")) is not None:
                tensor.copy_(saved)


def _gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
