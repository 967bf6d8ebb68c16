"""The agent: encoder, recurrent core, policy head and value head. One implementation serves acting and learning.

Previous action and reward are inputs of the agent, not part of a task's observation; the reset of recurrent state,
previous action and reward at the start of an episode happens here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .core import Hook, Inputs, InputSizes, State
from .cores import make_core
from .dnd import Dictionary
from .encoders import make_encoder
from .internals import internals
from .policy import Actions, make_policy
from .recall import Recall, inverse_kernel_mean
from .settings import ModelConfig as ModelConfig


@dataclass(frozen=True)
class AgentSpec:
    """All that determines an agent's parameters: small, plain, safe to send anywhere."""

    obs_shape: tuple[int, ...]
    actions: Actions
    model: ModelConfig
    cue_size: int = 0
    """Width of the keys and queries that the task gives to an episodic memory."""


class Seen(NamedTuple):
    """What an agent gets in a step: leading axes are [B], or [T, B] for an unroll."""

    obs: Tensor
    """[B, ...], or `Agent.codes` of it, [B, F]."""
    prev_action: Tensor
    """[B, ...] as the policy's actions; where an episode starts NO_ACTION, of a `Box` zeros."""
    prev_reward: Tensor
    """[B], 0 where an episode starts."""
    first: Tensor | None
    """[B] bool, True where an episode starts; of a step also None: none starts in it (saves the reset)."""
    recall: Sequence[Tensor] = ()
    """What the episodic memory returned, a `models.recall.Recall` or its values alone; empty without one."""

    def at(self, t: int) -> Seen:
        """Step t of an unroll."""
        first = None if self.first is None else self.first[t]
        recall = tuple(component[t] for component in self.recall)
        return Seen(self.obs[t], self.prev_action[t], self.prev_reward[t], first, recall)


class Agent(nn.Module):
    """Encoder -> core -> policy and value.

    Raises:
        ValueError: for sizes that do not fit the core or the encoder, or for kernels that are not there.
    """

    def __init__(self, spec: AgentSpec) -> None:
        super().__init__()
        model = spec.model
        self.spec = spec
        self.encoder = make_encoder(model.encoder, spec.obs_shape, model.encoder_sizes)
        if (model.encoder_frozen or model.encoder_from is not None) and not list(self.encoder.parameters()):
            raise ValueError(
                f"encoder '{model.encoder}' has no weights to load or to freeze: leave model.encoder_from=null and "
                "model.encoder_frozen=false, or choose another model.encoder"
            )
        # Without a gradient the encoder costs no backward pass: nothing before the core asks for one.
        self.encoder.requires_grad_(not model.encoder_frozen)
        self.norm = nn.LayerNorm(self.encoder.output_size) if model.layer_norm else nn.Identity()
        reward_width = (len(model.reward_levels) or 1) if model.see_reward else 0
        encoded = sum(spec.actions.sizes)
        reward_width *= encoded if model.reward_by_action else 1
        sizes = InputSizes(self.encoder.output_size, encoded if model.see_action else 0, reward_width)
        self.core = make_core(sizes, model)
        self.has_memory = self.core.recall_size > 0 and model.memory.reinstate
        encodes = self.has_memory and model.memory.key_size > 0
        self.key_encoder = nn.Linear(spec.cue_size, model.memory.key_size, bias=False) if encodes else nn.Identity()
        self.policy = make_policy(spec.actions, self.core.output_size - self.core.gives_value)
        self.value = _LastColumn() if self.core.gives_value else nn.Linear(self.core.output_size, 1)
        # A policy that starts uniform and a value of usual scale (the published codes' initialisation).
        nn.init.orthogonal_(self.policy.weight, 0.01)
        nn.init.zeros_(self.policy.bias)
        if isinstance(self.value, nn.Linear):
            nn.init.orthogonal_(self.value.weight, 1.0)
            nn.init.zeros_(self.value.bias)
        self.reward_levels: Tensor
        self.register_buffer("reward_levels", torch.tensor(model.reward_levels), persistent=False)

    def initial_state(self, batch_size: int) -> State:
        """Recurrent state at the start of an episode, each component [B, H]."""
        return self.core.initial_state(batch_size)

    def empty_memory(self, lives: int) -> Dictionary:
        """The episodic memory of so many lives (only of an agent that `has_memory`)."""
        memory = self.spec.model.memory
        return Dictionary(lives, memory, memory.key_size or self.spec.cue_size, self.core.recall_size)

    def act(self, seen: Seen, state: State, hook: Hook | None = None) -> tuple[Tensor, State]:
        """One step of B episodes; returns the core's output [B, H] (for `policy` and `value`) and the next state.

        With a `hook` by `Core.step_through`.
        """
        if seen.first is not None:
            state = self.core.reset(state, seen.first)
        inputs = self._inputs(seen)
        return self.core.step(inputs, state) if hook is None else self.core.step_through(inputs, state, hook)

    def unroll(self, seen: Seen, state: State) -> tuple[Tensor, Tensor]:
        """T steps of B episodes: policy's parameters [T, B, P] and values [T, B]. `seen.first` may be True anywhere."""
        return self.heads(self.outputs(seen, state))

    def run(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        """The policy's parameters [T, B, P] in T steps without resets, and the state after them; for `torch.func`."""
        output, state = self.core.run(self._inputs(seen), state)
        return self.policy(output), state

    def outputs(self, seen: Seen, state: State) -> Tensor:
        """What the heads read in an unroll, [T, B, H]; arguments as in `unroll`."""
        return self.core.unroll(self._inputs(seen), _first_of(seen), state)

    def heads(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The policy's parameters [..., P] and values [...] from the core's output [..., H].

        One product with the weights of both, whose few rows are long: twice as fast as two with few columns.
        """
        if not isinstance(self.value, nn.Linear):
            return self.policy(output), self.value(output).squeeze(-1)
        weight, bias = (
            torch.cat((self.policy.weight, self.value.weight)),
            torch.cat((self.policy.bias, self.value.bias)),
        )
        rows = torch.addmm(bias.unsqueeze(1), weight, output.flatten(0, -2).t()).unflatten(1, output.shape[:-1])
        return self.policy.completed(rows[:-1].movedim(0, -1)), rows[-1]

    def reinstatement_gate(self, seen: Seen, state: State) -> Tensor:
        """How far each unit let in what was recalled, [T, B, H]; arguments as in `unroll`."""
        inputs, first = self._inputs(seen), _first_of(seen)
        return self.core.reinstatement_gate(inputs, first, state, self.core.unroll(inputs, first, state))

    def internals(self, seen: Seen, state: State) -> dict[str, Tensor]:
        """Everything that the core shows of an unroll (`Core.inner`), [T, B, H] each; arguments as in `unroll`."""
        return internals(self.core, self._inputs(seen), _first_of(seen), state)

    def _inputs(self, seen: Seen) -> Inputs:
        """Of a step, [B, ...], or of an unroll, [T, B, ...]."""
        shape = seen.prev_reward.shape
        features = self.features(seen.obs.flatten(0, len(shape) - 1)).unflatten(0, shape)
        action = self.policy.encode(seen.prev_action)
        reward = seen.prev_reward.unsqueeze(-1)
        if not self.spec.model.see_reward:
            reward = reward[..., :0]
        elif self.spec.model.reward_levels:
            reward = ((reward - self.reward_levels).abs() < 1e-4).to(reward.dtype)
        if self.spec.model.reward_by_action:
            reward = (action.unsqueeze(-1) * reward.unsqueeze(-2)).flatten(-2)
        if not self.spec.model.see_action:
            action = action[..., :0]
        return Inputs(features, action, reward, self.recalled(seen.recall) if self.has_memory else reward[..., :0])

    def features(self, obs: Tensor) -> Tensor:
        """What of observations [N, ...], or of their `codes`, enters the core, [N, F]."""
        coded = self.gives_codes and obs.shape[1:] != self.spec.obs_shape
        features: Tensor = self.norm(obs if coded else self.encoder(obs))
        return features

    @property
    def gives_codes(self) -> bool:
        """Whether observations may be replaced by `codes`: of a frozen encoder, if the two differ in shape."""
        return self.spec.model.encoder_frozen and self.spec.obs_shape != (self.encoder.output_size,)

    @torch.no_grad()
    def codes(self, obs: Tensor) -> Tensor:
        """What the encoder makes of observations [N, ...]: [N, F]."""
        codes: Tensor = self.encoder(obs)
        return codes

    def recalled(self, recall: Sequence[Tensor]) -> Tensor:
        """The one cell state [..., H] that a memory's answer amounts to (only of an agent that `has_memory`)."""
        if len(recall) == 1:
            return recall[0]
        neighbours = Recall(*recall)
        query = self.key_encoder(neighbours.query.to(torch.get_default_dtype()))
        kernel = self.spec.model.memory.kernel
        return inverse_kernel_mean(kernel, neighbours.values, neighbours.found, neighbours.keys, query)

    def parameter_count(self) -> int:
        """Trained parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


class _LastColumn(nn.Module):
    """The head of a core that gives the value itself."""

    def forward(self, output: Tensor) -> Tensor:
        """[..., 1] of the core's output [..., H]."""
        return output[..., -1:]


def _first_of(seen: Seen) -> Tensor:
    if seen.first is None:
        raise ValueError("an unroll needs seen.first [T, B]: None is for a step in which no episode starts")
    return seen.first


def describe_difference(old: AgentSpec, new: AgentSpec) -> list[str]:
    """What differs between two agents, one readable line an item; empty if they are the same."""
    lines = [
        f"{name}: {getattr(old, name)} -> {getattr(new, name)}"
        for name in ("obs_shape", "actions", "cue_size")
        if getattr(old, name) != getattr(new, name)
    ]
    lines += [
        f"model.{name}: {value} -> {getattr(new.model, name)}"
        for name, value in vars(old.model).items()
        if name != "kernel" and value != getattr(new.model, name)
    ]
    return lines
