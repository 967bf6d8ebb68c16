"""An engine makes updates: it moves trajectories from workers to a learner. This one does it in one process, no Ray.

`SerialEngine` is for debugging, tests, sweeps of light tasks (one replica a core) and exact reproducibility;
`ray_engine.RayEngine` does the same with processes. `train.py` drives either through `Engine`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from ..actors.device_rollout import DeviceRollout
from ..actors.rollout import RolloutWorker, UnrollReport, WorkerSpec, agent_spec
from ..envs import registry
from ..learner import snapshot
from ..learner.checkpoint import Checkpoint, CheckpointFolder
from ..learner.learner import Learner, NonFiniteLossError
from ..models.agent import AgentSpec
from ..models.flat import Vector
from ..replay.handoff import Handoff
from ..replay.trajectory import Array, Trajectory
from .config import TrainConfig


class Interrupted(Exception):  # noqa: N818  # not an error: the user's wish
    """The training was asked to stop while it waited for an update."""


class StoreFullError(RuntimeError):
    """The trajectories on their way fit neither into Ray's object store nor onto the disk where it spills."""


class LearnerFailedError(RuntimeError):
    """The learner's process died or could not start."""


class LearnerReplaced(Exception):  # noqa: N818  # not an error: the training goes on
    """The learner's process died; another one stands in its place.

    Attributes:
        checkpoint: where the new one goes on from, None for the start of the run. Updates after it are lost.
    """

    def __init__(self, reason: str, checkpoint: Checkpoint | None) -> None:
        super().__init__(reason)
        self.checkpoint = checkpoint


WINDOW = 8
"""Unrolls whose trials the training curves are computed from."""


@dataclass(frozen=True)
class Update:
    """What one update tells."""

    metrics: Mapping[str, float]
    """See `docs/metrics.md`."""
    reports: Sequence[UnrollReport]
    """Of the fresh trajectories in it."""


@dataclass(frozen=True)
class Counters:
    """Totals since the engine started, from which rates are computed."""

    learner_waited_s: float
    """The learner had nothing to do."""
    data_waited_s: float
    """Finished trajectories lay before the learner took them (summed over trajectories)."""
    taken: int
    """Trajectories that the learner took."""
    actors: int
    """Actors that play at present."""
    restarts: int
    """Actors that were replaced."""
    learner_restarts: int
    """Learners that were replaced."""


class Engine(Protocol):
    """What drives a training: one call of `step` is one update."""

    def step(self) -> Update:
        """Make one update.

        Raises:
            Interrupted: if a stop was asked for.
            LearnerReplaced: if the learner died and another one stands.
        """

    def counters(self) -> Counters:
        """Totals so far."""

    def window(self) -> list[Mapping[str, Array]]:
        """The task's truth of the last few unrolls, see `RolloutWorker.unroll`."""

    def parameters(self) -> tuple[int, Vector]:
        """Version and parameters as they are now."""

    def save(self, extra: Mapping[str, Any], best: bool) -> None:
        """Write a checkpoint; `extra` is plain JSON that joins it. Raises `LearnerReplaced` as `step` does."""

    def close(self) -> None:
        """End all processes."""


def worker_specs(config: TrainConfig) -> list[WorkerSpec]:
    """One spec for each actor of a run."""
    return [
        WorkerSpec(
            task=config.task_name,
            task_options=config.task_options,
            model=config.model,
            num_envs=config.actors.envs,
            unroll_length=config.algo.unroll_length,
            seed=config.seed,
            actor_id=actor_id,
        )
        for actor_id in range(config.actors.num)
    ]


Worker = RolloutWorker | DeviceRollout


def make_worker(config: TrainConfig, spec: WorkerSpec, device: torch.device) -> Worker:
    """What plays in this process: on the host, or on `device` with `actors.device=learner`."""
    if config.actors.device == "learner":
        return DeviceRollout(spec, device, config.learner.bf16)
    return RolloutWorker(spec)


def agent_for(config: TrainConfig) -> AgentSpec:
    """The agent of a run, from the task's spaces."""
    return agent_spec(registry.make_vector(config.task_name, 1, **config.task_options), config.model)


def batch_unrolls(config: TrainConfig) -> int:
    """Trajectories in one update: all actors' if the algorithm is synchronous."""
    return config.actors.num if config.algo.synchronous else config.algo.batch_unrolls


class SerialEngine:
    """Workers and learner take turns in this process.

    Args:
        config: of the run.
        folder: of the run, for checkpoints.
        checkpoint: to go on from.
        encoder: the encoder's first weights (`learner.pretrained`), where there is no checkpoint.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        checkpoint: Checkpoint | None,
        encoder: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        torch.set_num_threads(1)
        self._config = config
        self._folder = folder
        self._checkpoints = CheckpointFolder(folder / "checkpoints", config.run.keep_checkpoints)
        self._learner = Learner(
            agent_for(config),
            config.algo,
            config.run.env_steps,
            config.seed,
            config.learner.device,
            config.learner.bf16,
        )
        self._workers = [make_worker(config, spec, self._learner.device) for spec in worker_specs(config)]
        if checkpoint is not None:
            snapshot.restore(self._learner, checkpoint)
            self._restore_workers(checkpoint)
        elif encoder is not None:
            self._learner.load_encoder(encoder)
        self._handoff: Handoff[tuple[Trajectory, UnrollReport]] = Handoff(batch_unrolls(config))
        self._published = deque([self._publish()], maxlen=config.actors.lag_updates + 1)
        self._window: deque[Mapping[str, Array]] = deque(maxlen=WINDOW)
        self._turn = 0

    @property
    def device(self) -> torch.device:
        """Of the learner."""
        return self._learner.device

    def step(self) -> Update:  # noqa: D102  # see Engine
        while (taken := self._handoff.take()) is None:
            worker = self._workers[self._turn % len(self._workers)]
            self._turn += 1
            if worker.params_version != self._published[0][0]:
                worker.load(*self._published[0])
            unroll = worker.unroll()
            self._window.append(unroll.info)
            self._handoff.put((unroll.trajectory, unroll.report))
        batch = self._learner.stage([trajectory for trajectory, _ in taken])
        try:
            metrics = self._learner.update(batch)
        except NonFiniteLossError as error:
            path = snapshot.save_batch(self._folder, snapshot.batch_arrays(batch))
            raise NonFiniteLossError(f"{error}; the batch lies in {path}") from None
        if self._learner.progress.updates % self._config.algo.broadcast_every == 0:
            self._published.append(self._publish())
        return Update(metrics, [report for _, report in taken])

    def counters(self) -> Counters:  # noqa: D102
        handoff = self._handoff
        return Counters(handoff.learner_waited_s, handoff.data_waited_s, handoff.taken, len(self._workers), 0, 0)

    def window(self) -> list[Mapping[str, Array]]:  # noqa: D102
        return list(self._window)

    def parameters(self) -> tuple[int, Vector]:  # noqa: D102
        return self._learner.progress.updates, self._learner.parameters_vector()

    def _publish(self) -> tuple[int, Vector | torch.Tensor]:
        """Version and parameters for the workers, where they act."""
        if self._config.actors.device == "learner":
            return self._learner.progress.updates, self._learner.parameters_tensor()
        return self.parameters()

    def save(self, extra: Mapping[str, Any], best: bool) -> None:  # noqa: D102
        states = [worker.state() for worker in self._workers]
        self._checkpoints.save(snapshot.take(self._learner, *pack_workers(extra, states)), best)

    def close(self) -> None:  # noqa: D102
        pass

    def _restore_workers(self, checkpoint: Checkpoint) -> None:
        for worker, state in zip(self._workers, unpack_workers(checkpoint, len(self._workers)), strict=False):
            worker.restore(*state)


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
