"""From the configuration of a run to what its processes are built from, and the workers' part of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...actors.adapting import make_rollout_worker
from ...actors.device_rollout import DeviceRollout
from ...actors.rollout import RolloutWorker, WorkerSpec, agent_spec
from ...envs import registry
from ...learner import snapshot
from ...learner.checkpoint import Checkpoint
from ...learner.objective import Objective
from ...models.agent import AgentSpec
from ...replay.trajectory import Array
from ..config import TrainConfig


def worker_specs(config: TrainConfig) -> list[WorkerSpec]:
    """One spec for each actor of a run."""
    by_actors = config.algo.gradients == "actors"
    objective = Objective(config.algo, config.run.env_steps) if by_actors else None
    return [
        WorkerSpec(
            task=config.task_name,
            task_options=config.task_options,
            model=config.model,
            num_envs=config.actors.envs,
            unroll_length=config.algo.played_steps,
            seed=config.seed,
            actor_id=actor_id,
            codes=not config.algo.maml.steps,
            objective=objective,
            adaptation=config.algo if config.algo.maml.steps else None,
        )
        for actor_id in range(config.actors.num)
    ]


Worker = RolloutWorker | DeviceRollout


def make_worker(config: TrainConfig, spec: WorkerSpec, device: torch.device) -> Worker:
    """What plays in this process: on the host, or on `device` with `actors.device=learner`."""
    if config.actors.device == "learner":
        return DeviceRollout(spec, device, config.learner.bf16)
    return make_rollout_worker(spec)


def agent_for(config: TrainConfig) -> AgentSpec:
    """The agent of a run, from the task's spaces."""
    return agent_spec(registry.make_vector(config.task_name, 1, **config.task_options), config.model)


def batch_unrolls(config: TrainConfig) -> int:
    """Trajectories in one update: all actors' if the algorithm is synchronous."""
    return config.actors.num if config.algo.synchronous else config.algo.batch_unrolls


WorkerState = tuple[dict[str, Array], dict[str, Any]]


def pack_workers(extra: Mapping[str, Any], states: Sequence[WorkerState]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Workers' states in the form of a checkpoint: JSON beside `extra`, and named arrays."""
    arrays = {f"{i}.{name}": array for i, (part, _) in enumerate(states) for name, array in part.items()}
    return {**extra, "workers": [scalars for _, scalars in states]}, arrays


def unpack_workers(checkpoint: Checkpoint, count: int) -> list[WorkerState]:
    """The states that `pack_workers` packed, or none if the checkpoint holds those of another number of workers."""
    saved = checkpoint.scalars.get("workers", [])
    if len(saved) != count:
        return []
    arrays = snapshot.worker_arrays_of(checkpoint)

    def part(i: int) -> dict[str, Array]:
        return {name.removeprefix(f"{i}."): array for name, array in arrays.items() if name.startswith(f"{i}.")}

    return [(part(i), scalars) for i, scalars in enumerate(saved)]
