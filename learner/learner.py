"""The learner: batched actor-critic updates of one agent. A plain class; `remote.py` wraps it for Ray.

An update evaluates the agent on the whole batch (one fused unroll), takes the gradient of the objective, and makes one
optimizer step; where actors compute gradients, it takes their mean; with PPO it makes several passes in minibatches;
with MAML it differentiates through steps of adaptation.
The agent's parameters are published as one flat vector with a version, which is the number of updates made.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.agent import Agent, AgentSpec
from ..models.flat import Published, Vector, to_tensor, to_vector
from ..replay.buffer import ReplayBuffer
from ..replay.gradient import Gradient, Result
from ..replay.trajectory import Trajectory
from .algorithm import AlgorithmConfig
from .batch import Batch, make_batch, resolve_device
from .combined import Combined, combine
from .maml import MetaUpdate
from .objective import objective
from .optimizer import make_optimizer
from .optimizer import restore as restore_optimizer
from .ppo import passes
from .reward_prediction import RewardPrediction
from .schedules import Schedule


class NonFiniteLossError(RuntimeError):
    """The loss or a gradient is NaN or infinite."""


@dataclass(frozen=True)
class Progress:
    """Counters of a run; they survive a resume."""

    updates: int = 0
    env_steps: int = 0
    """Fresh environment steps trained on."""


_PREDICTION = "reward_prediction."
"""What the names of the auxiliary head's tensors begin with in a `state`."""


class Learner:
    """Owns the agent's parameters, the optimizer, the schedules and the replay buffer.

    Args:
        spec: the agent to train.
        config: the algorithm.
        total_env_steps: length of the run, on which the schedules are laid out.
        seed: of the initial parameters, of what replay draws, and of PPO's minibatches.
        device: `auto`, `cpu` or `cuda`.
        bf16: run the network under bfloat16 autocast (GPU, pixels).
    """

    def __init__(
        self,
        spec: AgentSpec,
        config: AlgorithmConfig,
        total_env_steps: int,
        seed: int,
        device: str = "auto",
        bf16: bool = False,
    ) -> None:
        self.spec = spec
        self.config = config
        self.device = resolve_device(device)
        torch.backends.cudnn.deterministic = True  # else a resumed run on a GPU is not the run bit for bit
        self.progress = Progress()
        self._bf16, self._seed = bf16, seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.agent = Agent(spec)
        self.agent.to(self.device)
        self._reward_prediction: RewardPrediction | None = None
        self._trained = [p for p in self.agent.parameters() if p.requires_grad]
        if config.reward_prediction:
            self._reward_prediction = RewardPrediction(self.agent.core.output_size, spec.actions).to(self.device)
            self._trained += self._reward_prediction.parameters()
        self._optimizer = make_optimizer(config.optimizer, self._trained)
        self._learning_rate = Schedule.of(config.learning_rate, total_env_steps)
        self._entropy_weight = Schedule.of(config.entropy_weight, total_env_steps)
        self._replay: ReplayBuffer[Trajectory] | None = (
            ReplayBuffer(config.replay.capacity) if config.replay.ratio else None
        )
        self._rng = np.random.default_rng([seed, 1])
        self._replay_debt = 0.0

    def stage(self, results: Sequence[Result]) -> Batch | Combined:
        """Join what actors sent, all of a kind, and move it to the device. May run beside an update.

        Replayed trajectories join fresh ones; gradients are added up.
        """
        gradients = [result for result in results if isinstance(result, Gradient)]
        if gradients:
            return combine(gradients, self.device)
        trajectories = [result for result in results if isinstance(result, Trajectory)]
        replayed: list[Trajectory] = []
        if self._replay is not None:
            self._replay_debt += self.config.replay.ratio * len(trajectories)
            count = int(self._replay_debt)
            if count and len(self._replay):
                replayed = list(self._replay.sample(count, self._rng))
            self._replay_debt -= count
            for trajectory in trajectories:
                self._replay.add(trajectory)
        return make_batch(trajectories, replayed, self.device)

    def update(self, batch: Batch | Combined) -> dict[str, float]:
        """One optimizer step, or those of PPO; returns the metrics of `docs/metrics.md` under `learner/` and `loss/`.

        Raises:
            NonFiniteLossError: with all parameters as they were before.
        """
        started = time.perf_counter()
        env_steps = self.progress.env_steps
        learning_rate, entropy_weight = self._learning_rate(env_steps), self._entropy_weight(env_steps)
        if isinstance(batch, Batch) and self.config.maml.steps:
            metrics = self._meta_update(batch, learning_rate)
        elif isinstance(batch, Batch) and self.config.ppo.epochs:
            metrics = self._update_in_passes(
                passes(
                    self.agent,
                    batch,
                    self.config,
                    entropy_weight,
                    self._minibatches(),
                    self._reward_prediction,
                    self._bf16,
                ),
                learning_rate,
            )
        else:
            self._forget_gradients()
            measured = self._measure(batch, entropy_weight) if isinstance(batch, Batch) else self._take(batch)
            metrics = self._step(measured, learning_rate)
        # A learner that was replaced counts from its checkpoint; older trajectories may carry a higher version.
        lags = [max(0, self.progress.updates - version) for version in batch.params_versions]
        self.progress = Progress(self.progress.updates + 1, env_steps + batch.fresh_env_steps)
        metrics |= {
            "learner/learning_rate": learning_rate,
            "learner/entropy_weight": entropy_weight,
            "learner/lag_min": float(min(lags)),
            "learner/lag_mean": float(np.mean(lags)),
            "learner/lag_max": float(max(lags)),
            "learner/update_s": time.perf_counter() - started,
        }
        return metrics

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Start from weights that were trained before (`learner.pretrained`), by the agent's names; the others stay.

        Before the first update.

        Raises:
            RuntimeError: for a name, or a shape, that the agent does not have.
        """
        self.agent.load_state_dict({**self.agent.state_dict(), **tensors})

    def published(self) -> Published:
        """Parameters and counters for those who act."""
        return Published(self.progress.updates, self.parameters_vector(), self.progress.env_steps)

    def parameters_vector(self) -> Vector:
        """All parameters as one flat float32 array [P], for `models.flat.load_vector`."""
        return to_vector(self.agent.parameters())

    def parameters_tensor(self) -> Tensor:
        """The same as a tensor on the learner's device, a copy."""
        return to_tensor(self.agent.parameters())

    def _forget_gradients(self) -> None:
        for parameter in self._trained:
            parameter.grad = None

    def _step(self, measured: dict[str, Tensor], learning_rate: float) -> dict[str, float]:
        """An optimizer step by the gradients that are there; what was measured of them, as numbers."""
        limit = float("inf") if self.config.max_grad_norm is None else self.config.max_grad_norm
        measured["learner/grad_norm"] = torch.nn.utils.clip_grad_norm_(self._trained, limit, foreach=True)
        numbers = torch.stack([number.detach() for number in measured.values()]).tolist()  # one transfer a step
        metrics: dict[str, float] = dict(zip(measured, numbers, strict=True))
        self._check_finite(metrics)
        self._optimizer.step(learning_rate)
        return metrics

    def _check_finite(self, metrics: Mapping[str, float]) -> None:
        if not np.isfinite([metrics["loss/total"], metrics["learner/grad_norm"]]).all():
            raise NonFiniteLossError(
                f"update {self.progress.updates + 1}: loss {metrics['loss/total']}, gradient norm "
                f"{metrics['learner/grad_norm']}; lower algo.learning_rate.start or set algo.max_grad_norm"
            )

    def _meta_update(self, batch: Batch, learning_rate: float) -> dict[str, float]:
        """See `learner.maml`."""
        meta = MetaUpdate(self.agent, batch, self.config)
        if self.config.maml.outer == "ppo":
            return self._update_in_passes(meta.passes(self._minibatches()), learning_rate) | meta.measured
        metrics = {name: float(number) for name, number in meta.by_trust_region().items()}
        self._check_finite(metrics)
        return metrics | meta.measured

    def _minibatches(self) -> np.random.Generator:
        """Draws which sequences are together, by the seed and the number of the update alone: a resume repeats it."""
        return np.random.default_rng([self._seed, 2, self.progress.updates])

    def _update_in_passes(self, objectives: Iterable[dict[str, Tensor]], learning_rate: float) -> dict[str, float]:
        """An optimizer step of each objective that comes, all of them or none; means over them."""
        changed = [*self._trained, *itertools.chain.from_iterable(self._optimizer.slots.values())]
        before = [tensor.detach().clone() for tensor in changed]
        steps = []
        try:
            for measured in objectives:
                self._forget_gradients()
                measured["loss/total"].backward()
                steps.append(self._step(measured, learning_rate))
        except NonFiniteLossError:
            with torch.no_grad():
                for tensor, old in zip(changed, before, strict=True):
                    tensor.copy_(old)
            raise
        return {name: float(np.mean([step[name] for step in steps])) for name in steps[0]} | {
            "learner/steps": float(len(steps))
        }

    def _measure(self, batch: Batch, entropy_weight: float) -> dict[str, Tensor]:
        """The gradient of a batch, and what is measured of it."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            output = self.agent.outputs(batch.seen, batch.initial_state)
        measured = objective(
            self.agent, batch, output, self.config, entropy_weight, self._reward_prediction, self._bf16
        )
        measured["loss/total"].backward()
        return measured

    def _take(self, combined: Combined) -> dict[str, Tensor]:
        """The gradient that actors computed, and what they measured."""
        parts = combined.gradient.split([parameter.numel() for parameter in self._trained])
        for parameter, part in zip(self._trained, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        return {name: combined.gradient.new_tensor(number) for name, number in combined.metrics.items()}

    # Exact resume ------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything needed to go on from here (the replay buffer apart): copies of tensors, and plain JSON."""
        tensors = {f"agent.{name}": tensor.detach() for name, tensor in self.agent.state_dict().items()}
        if self._reward_prediction is not None:
            tensors |= {_PREDICTION + name: t.detach() for name, t in self._reward_prediction.state_dict().items()}
        for slot, kept in self._optimizer.slots.items():
            tensors |= {f"optimizer.{index}.{slot}": tensor for index, tensor in enumerate(kept)}
        scalars = {
            "updates": self.progress.updates,
            "env_steps": self.progress.env_steps,
            "rng": self._rng.bit_generator.state,
            "replay_debt": self._replay_debt,
        }
        return {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}, scalars

    def restore(self, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        """Go on from a `state` of a learner with the same agent and optimizer.

        A reward prediction that was not trained until now starts from nothing; one that is no longer is dropped.
        """
        self.agent.load_state_dict(
            {k.removeprefix("agent."): tensor for k, tensor in tensors.items() if k.startswith("agent.")}
        )
        predicts = {k.removeprefix(_PREDICTION): t for k, t in tensors.items() if k.startswith(_PREDICTION)}
        if self._reward_prediction is not None and predicts:
            self._reward_prediction.load_state_dict(predicts)
        kept = {k.removeprefix("optimizer."): tensor for k, tensor in tensors.items() if k.startswith("optimizer.")}
        restore_optimizer(self._optimizer, kept)
        self.progress = Progress(scalars["updates"], scalars["env_steps"])
        self._rng.bit_generator.state = scalars["rng"]
        self._replay_debt = scalars["replay_debt"]
