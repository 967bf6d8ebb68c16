"""Adapting a policy to tasks by policy-gradient steps, as a function of its parameters (Finn et al. 2017, algorithm 3).

Everything is vectorised over M tasks by `torch.func`: each has parameters of its own after the first step. Actors take
the steps to play with what comes of them; the learner takes them again, on what was played, and differentiates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ..models.agent import Agent, Seen
from ..models.core import State
from .algorithm import AlgorithmConfig, MAMLConfig
from .linear_baseline import fitted_values
from .returns import generalized_advantage

Parameters = Mapping[str, Tensor]


class Part(NamedTuple):
    """H steps of K episodes in each of M tasks, all played by one policy a task; inside `vmap` without the axis M."""

    obs: Tensor
    """[H, M, K, ...]"""
    prev_action: Tensor
    """[H, M, K, ...]"""
    prev_reward: Tensor
    """[H, M, K]"""
    action: Tensor
    """[H, M, K, ...]"""
    log_prob: Tensor
    """[H, M, K] of the action, by the policy that played."""
    advantage: Tensor
    """[H, M, K]"""

    @classmethod
    def of(cls, seen: Seen, action: Tensor, reward: Tensor, log_prob: Tensor, config: AlgorithmConfig) -> Part:
        """What was played in H steps, [H, M K, ...] each, task by task."""

        def by_task(data: Tensor) -> Tensor:
            split: Tensor = data.unflatten(1, (-1, config.maml.episodes))
            return split

        obs = by_task(seen.obs)
        return cls(
            obs=obs,
            prev_action=by_task(seen.prev_action),
            prev_reward=by_task(seen.prev_reward),
            action=by_task(action),
            log_prob=by_task(log_prob),
            advantage=advantages(obs, by_task(reward), config),
        )


def advantages(obs: Tensor, reward: Tensor, config: AlgorithmConfig) -> Tensor:
    """GAE over whole episodes, on the linear baseline, normalised in each task; all [H, M, K].

    After the last step nothing is expected, whether an episode ended there or was cut off.
    """
    steps = len(reward)
    rows = reward.flatten(1)
    discount = torch.full_like(rows, config.discount)
    continues = torch.arange(steps, device=rows.device)[:, None].expand_as(rows) < steps - 1
    nothing = torch.zeros_like(rows)
    returns = generalized_advantage(rows, discount, nothing, nothing, continues).target.view_as(reward)
    value = fitted_values(obs, returns).flatten(1)
    following = torch.cat((value[1:], nothing[:1]))
    found = generalized_advantage(rows, discount, value, following, continues, config.lambda_).advantage
    found = found.view_as(reward)
    centred = found - found.mean((0, 2), keepdim=True)
    return centred / (centred.square().mean((0, 2), keepdim=True).sqrt() + 1e-8)


class _Run(nn.Module):
    """`Agent.run` as what `functional_call` calls."""

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self.agent = agent

    def forward(
        self, obs: Tensor, prev_action: Tensor, prev_reward: Tensor, state: State | None
    ) -> tuple[Tensor, State]:
        """Of [H, K, ...]; without a state from the initial one."""
        if state is None:
            state = self.agent.initial_state(prev_reward.shape[1])
        return self.agent.run(Seen(obs, prev_action, prev_reward, None), state)


class Adaptation:
    """The steps of adaptation of one agent.

    Args:
        agent: whose policy it is; its parameters are not changed.
        config: the steps.

    Raises:
        ValueError: for an agent with an episodic memory or a critic inside, or `adapted=not_recurrent` of one without
            recurrent weights.
    """

    def __init__(self, agent: Agent, config: MAMLConfig) -> None:
        if agent.has_memory or agent.core.gives_value:
            raise ValueError(
                f"core '{agent.spec.model.core}' has an episodic memory or a critic, which algo=maml does not train: "
                "choose another model"
            )
        self._run, self._config, self._policy = _Run(agent), config, agent.policy
        self.trained = {name: p for name, p in self._run.named_parameters() if p.requires_grad}
        self.adapted = {name for name in self.trained if _adapts(name, config)}
        if config.adapted == "not_recurrent" and not any(_RECURRENT in name for name in self.trained):
            raise ValueError(
                f"algo.maml.adapted=not_recurrent: core '{agent.spec.model.core}' has no recurrent weights that are "
                "told apart; use all or heads, or model=rnn, gru or lstm"
            )

    def shared(self, tasks: int) -> dict[str, Tensor]:
        """The agent's parameters as those of M tasks, [M, ...] each."""
        return {name: p.detach().expand(tasks, *p.shape) for name, p in self.trained.items()}

    def act(self, parameters: Parameters, seen: Seen, state: State | None) -> tuple[Tensor, State]:
        """One step by the parameters of each of M tasks: the policy's parameters [M, K, P] and the state after it.

        Args:
            parameters: [M, ...] each.
            seen: [M, K, ...] without `first` or `recall`.
            state: [M, K, H] a component; None where an episode starts.
        """

        def one(own: Parameters, obs: Tensor, action: Tensor, reward: Tensor, at: State | None) -> tuple[Tensor, State]:
            policy, after = self._called(own, obs[None], action[None], reward[None], at)
            return policy[0], after

        dims = (0, 0, 0, 0, None if state is None else 0)
        found: tuple[Tensor, State] = vmap(one, dims)(parameters, *seen[:3], state)
        return found

    def step(self, parameters: Parameters, part: Part, state: State | None) -> dict[str, Tensor]:
        """The parameters [M, ...] after a step of each task; `state` [M, K, H] before the part, as in `act`."""
        dims = (0, 1, None if state is None else 0)
        found: dict[str, Tensor] = vmap(lambda own, its, at: self._stepped(own, its, at)[0], dims)(
            parameters, part, state
        )
        return {name: tensor.detach() for name, tensor in found.items()}

    def policies(self, parameters: Parameters, parts: Sequence[Part], fresh: Sequence[bool]) -> list[Tensor]:
        """The policy's parameters [H, M, K, P] in each part, after as many steps of adaptation as parts came before it.

        Args:
            parameters: of the agent, to be differentiated by.
            parts: of the same tasks, in their order.
            fresh: of each part, whether episodes start there; else the state goes on.
        """

        def of_task(*own: Part) -> tuple[Tensor, ...]:
            now, state, found = dict(parameters), None, []
            for part, starts in zip(own[:-1], fresh, strict=False):
                now, policy, state = self._stepped(now, part, None if starts else state)
                found.append(policy)
            policy, _ = self._called(now, *own[-1][:3], None if fresh[-1] else state)
            return (*found, policy)

        return list(vmap(of_task, 1, 1)(*parts))

    def _called(
        self, parameters: Parameters, obs: Tensor, prev_action: Tensor, prev_reward: Tensor, state: State | None
    ) -> tuple[Tensor, State]:
        found: tuple[Tensor, State] = functional_call(
            self._run, dict(parameters), (obs, prev_action, prev_reward, state)
        )
        return found

    def _stepped(
        self, parameters: Parameters, part: Part, state: State | None
    ) -> tuple[dict[str, Tensor], Tensor, State]:
        """One task's parameters after a step, its policy [H, K, P] before it, and the state at the part's end."""

        def loss(adapted: Parameters) -> tuple[Tensor, tuple[Tensor, State]]:
            policy, after = self._called({**parameters, **adapted}, *part[:3], state)
            log_prob = self._policy.log_prob(policy, part.action)
            weight = log_prob if self._config.inner == "likelihood" else (log_prob - part.log_prob).exp()
            return -(weight * part.advantage).mean(), (policy, after)

        adapted = {name: parameters[name] for name in self.adapted}
        gradients, (policy, after) = grad(loss, has_aux=True)(adapted)
        if not self._config.second_order:
            gradients = {name: gradient.detach() for name, gradient in gradients.items()}
        moved = {name: adapted[name] - self._config.rate * gradients[name] for name in adapted}
        return {**parameters, **moved}, policy, after


_RECURRENT = "_hh_"
"""In the names of weights from the state to itself, as `torch.nn` calls them."""


def _adapts(name: str, config: MAMLConfig) -> bool:
    if name.startswith("agent.value."):
        return False  # the linear baseline stands in its place
    if config.adapted == "heads":
        return name.startswith("agent.policy.")
    return config.adapted == "all" or _RECURRENT not in name
