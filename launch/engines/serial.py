"""The engine of one process, without Ray: for debugging, tests, sweeps of light tasks and exact reproducibility."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...actors.rollout import UnrollReport
from ...learner import snapshot
from ...learner.checkpoint import Checkpoint
from ...learner.learner import Learner, NonFiniteLossError
from ...models.flat import Published, Vector
from ...models.process import use_one_core
from ...replay.gradient import Result
from ...replay.handoff import Handoff
from ...replay.trajectory import Array
from ..config import TrainConfig
from .protocol import WINDOW, Counters, Update
from .specs import agent_for, batch_unrolls, make_worker, pack_workers, unpack_workers, worker_specs


class SerialEngine:
    """Workers and learner take turns in this process.

    Args:
        config: of the run.
        folder: of the run, for a batch that made no finite loss.
        checkpoint: to go on from.
        weights: the agent's first weights (`learner.pretrained`), where there is no checkpoint.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        checkpoint: Checkpoint | None,
        weights: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        use_one_core()
        self._config = config
        self._folder = folder
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
        elif weights is not None:
            self._learner.load_weights(weights)
        self._handoff: Handoff[tuple[Result, UnrollReport]] = Handoff(batch_unrolls(config))
        self._published = deque([self._publish()], maxlen=config.actors.lag_updates + 1)
        self._window: deque[Mapping[str, Array]] = deque(maxlen=WINDOW)
        self._turn = 0

    @property
    def device(self) -> torch.device:
        """Of the learner."""
        return self._learner.device

    def step(self) -> Update:  # noqa: D102  # see Engine
        while (taken := self._handoff.take()) is None:
            self._handoff.learner_idle()
            worker = self._workers[self._turn % len(self._workers)]
            self._turn += 1
            if worker.params_version != self._published[0][0]:
                worker.load(*self._published[0])
            unroll = worker.unroll()
            self._window.append(unroll.info)
            self._handoff.put((unroll.result, unroll.report))
        batch = self._learner.stage([result for result, _ in taken])
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

    def parameters(self) -> Published:  # noqa: D102
        return self._learner.published()

    def _publish(self) -> tuple[int, Vector | torch.Tensor, int]:
        """As `Published`, but where the workers act."""
        if self._config.actors.device == "learner":
            progress = self._learner.progress
            return progress.updates, self._learner.parameters_tensor(), progress.env_steps
        return self.parameters()

    def checkpoint(self, extra: Mapping[str, Any]) -> Checkpoint:  # noqa: D102
        states = [worker.state() for worker in self._workers]
        return snapshot.take(self._learner, *pack_workers(extra, states))

    def close(self) -> None:  # noqa: D102
        for worker in self._workers:
            worker.close()

    def _restore_workers(self, checkpoint: Checkpoint) -> None:
        for worker, state in zip(self._workers, unpack_workers(checkpoint, len(self._workers)), strict=False):
            worker.restore(*state)
