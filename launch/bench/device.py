"""Everything in one process, without Ray; and the parts of the benchmark that lie on the learner's device."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

from ...envs import registry
from ..config import TrainConfig
from ..engines.serial import SerialEngine
from .rate import Rate, algorithm

WARM_UP = 3
"""Updates before the clock starts."""


def finished(device: torch.device) -> None:
    """Wait until all that was asked of a device is done: its clock is not the host's."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_mb(device: torch.device) -> float | None:
    """The most memory that was in use on a GPU since the last call, in MiB; None for the CPU."""
    if device.type != "cuda":
        return None
    most = torch.cuda.max_memory_allocated(device) / 2**20
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return most


def environment_on_device(config: TrainConfig, device: torch.device, steps: int) -> Callable[[], None]:
    """A round of so many steps with random actions, drawn beforehand."""
    env = registry.tensor_task(config.task_name, **config.task_options)(config.actors.envs, device)
    env.reset(seed=0)
    actions = torch.randint(int(env.single_action_space.n), (steps, config.actors.envs), device=device)

    def work() -> None:
        for action in actions:
            env.step(action)

    return work


def one_process(config: TrainConfig, seconds: float) -> tuple[Rate, dict[str, Any]]:
    """Everything together, and where the time goes."""
    with tempfile.TemporaryDirectory() as folder:
        engine = SerialEngine(config, Path(folder), None)
        device = engine.device
        for _ in range(WARM_UP):
            engine.step()
        finished(device)
        steps, updates, env_s, acting_s, update_s = 0, 0, 0.0, 0.0, 0.0
        started, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - started < seconds:
            update = engine.step()
            finished(device)
            updates += 1
            update_s += update.metrics["learner/update_s"]
            for report in update.reports:
                steps += report.env_steps
                env_s += report.env_s
                acting_s += report.total_s
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    split = {
        "cpu_share": {"driver": 1.0},
        "actors_time": {"environment": env_s / acting_s, "network": 1 - env_s / acting_s},
        "learner_time": {"updating": update_s / wall, "acting": acting_s / wall},
        "updates_per_second": updates / wall,
        "cpu_ms_per_unroll": {},
        "lag_mean": update.metrics["learner/lag_mean"],
    }
    rate = Rate(
        name=f"{algorithm(config)} in one process ({device}), {config.actors.num} x {config.actors.envs}",
        steps_per_second=steps / wall,
        steps_per_cpu_second=steps / cpu,
        memory_mb=psutil.Process().memory_full_info().uss / 2**20,
        detail=f"{updates} updates",
        device_memory_mb=peak_mb(device),
    )
    return rate, split
