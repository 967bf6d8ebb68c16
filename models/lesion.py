"""Lesions of a trained agent: reinstatement gates of chosen units held at 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .agent import Agent
from .ep_lstm import GATES, EpLSTM

CLOSED = -1e4
"""Bias under which a sigmoid is exactly 0 in float32."""


def close_gates(agent: Agent, units: Sequence[int]) -> None:
    """Hold the reinstatement gates of `units` at 0, for good: what is recalled no longer reaches their cells.

    Raises:
        ValueError: for an agent without such gates, or a unit that it does not have.
    """
    core = agent.core
    if not isinstance(core, EpLSTM) or not agent.has_memory:
        raise ValueError(f"the agent '{agent.spec.model.agent_name}' has no reinstatement gates to close")
    if unknown := [unit for unit in units if not 0 <= unit < core.output_size]:
        raise ValueError(f"there is no unit {unknown[0]}; the units are 0 to {core.output_size - 1}")
    rows = torch.tensor(list(units), dtype=torch.long) + GATES.index("reinstatement") * core.output_size
    with torch.no_grad():
        core.w_input[rows] = 0
        core.w_hidden[rows] = 0
        core.bias[rows] = CLOSED
