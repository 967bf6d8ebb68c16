"""Everything that is recorded of the steps of an evaluation: what was seen, done and got, and what went on inside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..replay.trajectory import Array, on_host
from .evaluation import Replayed

Kind = Literal["network", "step", "task"]
"""What a variable is of: the agent's inside; what was seen, done and got; the task's truth, which no agent sees."""

MEANINGS = {
    "hidden": "hidden state after the step's input, which policy and value are read from",
    "cell": "cell state after the step's input",
    "candidate": "what the input gate (of a GRU: the update gate) lets in",
    "reinstated": "what the reinstatement gate lets in: the recalled cell state, squashed where the model does that",
    "policy": "probability of each choice, those of several components side by side",
    "policy_mean": "mean of the policy's normal distribution",
    "policy_sd": "standard deviation of the policy's normal distribution",
    "value": "V of the state that the action is chosen in",
    "rpe": "reward-prediction error of the step: reward + discount * V of what followed - value",
    "observation": "what the task showed before the action",
    "action": "the action drawn from the policy",
    "reward": "what came of the action",
    "first": "an episode starts here: the state was reset before the step",
    "prev_action": "the action before, as it was fed to the agent (-1, or 0 of a vector: none)",
    "prev_reward": "the reward before, as it was fed to the agent",
    "recalled": "the episodic memory returned something",
    "sought": "the episodic memory should hold an entry that the task calls right",
    "hit": "the first entry returned was such a one",
}
UNITS = dict.fromkeys(("value", "rpe", "reward", "prev_reward"), "reward")
"""What is not a pure number."""

RESERVED = {"episode", "step", "mask", "length", "unit", "feature", "component", "policy_choice"}
"""Names of axes and of what the file holds anyway."""


class Column(NamedTuple):
    """One variable of T steps of B episodes."""

    data: Array
    """[T, B, ...]"""
    axes: tuple[str, ...]
    """Names of the axes after the first two."""
    kind: Kind
    meaning: str = ""
    units: str = "1"

    @property
    def step_bytes(self) -> int:
        """Bytes of one step of one episode."""
        return int(np.prod(self.data.shape[2:])) * self.data.itemsize


@torch.inference_mode()
def columns_of(replayed: Replayed, observation: bool) -> dict[str, Column]:
    """Everything recorded of an unroll, by name.

    Numbers of the network are float32. Columns of the task that are called like something of the agent's get a
    `trial_` in front (`trial_reward`: of the trial, `reward`: of the step).

    Args:
        replayed: the unroll.
        observation: record what the agent was shown.
    """
    found = {name: _column(name, data, kind) for name, data, kind in _own(replayed, observation)}
    told = {key: column for key, column in replayed.unroll.info.items() if key != "first"}
    for key, column in told.items():
        name = key.replace("/", "_")
        name = f"trial_{name}" if name in found or name in RESERVED else name
        found[name] = Column(column, (), "task", MEANINGS.get(name, f"the task's {key}"))
    return found


def _own(replayed: Replayed, observation: bool) -> Iterator[tuple[str, Tensor, Kind]]:
    """What is the agent's own of the T steps: names, data [T, B, ...], kinds."""
    batch, agent = replayed.batch, replayed.agent
    length = len(batch.reward)
    judged = {**agent.policy.described(replayed.policy), "value": replayed.value, "rpe": replayed.rpe}
    seen = {"observation": batch.obs} if observation else {}
    did = {"action": batch.action, "reward": batch.reward}
    fed = {"first": batch.first, "prev_action": batch.prev_action, "prev_reward": batch.prev_reward}
    parts: tuple[tuple[Mapping[str, Tensor], Kind], ...] = (
        (replayed.internals(), "network"),
        (judged, "network"),
        ({**seen, **did, **fed}, "step"),
    )
    for part, kind in parts:
        for name, data in part.items():
            yield name, data[:length], kind


def _column(name: str, data: Tensor, kind: Kind) -> Column:
    array = on_host(data.float() if data.is_floating_point() else data)
    layer = re.search(r"_\d+$", name)
    base = name[: layer.start()] if layer else name
    meaning = MEANINGS.get(base) or f"{base.replace('_', ' ')} of each unit"
    return Column(array, _axes(name, base, array, kind), kind, meaning, UNITS.get(name, "1"))


def _axes(name: str, base: str, array: Array, kind: Kind) -> tuple[str, ...]:
    count = array.ndim - 2
    if count == 0:
        return ()
    if name == "observation":
        return ("feature",) if count == 1 else tuple(f"feature_{i}" for i in range(1, count + 1))
    if kind == "network" and not base.startswith("policy"):
        return (f"unit{name[len(base) :]}",)  # of its layer
    return ("policy_choice" if name == "policy" else "component",)


def shown_by_default(shape: tuple[Any, ...]) -> bool:
    """Whether observations of a shape are recorded unless somebody says so: all but pictures."""
    return len(shape) < 2
