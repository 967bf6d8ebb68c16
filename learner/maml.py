"""MAML of policies (Finn et al. 2017): the parameters from which a few steps on a task lead furthest.

A trajectory holds K episodes of H steps in each task, by the common parameters, then as many by those that each task
has after one step of adaptation, and so on. The meta-update repeats the steps as a function of the common parameters
and improves the policies that come out of them: by TRPO, or by PPO's clipped ratio (Rothfuss et al. 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..models.agent import Agent, Seen
from .adaptation import Adaptation, Part
from .algorithm import AlgorithmConfig
from .batch import Batch
from .ppo import clipped_surrogate, in_minibatches
from .trpo import trust_region_step


def parts_of(batch: Batch, config: AlgorithmConfig) -> tuple[list[Part], list[bool]]:
    """The phases of a batch, and of each whether episodes start there."""
    parts, fresh = [], []
    for start in range(0, len(batch.reward), config.unroll_length):
        rows = slice(start, start + config.unroll_length)
        seen = Seen(batch.obs[rows], batch.prev_action[rows], batch.prev_reward[rows], None)
        parts.append(Part.of(seen, batch.action[rows], batch.reward[rows], batch.behaviour_logp[rows], config))
        fresh.append(bool(batch.first[start].all()))
    return parts, fresh


class MetaUpdate:
    """One meta-update of an agent by a batch.

    Args:
        agent: whose parameters it is about.
        batch: T = (steps + 1) H steps of M tasks x K episodes, task by task.
        config: the algorithm.
    """

    def __init__(self, agent: Agent, batch: Batch, config: AlgorithmConfig) -> None:
        self._config, self._policy = config, agent.policy
        self._adaptation = Adaptation(agent, config.maml)
        self._trained = self._adaptation.trained
        self._parts, self._fresh = parts_of(batch, config)
        by_phase = batch.reward.unflatten(0, (-1, config.unroll_length)).sum(1).mean(1)
        self.measured = {f"maml/return_{k}": float(value) for k, value in enumerate(by_phase)}
        """Mean return of an episode after 0, 1, ... steps of adaptation."""

    def _policies(self, parameters: Sequence[Tensor], parts: Sequence[Part]) -> list[Tensor]:
        return self._adaptation.policies(dict(zip(self._trained, parameters, strict=True)), parts, self._fresh)

    def _rows(self, tasks: Tensor | slice) -> list[Part]:
        """The phases of some tasks."""
        return [Part(*(data[:, tasks] for data in part)) for part in self._parts]

    def surrogate(self, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """-ρ A of the adapted policies, the mean over all steps, and these policies [H, M, K, P]."""
        last, policy = self._parts[-1], self._policies(parameters, self._parts)[-1]
        ratio = (self._policy.log_prob(policy, last.action) - last.log_prob).exp()
        return -(ratio * last.advantage).mean(), policy

    def divergence(self, policy: Tensor, played: Tensor) -> Tensor:
        """KL divergence of policies [H, M, K, P] from those that played, the mean over all steps."""
        return self._policy.kl(policy, played).mean()

    def by_trust_region(self) -> dict[str, Tensor]:
        """Change the agent's parameters by a step of TRPO; what is measured of it.

        The gradient stays where it is asked about: nothing is changed by a step that is not finite.
        """
        maml = self._config.maml
        some = None if maml.hessian_tasks is None else self._rows(slice(maml.hessian_tasks))
        step = trust_region_step(
            self.surrogate,
            self.divergence,
            list(self._trained.values()),
            maml.max_kl,
            maml.damping,
            maml.cg_steps,
            maml.backtracks,
            maml.backtrack_ratio,
            None if some is None else lambda parameters: self._policies(parameters, some)[-1],
        )
        with torch.no_grad():
            for parameter, moved in zip(self._trained.values(), step.parameters, strict=True):
                parameter.copy_(moved)
        number = step.loss_before.new_tensor
        return {
            "loss/total": step.loss_before,
            "learner/grad_norm": step.gradient.norm(),
            "learner/kl": step.kl,
            "maml/improvement": step.loss_before - step.loss_after,
            "maml/backtracks": number(float(step.backtracks)),
            "maml/cg_residual": number(step.residual),
        }

    def passes(self, rng: np.random.Generator) -> Iterator[dict[str, Tensor]]:
        """The objective of one minibatch of tasks after the other.

        Who asks for the next one has made a step of the optimizer on the last. It ends after the passes that the
        settings ask for, or after the first in which the adapted policies have moved by more than `target_kl`.

        Args:
            rng: draws which tasks are together.
        """
        with torch.no_grad():
            played = self._policies(list(self._trained.values()), self._parts)

        def objective(tasks: Tensor) -> dict[str, Tensor]:
            parts = self._rows(tasks)
            policies = self._policies(list(self._trained.values()), parts)
            log_ratio = self._policy.log_prob(policies[-1], parts[-1].action) - parts[-1].log_prob
            policy = clipped_surrogate(log_ratio, parts[-1].advantage, self._config.ppo.clip).mean()
            kl = [self._policy.kl(old[:, tasks], new).mean() for old, new in zip(played, policies, strict=True)]
            inner = torch.stack(kl[:-1]).mean()
            return {
                "loss/total": policy + self._config.maml.inner_kl * inner,
                "loss/policy": policy,
                "learner/kl": kl[-1],
                "maml/inner_kl": inner,
            }

        return in_minibatches(objective, played[-1].shape[1], self._config.ppo, rng, played[-1].device)
