"""The trajectory: the one record that crosses from actors to the learner.

T is the length of the unroll, B the number of episodes side by side. Index t of `obs`, `first`, `prev_action` and
`prev_reward` is what the agent knew *before* action t; `action`, `reward` and `discount` of index t are what it did
and what came of it. Entry T of the former is the start of the next unroll, from which the learner bootstraps.

What is played on the host is recorded as NumPy arrays; what is played on the learner's device, as tensors that lie
there already. A trajectory is of one kind throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Data = Array | Tensor

NO_ACTION = -1
"""A discrete `prev_action` at the first step of an episode; the agent sees a zero vector. That of a `Box` is zeros."""


@dataclass(frozen=True)
class LastSteps:
    """The real last observations of K episodes that were cut off (truncated) inside an unroll.

    Autoreset puts the next episode's first observation in their place, so that the learner could not know the value
    of what was cut off; with these it evaluates it: one step of the core from `state`.
    """

    time: Data
    """[K] the step t after which the episode was cut."""
    row: Data
    """[K] its row b."""
    obs: Data
    """[K, ...] the last observation."""
    state: tuple[Data, ...]
    """Recurrent state after step t, one [K, H] a component."""
    recall: tuple[Data, ...] = ()
    """What the episodic memory returned there, as in `Trajectory.recall` with a leading axis K."""


@dataclass(frozen=True)
class Trajectory:
    """T steps of B episodes, time-major."""

    obs: Data
    """[T+1, B, ...]"""
    first: Data
    """[T+1, B] bool; True where an episode starts: state, previous action and reward are reset *before* this step."""
    prev_action: Data
    """[T+1, B, ...] as `action`; NO_ACTION, of a `Box` 0, where `first`."""
    prev_reward: Data
    """[T+1, B] float32; 0 where `first`."""
    action: Data
    """[T, B] int64; of K choices at once [T, B, K]; of a `Box` [T, B, D] float32, as drawn, before any clipping."""
    reward: Data
    """[T, B] float32"""
    discount: Data
    """[T, B] float32; 0 where the episode truly terminated, else 1 (the learner multiplies its own discount in)."""
    behaviour_logp: Data
    """[T, B] float32; log-probability of `action` under the behaviour policy."""
    initial_state: tuple[Data, ...]
    """Recurrent state at t = 0 (before a reset that `first[0]` asks for), one [B, H] a component."""
    recall: tuple[Data, ...]
    """What the agent's episodic memory returned in each step, [T+1, B, ...] a component (`models.recall.Recall`): the
    values alone, [T+1, B, H], with one neighbour; empty for an agent without a memory."""
    last: LastSteps | None
    """Truncated episodes, or None when there was none."""
    params_version: int
    """Version of the parameters that acted (for a joined batch: the oldest)."""
    actor_id: int
    """Who played (-1 for a joined batch)."""

    @property
    def unroll_length(self) -> int:
        """T."""
        return int(self.action.shape[0])

    @property
    def batch_size(self) -> int:
        """B."""
        return int(self.action.shape[1])

    @property
    def env_steps(self) -> int:
        """Environment steps held, T * B."""
        return self.unroll_length * self.batch_size


def on_host(data: Data) -> Array:
    """The same as an array: a view, or a transfer from a device."""
    return data.cpu().numpy() if isinstance(data, Tensor) else data


def _concatenated(parts: Sequence[Data], axis: int = 0) -> Data:
    tensors = [part for part in parts if isinstance(part, Tensor)]
    return torch.cat(tensors, axis) if tensors else np.concatenate(parts, axis)


def join_last(parts: Sequence[tuple[LastSteps, int]]) -> LastSteps | None:
    """Several records as one, each with the offset of its rows b in the joined batch; None if there are none."""
    if not parts:
        return None

    def components(name: str) -> tuple[Data, ...]:
        return tuple(_concatenated(c) for c in zip(*(getattr(last, name) for last, _ in parts), strict=True))

    return LastSteps(
        time=_concatenated([last.time for last, _ in parts]),
        row=_concatenated([last.row + offset for last, offset in parts]),
        obs=_concatenated([last.obs for last, _ in parts]),
        state=components("state"),
        recall=components("recall"),
    )


def join(trajectories: Sequence[Trajectory]) -> Trajectory:
    """One batch of several trajectories of the same length T, side by side along B.

    Raises:
        ValueError: if there is nothing to join or the lengths differ.
    """
    lengths = {trajectory.unroll_length for trajectory in trajectories}
    if len(lengths) != 1:
        raise ValueError(f"trajectories of one batch must have one unroll length, got {sorted(lengths) or 'none'}")
    if len(trajectories) == 1:
        return trajectories[0]

    def side_by_side(name: str) -> Data:
        return _concatenated([getattr(trajectory, name) for trajectory in trajectories], 1)

    def components(name: str, axis: int) -> tuple[Data, ...]:
        parts = zip(*(getattr(trajectory, name) for trajectory in trajectories), strict=True)
        return tuple(_concatenated(part, axis) for part in parts)

    offsets = np.cumsum([0, *(trajectory.batch_size for trajectory in trajectories)])
    last = [(t.last, int(offset)) for t, offset in zip(trajectories, offsets, strict=False) if t.last is not None]

    return Trajectory(
        obs=side_by_side("obs"),
        first=side_by_side("first"),
        prev_action=side_by_side("prev_action"),
        prev_reward=side_by_side("prev_reward"),
        action=side_by_side("action"),
        reward=side_by_side("reward"),
        discount=side_by_side("discount"),
        behaviour_logp=side_by_side("behaviour_logp"),
        initial_state=components("initial_state", 0),
        recall=components("recall", 1),
        last=join_last(last),
        params_version=min(trajectory.params_version for trajectory in trajectories),
        actor_id=-1,
    )
