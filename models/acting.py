"""Acting: the steps of an unroll, one after the other, on buffers that somebody else fills between them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from .agent import Agent, Seen
from .core import State
from .kernels.acting import CompiledActing, can_act


class Acting(Protocol):
    """Steps of an agent, without gradients: `begin`, then `step` for t = 0 .. T - 1 (see `make_acting`)."""

    actions: Tensor
    """[T, B, ...]; row t is written by step t."""
    policy: Tensor
    """[T, B, P] float32, parameters of the policy that they were drawn from, likewise."""

    @property
    def state(self) -> State:
        """Recurrent state after the last step made (or that of `begin`), each component [B, H]."""

    def begin(self, seen: Seen, noise: Tensor, state: State) -> None:
        """Begin an unroll, with the parameters that the agent has now.

        Args:
            seen: [T+1, B, ...] buffers without `recall`; row t has to be there when step t is made.
            noise: [T, B, N] of the policy's `noise`.
            state: recurrent state before step 0, each component [B, H].
        """

    def step(self, t: int, recall: Sequence[Tensor] = ()) -> None:
        """Step t: draws `actions[t]` from `policy[t]`; `recall` as in `Seen`."""

    def log_prob(self) -> Tensor:
        """log π(a) of the actions drawn, [T, B], once all steps are made."""

    def outputs(self) -> Tensor:
        """What the heads read in the steps made, [T, B, H], attached to the agent's parameters.

        Valid until the parameters are changed; only with `keep`.
        """


def make_acting(agent: Agent, bf16: bool = False, keep: bool = False) -> Acting:
    """By the compiled kernels what they can compute, else by torch.

    Args:
        agent: acts.
        bf16: under bfloat16 autocast. What is kept is the very policy that the actions were drawn from.
        keep: be ready for `outputs`.
    """
    return CompiledActing(agent, keep) if not bf16 and can_act(agent, keep) else TorchActing(agent, bf16, keep)


class TorchActing:
    """Acting by torch; arguments as of `make_acting`."""

    actions: Tensor
    policy: Tensor

    def __init__(self, agent: Agent, bf16: bool = False, keep: bool = False) -> None:
        self._agent = agent
        self._bf16, self._keep = bf16, keep
        self.state: State = ()

    def begin(self, seen: Seen, noise: Tensor, state: State) -> None:  # noqa: D102  # see Acting
        assert seen.first is not None
        self._rows = list(zip(*(buffer.unbind() for buffer in (*seen[:3], seen.first)), strict=True))
        # Where a look is free, steps in which no episode starts save the reset.
        self._starts = seen.first.numpy() if seen.first.device.type == "cpu" else None
        policy, shape = self._agent.policy, noise.shape[:-1]
        self.policy = noise.new_empty(*shape, policy.num_parameters)
        self.actions = noise.new_empty(*shape, *policy.action_shape, dtype=policy.action_dtype)
        self._drawn = list(zip(noise.unbind(), self.policy.unbind(), self.actions.unbind(), strict=True))
        self._initial_state = self.state = state
        self._recalls: list[Sequence[Tensor]] = []

    @torch.no_grad()
    def step(self, t: int, recall: Sequence[Tensor] = ()) -> None:  # noqa: D102
        obs, prev_action, prev_reward, first = self._rows[t]
        starts = first if self._starts is None or self._starts[t].any() else None
        with self._mode():
            chosen, state = self._decide(Seen(obs, prev_action, prev_reward, starts, recall))
        self.state = tuple(component.float() for component in state) if self._bf16 else state
        if self._keep:
            self._recalls.append(recall)
        noise, parameters, action = self._drawn[t]
        self._agent.policy.draw(parameters.copy_(chosen), noise, action)

    def _decide(self, seen: Seen) -> tuple[Tensor, State]:
        """The policy's parameters [B, P] of the step that comes, and the state after it."""
        output, state = self._advance(seen)
        return self._agent.policy(output), state

    def _advance(self, seen: Seen) -> tuple[Tensor, State]:
        """The core's output [B, H] of the step that comes, and the state after it."""
        return self._agent.act(seen, self.state)

    def log_prob(self) -> Tensor:  # noqa: D102
        return self._agent.policy.log_prob(self.policy, self.actions)

    def outputs(self) -> Tensor:
        """Computed anew: torch's graph of T single steps costs more than another pass of the fused unroll."""
        obs, prev_action, prev_reward, first = (torch.stack(rows) for rows in zip(*self._rows[:-1], strict=True))
        recall = tuple(torch.stack(component) for component in zip(*self._recalls, strict=True))
        return self._agent.outputs(Seen(obs, prev_action, prev_reward, first, recall), self._initial_state)

    def _mode(self) -> contextlib.AbstractContextManager[object]:
        if self._bf16:
            return torch.autocast(self.policy.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()
