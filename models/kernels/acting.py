"""Acting by the compiled kernels: a step of B episodes is one call, from what they see to the actions drawn."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..agent import Agent, Seen
from ..core import RecurrentLayer, State
from ..encoders import Flatten
from ..ep_lstm import EpLSTM
from ..policy import Categorical
from ..recurrent import Recurrent
from . import library
from .layers import KINDS, compiled, pack, pack_back, padded, padded_size
from .unroll import Tape, recorded, room, scratch


def can_act(agent: Agent, keep: bool) -> bool:
    """Whether the kernels make this agent's steps: one layer of float32 on the CPU, one choice a step.

    With `keep` nothing before the layer may be trained: what is kept ends there.
    """
    layer = _layer_of(agent)
    if layer is None or not layer.compiled or not isinstance(agent.policy, Categorical):
        return False
    before = (agent.encoder, agent.norm, agent.key_encoder)
    if keep and any(parameter.requires_grad for module in before for parameter in module.parameters()):
        return False
    return all(p.dtype == torch.float32 and p.device.type == "cpu" for p in agent.parameters())


def _layer_of(agent: Agent) -> RecurrentLayer | EpLSTM | None:
    if isinstance(agent.core, EpLSTM):
        return agent.core
    return agent.core.layer if isinstance(agent.core, Recurrent) else None


class CompiledActing:
    """An `models.acting.Acting` of an agent that `can_act`.

    Args:
        agent: acts with the parameters that it has when an unroll begins.
        keep: keep what `outputs` needs.

    Raises:
        ValueError: for an agent whose core the kernels do not know.
    """

    actions: Tensor
    policy: Tensor

    def __init__(self, agent: Agent, keep: bool = False) -> None:
        layer = _layer_of(agent)
        if layer is None:
            raise ValueError(f"the compiled kernels make no steps of core '{agent.spec.model.core}'")
        self._agent, self._layer, self._keep = agent, layer, keep
        self._kind = KINDS["ep_lstm" if isinstance(layer, EpLSTM) else layer.kind]
        self._hidden = agent.core.output_size
        self._units = padded_size(self._hidden)
        self._reads_obs = isinstance(agent.encoder, Flatten) and isinstance(agent.norm, nn.Identity)

    @property
    def state(self) -> State:  # noqa: D102  # see Acting
        return self._start if self._now is None else tuple(part[self._now, :, : self._hidden] for part in self._states)

    @torch.no_grad()
    def begin(self, seen: Seen, noise: Tensor, state: State) -> None:  # noqa: D102
        assert seen.first is not None
        agent, kind, units = self._agent, self._kind, self._units
        steps, rows, _ = noise.shape
        self._start: State = state
        self._now: int | None = None
        self.policy, self.actions = torch.empty(noise.shape), torch.empty(steps, rows, dtype=torch.long)
        weights, kept = self._layer.weights(), steps if self._keep else 1
        gates, cells = room(kind, steps, rows, units, self._keep)
        output = torch.empty(kept, rows, units)
        self._states = (output,) if cells is None else (output, cells)
        self._recall = torch.zeros(kept, rows, units) if agent.has_memory else None
        before = [padded(component, units) for component in state]
        if not self._keep:  # the state before a step lies where the one after it is put
            before = [part[0].copy_(component) for part, component in zip(self._states, before, strict=True)]
        initial = padded(self._layer.initial[:, 0], units)
        cell, initial_cell = (before[1], initial[1]) if kind.has_cell else (None, None)
        x, first = torch.empty(kept, rows, weights.inputs), seen.first[:steps]
        self._tape = Tape(x, gates, cells, output, first, before[0], cell, initial[0], initial_cell, self._recall)
        direct = self._reads_obs and seen.obs.dtype == torch.float32
        self._obs = None if direct else seen.obs
        self._features = seen.obs if direct else torch.empty(rows, agent.encoder.output_size)
        packed, joined = pack(kind, weights), scratch(rows, units + weights.inputs)
        sequence = self._tape.sequence(kind, packed, joined, self._keep)
        acting = self._struct(sequence, seen, noise, direct)
        self._act, self._level, self._given = compiled().recurrent_act, library.level(), ctypes.byref(acting)

    def _struct(self, sequence: library.Sequence, seen: Seen, noise: Tensor, direct: bool) -> library.Acting:
        """What a step is called with."""
        agent, model = self._agent, self._agent.spec.model
        return library.Acting(
            sequence=sequence,
            features_count=agent.encoder.output_size,
            features_kept=direct,
            actions=agent.policy.out_features,
            see_action=model.see_action,
            see_reward=model.see_reward,
            reward_by_action=model.reward_by_action,
            levels_count=len(model.reward_levels),
            features=self._features,
            levels=agent.reward_levels if model.reward_levels else None,
            prev_action=seen.prev_action,
            prev_reward=seen.prev_reward,
            policy=padded(agent.policy.weight, self._units),
            policy_bias=agent.policy.bias,
            noise=noise,
            logits=self.policy,
            action=self.actions,
        )

    def step(self, t: int, recall: Sequence[Tensor] = ()) -> None:  # noqa: D102
        now = t if self._keep else 0
        with torch.no_grad():
            if self._obs is not None:
                self._features.copy_(self._agent.features(self._obs[t]))
            if self._recall is not None and isinstance(self._layer, EpLSTM):
                entering = self._layer.entering(self._agent.recalled(recall))
                self._recall[now, :, : self._hidden] = entering
        self._act(self._level, self._given, t)
        self._now = now

    def log_prob(self) -> Tensor:  # noqa: D102
        return self._agent.policy.log_prob(self.policy, self.actions)

    def outputs(self) -> Tensor:  # noqa: D102
        weights = self._layer.weights()
        packed = pack_back(self._kind, weights, by_x=False)
        return recorded(self._kind, weights, packed, self._tape, self._layer.initial)
