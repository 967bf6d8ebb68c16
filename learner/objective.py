"""What a learner minimises, as one pure function of an unroll: returns, losses and what is measured of them.

The learner calls it on a whole batch. With `algo.gradients=actors` each actor calls it on its own unroll.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..models.agent import Agent, Seen
from .algorithm import AlgorithmConfig
from .batch import Batch
from .losses import Losses, actor_critic_loss
from .returns import generalized_advantage, n_step, vtrace
from .reward_prediction import RewardPrediction
from .schedules import Schedule


@dataclass(frozen=True)
class Objective:
    """What determines the loss apart from the network: small and plain, safe to send anywhere."""

    config: AlgorithmConfig
    total_env_steps: int
    """Length of the run, on which the schedules are laid out."""

    @property
    def entropy_weight(self) -> Schedule:
        """β_e as a function of environment steps."""
        return Schedule.of(self.config.entropy_weight, self.total_env_steps)


class Judged(NamedTuple):
    """What an agent says of a batch."""

    output: Tensor
    """[T+1, B, H] what the heads read."""
    chosen: Tensor
    """[T, B] log π(a) of the actions that were taken."""
    entropies: Tensor
    """[T, B]"""
    value: Tensor
    """[T+1, B]"""


def judge(agent: Agent, batch: Batch, output: Tensor, bf16: bool = False) -> Judged:
    """From what the heads read, [T+1, B, H]; `bf16`: the heads under bfloat16 autocast."""
    with torch.autocast(output.device.type, dtype=torch.bfloat16, enabled=bf16):
        policy, value = agent.heads(output)
    if bf16:
        output, policy, value = output.float(), policy.float(), value.float()
    return Judged(output, *agent.policy.log_prob_and_entropy(policy[:-1], batch.action), value)


def objective(
    agent: Agent,
    batch: Batch,
    output: Tensor,
    config: AlgorithmConfig,
    entropy_weight: float,
    prediction: RewardPrediction | None = None,
    bf16: bool = False,
) -> dict[str, Tensor]:
    """Scalars by the names of `docs/metrics.md`; `loss/total`, a mean over T x B, carries the gradient.

    Args:
        agent: whose loss it is.
        batch: T steps of B episodes.
        output: [T+1, B, H] what the heads read.
        config: the algorithm.
        entropy_weight: β_e.
        prediction: the head of the auxiliary loss, where there is one.
        bf16: the heads under bfloat16 autocast.
    """
    judged = judge(agent, batch, output, bf16)
    _, chosen, entropies, value = judged
    log_rho = chosen.detach() - batch.behaviour_logp
    target, advantage = returns_of(agent, batch, log_rho, value.detach(), config)
    loss = actor_critic_loss(chosen, entropies, advantage, value[:-1], target, config.value_weight, entropy_weight)
    return measures(loss, judged, batch, target, config, prediction)


def measures(
    loss: Losses,
    judged: Judged,
    batch: Batch,
    target: Tensor,
    config: AlgorithmConfig,
    prediction: RewardPrediction | None,
) -> dict[str, Tensor]:
    """The losses with the auxiliary one, and what is measured beside them; `target` [T, B] of the value."""
    measured = {
        "loss/total": loss.total,
        "loss/policy": loss.policy,
        "loss/value": loss.value,
        "loss/entropy": loss.entropy,
    }
    if prediction is not None:
        error = prediction.loss(judged.output[:-1], batch.action, batch.reward)
        measured["loss/reward_prediction"] = error
        measured["loss/total"] = loss.total + config.reward_prediction * error
    value = judged.value.detach()
    residual = (target - value[:-1]).var() / target.var().clamp_min(1e-8)
    return measured | {
        "learner/explained_variance": 1 - residual,
        "learner/rho": (judged.chosen.detach() - batch.behaviour_logp).exp().mean(),
        "learner/value": value.mean(),
    }


@torch.no_grad()
def returns_of(
    agent: Agent, batch: Batch, log_rho: Tensor, value: Tensor, config: AlgorithmConfig
) -> tuple[Tensor, Tensor]:
    """Value targets and advantages [T, B], of log importance ratios [T, B] and values [T+1, B]."""
    continues = ~batch.first[1:]
    discount = batch.discount * config.discount
    reward, following = config.reward_scale * batch.reward, next_values(agent, batch, value)
    args = (reward, discount, value[:-1], following, continues)
    if config.returns == "vtrace":
        corrected = vtrace(log_rho, *args, config.lambda_, config.rho_clip, config.c_clip)
        return corrected.target, corrected.advantage
    if config.returns == "n_step":
        plain = n_step(*args, config.n)
    else:
        plain = generalized_advantage(*args, 0.0 if config.returns == "td0" else config.lambda_)
    return plain.target, plain.advantage


@torch.no_grad()
def next_values(agent: Agent, batch: Batch, value: Tensor) -> Tensor:
    """V of what followed each step, [T, B]: of values [T+1, B], and where an episode was cut off, V of its real end."""
    if batch.last is None:
        return value[1:]
    last = batch.last
    action, reward = batch.action[last.time, last.row], batch.reward[last.time, last.row]
    output, _ = agent.act(Seen(last.obs, action, reward, None, last.recall), last.state)
    following = value[1:].clone()
    following[last.time, last.row] = agent.value(output).squeeze(-1)
    return following
