"""Environment, acting, learner and the whole system, each measured by itself: one `Rate` a piece of work."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from ...envs import registry
from ...learner.batch import resolve_device
from ...learner.learner import Learner
from ..config import TrainConfig
from ..engines.specs import Worker, agent_for, batch_unrolls, make_worker, worker_specs
from .device import environment_on_device, finished, peak_mb
from .rate import Rate, algorithm
from .scale import simulated_actors


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _family() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _used() -> dict[int, tuple[str, float]]:
    """CPU seconds of this process and all that it started, by process id, with a role for each."""
    used = {}
    for process in _family():
        try:
            used[process.pid] = (_role(process), cpu_seconds(process))
        except psutil.NoSuchProcess:
            continue
    return used


def _role(process: psutil.Process) -> str:
    if process.pid == psutil.Process().pid:
        return "driver"
    title = " ".join(process.cmdline()) or process.name()
    for sign, role in (("RemoteLearner", "learner"), ("Rollouts", "actors"), ("Producer", "actors")):
        if sign in title:
            return role
    return "ray"


def _memory_mb() -> float:
    total = 0
    for process in _family():
        try:
            total += process.memory_full_info().uss
        except psutil.Error:
            continue
    return total / 2**20


def _alone(name: str, steps: int, seconds: float, work: Callable[[], object], device: torch.device) -> Rate:
    """Rate of a piece of work of `steps` environment steps in this process."""
    for _ in range(3):
        work()
    finished(device)
    rounds, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        work()
        finished(device)
        rounds += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    done = rounds * steps
    memory = psutil.Process().memory_full_info().uss / 2**20
    return Rate(name, done / wall, done / cpu, memory, f"{rounds} rounds", peak_mb(device))


def _device(config: TrainConfig) -> torch.device:
    """Where episodes are played."""
    return resolve_device(config.learner.device) if config.actors.device == "learner" else torch.device("cpu")


def _worker(config: TrainConfig) -> Worker:
    return make_worker(config, worker_specs(config)[0], _device(config))


def environment_alone(config: TrainConfig, seconds: float) -> Rate:
    """Random actions, drawn beforehand."""
    envs, device = config.actors.envs, _device(config)
    name = f"environment alone, {envs} episodes"
    if config.actors.device == "learner":
        return _alone(f"{name} ({device})", 100 * envs, seconds, environment_on_device(config, device, 100), device)
    env = registry.make_vector(config.task_name, envs, **config.task_options)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(100)]

    def work() -> None:
        for action in actions:
            env.step(action)

    return _alone(name, 100 * envs, seconds, work, device)


def acting_alone(config: TrainConfig, seconds: float) -> Rate:
    """Environment and network, as in an actor."""
    worker = _worker(config)
    envs, length = config.actors.envs, config.algo.unroll_length
    name = f"acting alone, {envs} episodes, {config.model.agent_name}"
    return _alone(name, envs * length, seconds, worker.unroll, _device(config))


def learner_alone(config: TrainConfig, seconds: float) -> Rate:
    """The update on one batch that is already on the device."""
    worker = _worker(config)
    learner = Learner(agent_for(config), config.algo, 10**12, config.seed, config.learner.device, config.learner.bf16)
    batch = learner.stage([worker.unroll().trajectory for _ in range(batch_unrolls(config))])
    envs = config.actors.envs * batch_unrolls(config)
    name = f"learner alone, {envs} x {config.algo.unroll_length} ({learner.device}), {config.model.agent_name}"
    del worker
    return _alone(name, batch.fresh_env_steps, seconds, lambda: learner.update(batch), learner.device)


def end_to_end(config: TrainConfig, seconds: float, simulated: bool = False) -> tuple[Rate, dict[str, Any]]:
    """Everything through Ray with `config.actors.num` actors, real or simulated; Ray must be running."""
    from ..engines.distributed import RayEngine

    with tempfile.TemporaryDirectory() as folder:
        producers = simulated_actors(worker_specs(config)[0]) if simulated else None
        engine = RayEngine(config, Path(folder), None, lambda: False, producers)
        try:
            for _ in range(20):
                engine.step()
            before, counters, started = _used(), engine.counters(), time.perf_counter()
            steps, updates, shares, update_s = 0, 0, [], 0.0
            while time.perf_counter() - started < seconds:
                update = engine.step()
                updates += 1
                steps += sum(report.env_steps for report in update.reports)
                shares += [(r.env_s, r.inference_s) for r in update.reports]
                update_s += update.metrics["learner/update_s"]
            wall, after, now = time.perf_counter() - started, _used(), engine.counters()
            memory = _memory_mb()
        finally:
            engine.close()
    used: dict[str, float] = {}
    for pid, (role, spent) in after.items():
        used[role] = used.get(role, 0.0) + spent - before.get(pid, (role, 0.0))[1]
    env_s, inference_s = np.sum(shares, axis=0)
    split: dict[str, Any] = {
        "cpu_share": {role: value / sum(used.values()) for role, value in sorted(used.items())},
        "actors_time": {"environment": env_s / (env_s + inference_s), "network": inference_s / (env_s + inference_s)},
        "learner_time": {
            "updating": update_s / wall,
            "waiting_for_data": (now.learner_waited_s - counters.learner_waited_s) / wall,
        },
        "updates_per_second": updates / wall,
        "cpu_ms_per_unroll": {role: 1000 * used.get(role, 0.0) / len(shares) for role in ("driver", "ray")},
        "lag_mean": update.metrics["learner/lag_mean"],
    }
    shown = ", ".join(f"{role} {share:.0%}" for role, share in split["cpu_share"].items())
    kind = "simulated " if simulated else ""
    name = f"{algorithm(config)} through Ray, {config.actors.num} {kind}actor(s) x {config.actors.envs}"
    return Rate(name, steps / wall, steps / sum(used.values()), memory, f"CPU: {shown}"), split
