"""Acting under perturbations: torch's steps, with what is done to them in between (see `models.perturbation`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..conf.condition import Array, Kind, kind_of
from .acting import TorchActing
from .agent import Agent, Seen
from .core import State
from .perturbation import Interventions, Perturbation
from .policy import Policy

STEP = "step"
"""In a `when`: the number of the step that is about to be made, from 0 in each episode. All else in a `when` is about
the step before it."""

Mask = NDArray[np.bool_]


def actions_by_name(policy: Policy, action: Array) -> dict[str, Array]:
    """Actions [B, ...] as columns: `action`, or `action_0`, `action_1`, ... where one has several components."""
    if not policy.action_shape:
        return {"action": action}
    return {f"action_{i}": component for i, component in enumerate(action.T)}


def columns_of(policy: Policy, told: Mapping[str, type[np.generic]]) -> dict[str, Kind]:
    """What a `when` may be about.

    Args:
        policy: of the agent.
        told: names and types of what the task tells of a step.
    """
    numbers = (*actions_by_name(policy, np.zeros((1, *policy.action_shape))), "reward", STEP)
    return {**{name: kind_of(dtype) for name, dtype in told.items()}, **dict.fromkeys(numbers, "number")}


class _Part(NamedTuple):
    """A perturbation of one agent."""

    told: Perturbation
    place: str
    """In the core; empty: the reward that it is fed."""
    units: Tensor
    """[H] bool: which of the units there."""


class _Change(NamedTuple):
    """What a perturbation does in one step."""

    active: Tensor
    """[B] bool"""
    noise: Tensor | None
    """[B, H] standard normal; of an input [B]."""


class _Step(NamedTuple):
    """A step, made."""

    output: Tensor
    """[B, H]"""
    state: State
    inner: dict[str, Tensor]
    """[B, H] each."""
    fed: Tensor
    """[B]"""
    active: Mask
    """[n, B] which of the n perturbations acted where."""


class Made(NamedTuple):
    """What was made of an unroll under perturbations, and of the step that follows it."""

    output: Tensor
    """[T+1, B, H] what the heads read."""
    inner: Mapping[str, list[Tensor]]
    """[B, H] a step: what the core computed on the way (`Core.inner`)."""
    fed: Tensor
    """[T+1, B] the reward that the network was fed."""
    beyond: Tensor
    """[T, B, H] what the heads would read if no episode had been cut off with the step; 0 in steps where none was."""


class PerturbedActing(TorchActing):
    """Acts as `TorchActing` does, for B episodes one after the other, under perturbations.

    `happened` has to be told after each step. An input is not changed in the first step of an episode, in which none is
    fed; nor does a `when` hold there that asks for more than the step's number.

    Args:
        agent: acts.
        interventions: what is done, and the discount of the reward-prediction error.
        rows: B.
        seed: of the noise.

    Raises:
        ValueError: for a perturbation that cannot be of this agent.
    """

    def __init__(self, agent: Agent, interventions: Interventions, rows: int, seed: int) -> None:
        super().__init__(agent)
        self._parts = []
        for told in interventions.perturbations:
            units = torch.ones(agent.core.inner[place], dtype=torch.bool) if (place := told.place(agent)) else None
            if units is not None and told.numbers:
                units = torch.zeros_like(units).index_fill_(0, torch.tensor(told.numbers), True)
            self._parts.append(_Part(told, place, torch.ones(()) > 0 if units is None else units))
        self._discount, self._batch, self._seed = interventions.discount, rows, seed
        self.counts = np.zeros(len(self._parts), dtype=np.int64)
        """In how many of the steps that were counted each perturbation acted."""
        self._number = 0
        self._age = np.zeros(rows, dtype=np.int64)
        self._told: dict[str, Array] = {}
        self._value: Tensor = torch.zeros(rows)

    def begin(self, seen: Seen, noise: Tensor, state: State) -> None:  # noqa: D102  # see Acting
        super().begin(seen, noise, state)
        self._steps: list[_Step] = []
        self._beyond: dict[int, Tensor] = {}

    def happened(self, told: Mapping[str, Array], action: Array, reward: Array) -> None:
        """What the step that was made led to: what the task tells of it, [B] a name, actions [B, ...], rewards [B]."""
        self._told = {**told, **actions_by_name(self._agent.policy, action), "reward": reward}
        self._last = torch.as_tensor(action), torch.as_tensor(reward)

    @torch.no_grad()
    def look_beyond(self, final_obs: Array, recall: Sequence[Tensor]) -> None:
        """Find what the heads would read next if no episode had been cut off with the step that was made.

        Args:
            final_obs: [B, ...] what would be seen.
            recall: what a memory would return.
        """
        seen = Seen(torch.as_tensor(final_obs), *self._last, None, recall)
        self._beyond[len(self._steps) - 1] = self._step(seen).output

    def count(self, t: int, rows: Mask) -> None:
        """Take step t, in the episodes of `rows` [B], into `counts`."""
        self.counts += (self._steps[t].active & rows).sum(1)

    @torch.no_grad()
    def made(self, ahead: Seen) -> Made:
        """What was made since `begin`, and of the step that comes, which this leaves to be made.

        Args:
            ahead: what is seen in it.
        """
        steps = [*self._steps, self._step(ahead)]
        output = torch.stack([step.output for step in steps])
        inner = {name: [step.inner[name] for step in steps] for name in reversed(steps[0].inner)}
        nothing = torch.zeros_like(output[0])
        beyond = torch.stack([self._beyond.get(t, nothing) for t in range(len(self._steps))])
        return Made(output, inner, torch.stack([step.fed for step in steps]), beyond)

    def _advance(self, seen: Seen) -> tuple[Tensor, State]:
        step = self._step(seen)
        self._value = self._agent.value(step.output).squeeze(-1)
        self._age = np.where(self._fresh(seen), 0, self._age) + 1
        self._number += 1
        self._steps.append(step)
        return step.output, step.state

    def _fresh(self, seen: Seen) -> Mask:
        return np.zeros(self._batch, dtype=bool) if seen.first is None else np.asarray(seen.first.numpy())

    def _changes(self, fresh: Mask) -> list[_Change]:
        """Of the step that comes; asked again, the same."""
        columns = {**self._told, STEP: np.where(fresh, 0, self._age)}
        changes = []
        for i, part in enumerate(self._parts):
            active, condition = np.ones(self._batch, dtype=np.bool_), part.told.condition
            of_before = bool(condition and condition.names - {STEP})
            if of_before or part.told.input is not None:
                active = ~fresh
            if of_before and not self._told:  # before the first step of all
                active = np.zeros_like(active)
            elif condition is not None:
                active = active & condition(columns, self._batch)
            noise = None
            if part.told.noise is not None:
                draws = np.random.default_rng((self._seed, self._number, i))
                noise = torch.from_numpy(draws.standard_normal((self._batch, *part.units.shape))).to(self._value.dtype)
            changes.append(_Change(torch.from_numpy(active), noise))
        return changes

    def _step(self, seen: Seen) -> _Step:
        """The step that comes; made again, the same."""
        changes = self._changes(self._fresh(seen))
        fed = self._fed(seen, changes)
        inner: dict[str, Tensor] = {}

        def hook(name: str, value: Tensor) -> Tensor:
            for part, change in zip(self._parts, changes, strict=True):
                if part.place == name:
                    changed = part.told.done_to(value, change.noise)
                    changed = changed if part.told.gate is None else changed.clamp(0, 1)
                    value = torch.where(change.active[:, None] & part.units, changed, value)
            inner[name] = value
            return value

        output, state = self._agent.act(seen._replace(prev_reward=fed), self.state, hook)
        return _Step(output, state, inner, fed, np.stack([change.active.numpy() for change in changes]))

    def _fed(self, seen: Seen, changes: list[_Change]) -> Tensor:
        """The reward that the network is fed, [B]."""
        fed = seen.prev_reward
        for part, change in zip(self._parts, changes, strict=True):
            if part.place:
                continue
            if part.told.input == "rpe" and (part.told.set is not None or part.told.scale is not None):
                error = self._error(seen)
                changed = fed + (part.told.done_to(error, None) - error)
            else:
                changed = part.told.done_to(fed, change.noise)
            fed = torch.where(change.active, changed, fed)
        return fed

    def _error(self, seen: Seen) -> Tensor:
        """The reward-prediction error of the step before, [B], by the value that the network gives fed as it is."""
        output, _ = self._agent.act(seen, self.state)
        value: Tensor = self._agent.value(output).squeeze(-1)
        return seen.prev_reward + self._discount * value - self._value
