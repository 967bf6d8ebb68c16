"""PPO of recurrent policies (Schulman et al. 2017): several passes over a batch, in minibatches of whole unrolls.

Advantages and value targets are computed once, by the parameters that played. Then each minibatch, some of the batch's
B sequences from their stored initial states, is evaluated by the newest parameters, and one optimizer step is made of
it; the clipped ratio of both policies keeps them close. The learner drives this; everything here is arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..models.agent import Agent
from .algorithm import AlgorithmConfig, PPOConfig
from .batch import Batch
from .losses import Losses
from .objective import Judged, judge, measures, returns_of
from .reward_prediction import RewardPrediction


@dataclass(frozen=True)
class Played:
    """What stays the same in all passes; [T, B]."""

    target: Tensor
    """What the value is regressed on."""
    advantage: Tensor
    value: Tensor
    """V by the parameters that played."""

    def rows(self, index: Tensor) -> Played:
        """Those of some sequences [n]."""
        return Played(*(tensor.index_select(1, index) for tensor in (self.target, self.advantage, self.value)))


def clipped_surrogate(log_ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """-min(ρ A, clip(ρ, 1 - ε, 1 + ε) A), element by element (equation 7 of the paper, as a loss).

    Args:
        log_ratio: log π(a) - log μ(a).
        advantage: A, of the same shape.
        clip: ε.
    """
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def clipped_regression(value: Tensor, before: Tensor, target: Tensor, clip: float | None) -> Tensor:
    """½ (target - V)², element by element; with `clip` the larger of it and that of V held within ± clip of `before`.

    Args:
        value: V.
        before: V by the parameters that played.
        target: of the regression.
        clip: in units of the value; None: no clipping.
    """
    error = (target - value).square()
    if clip is not None:
        held = before + (value - before).clamp(-clip, clip)
        error = torch.maximum(error, (target - held).square())
    return 0.5 * error


def ppo_losses(
    judged: Judged, batch: Batch, played: Played, config: AlgorithmConfig, entropy_weight: float
) -> tuple[Losses, dict[str, Tensor]]:
    """The losses of a minibatch, each a mean over T x n, and what tells how far the policy has moved."""
    advantage, log_ratio = played.advantage, judged.chosen - batch.behaviour_logp
    if config.ppo.normalize_advantage:
        advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
    policy = clipped_surrogate(log_ratio, advantage, config.ppo.clip).mean()
    regression = clipped_regression(judged.value[:-1], played.value, played.target, config.ppo.value_clip).mean()
    entropy = judged.entropies.mean()
    total = policy + config.value_weight * regression - entropy_weight * entropy
    moved = log_ratio.detach()
    return Losses(total, policy, regression, entropy), {
        # Never negative, and of less variance than the mean of -log ρ (Schulman 2020, "Approximating KL divergence").
        "learner/kl": (moved.exp() - 1 - moved).mean(),
        "learner/clip_share": ((moved.exp() - 1).abs() > config.ppo.clip).float().mean(),
    }


def passes(
    agent: Agent,
    batch: Batch,
    config: AlgorithmConfig,
    entropy_weight: float,
    rng: np.random.Generator,
    prediction: RewardPrediction | None = None,
    bf16: bool = False,
) -> Iterator[dict[str, Tensor]]:
    """The objective of one minibatch after the other (as `objective.objective` gives it).

    Whoever asks for the next one has made an optimizer step of the last. It ends after the passes that the settings ask
    for, or after the first in which the policy has moved by more than `target_kl`.

    Args:
        agent: whose parameters change from one minibatch to the next.
        batch: T steps of B episodes.
        config: the algorithm, with `ppo`.
        entropy_weight: β_e.
        rng: draws which sequences are together.
        prediction: the head of the auxiliary loss, where there is one.
        bf16: under bfloat16 autocast.
    """
    with torch.no_grad():
        judged = judge(agent, batch, _outputs(agent, batch, bf16), bf16)
        target, advantage = returns_of(agent, batch, torch.zeros_like(judged.chosen), judged.value, config)
    played = Played(target, advantage, judged.value[:-1])

    def objective(index: Tensor) -> dict[str, Tensor]:
        part, its = batch.rows(index), played.rows(index)
        output = _outputs(agent, part, bf16)
        judged = judge(agent, part, output, bf16)
        losses, told = ppo_losses(judged, part, its, config, entropy_weight)
        return measures(losses, judged, part, its.target, config, prediction) | told

    return in_minibatches(objective, batch.reward.shape[1], config.ppo, rng, batch.reward.device)


def in_minibatches(
    objective: Callable[[Tensor], dict[str, Tensor]],
    count: int,
    settings: PPOConfig,
    rng: np.random.Generator,
    device: torch.device,
) -> Iterator[dict[str, Tensor]]:
    """The objective of one minibatch after the other, pass after pass, as `passes` tells.

    Args:
        objective: of the sequences with these indices [n]; among others `learner/kl`, how far the policy has moved.
        count: of sequences.
        settings: how many passes and minibatches, and what ends them.
        rng: draws which sequences are together.
        device: of the indices.
    """
    for _ in range(settings.epochs):
        order = torch.from_numpy(rng.permutation(count)).to(device)
        moved = []
        for index in order.tensor_split(min(settings.minibatches, count)):
            measured = objective(index)
            moved.append(measured["learner/kl"].detach())
            yield measured
        if settings.target_kl is not None and torch.stack(moved).mean().item() > settings.target_kl:
            return


def _outputs(agent: Agent, batch: Batch, bf16: bool) -> Tensor:
    with torch.autocast(batch.reward.device.type, dtype=torch.bfloat16, enabled=bf16):
        return agent.outputs(batch.seen, batch.initial_state)
