"""What goes on inside of a core, step by step: for recordings, not for learning."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from .core import HIDDEN, Core, Inputs, State


def internals(core: Core, inputs: Inputs, first: Tensor, state: State) -> dict[str, Tensor]:
    """Everything that T steps show (`Core.step_through`), by name, [T, B, H] each.

    Args:
        core: computes.
        inputs: [T, B, ...].
        first: [T, B] bool; where it is True the state is reset before the step.
        state: before step 0, each component [B, H].
    """
    shown: dict[str, list[Tensor]] = {}

    def look(name: str, value: Tensor) -> Tensor:
        shown.setdefault(name, []).append(value)
        return value

    for t, starts in enumerate(first.unbind()):
        step = Inputs(*(part[t] for part in inputs))
        _, state = core.step_through(step, core.reset(state, starts), look)
    return {name: torch.stack(steps) for name, steps in reversed(shown.items())}


def output_name(core: Core) -> str:
    """Which of `Core.inner` the heads read: the activity of the last layer."""
    return next(name for name in reversed(core.inner) if re.fullmatch(rf"{HIDDEN}(_\d+)?", name))
