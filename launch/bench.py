"""`prefrontal bench`: how fast this machine trains, and what limits it. Prints a table and writes JSON.

In one run, for one task, network and batch shape: the environment alone, acting alone, the learner alone (the same
update on one batch, again and again), and everything together through Ray. Rates are environment steps per second of
wall time and per CPU-second of *all* processes (driver, learner, actors and Ray's own). Steps are trained steps, except
in the first two rows. A network with an episodic memory is measured beside a plain LSTM of the same size.

With `actors.device=learner` everything is measured on the learner's device, in one process without Ray.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import psutil
import torch
from omegaconf import DictConfig
from rich.table import Table

from ..envs import registry
from ..learner.batch import resolve_device
from ..learner.learner import Learner
from ..models.agent import Agent
from .bench_device import environment_on_device, finished, one_process, peak_mb
from .bench_memory import ENTRIES, MemoryCost, memory_cost, show_memory_costs
from .bench_scale import message_sizes, simulated_actors
from .config import TrainConfig, train_config
from .console import console
from .engine import Worker, agent_for, batch_unrolls, make_worker, worker_specs
from .failures import reported
from .session import ray_session


@dataclass(frozen=True)
class Rate:
    """One row of the table."""

    name: str
    steps_per_second: float
    steps_per_cpu_second: float
    memory_mb: float
    """Of all processes; memory that they share is counted once (USS)."""
    detail: str
    device_memory_mb: float | None = None
    """The most that was in use on a GPU."""


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
    rng = np.random.default_rng(0)
    actions = rng.integers(env.single_action_space.n, size=(100, envs))  # type: ignore[attr-defined]

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
    from .ray_engine import RayEngine

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
    name = f"end to end through Ray, {config.actors.num} {kind}actor(s)"
    return Rate(name, steps / wall, steps / sum(used.values()), memory, f"CPU: {shown}"), split


def measure(config: TrainConfig, seconds: float, actor_counts: list[int], simulated: list[int]) -> dict[str, Any]:
    """All rows, and where the time goes in the last ones.

    Args:
        config: task, network and shapes.
        seconds: of each measurement.
        actor_counts: end to end with so many actors, one after the other.
        simulated: the same with producers that play nothing.
    """
    torch.set_num_threads(1)
    rates, splits = [], {}
    rows = [(environment_alone, config), (acting_alone, config), (learner_alone, config)]
    agent, costs = agent_for(config), []
    if Agent(agent).has_memory:
        plain = dataclasses.replace(config, model=dataclasses.replace(config.model, core="lstm"))
        rows += [(acting_alone, plain), (learner_alone, plain)]
        with console.status("episodic memory"):
            costs = [memory_cost(agent, config.actors.envs, entries, seconds / 5) for entries in ENTRIES]
    for alone, what in rows:
        with console.status(alone.__name__.replace("_", " ")):
            rates.append(alone(what, seconds))
    if config.actors.device == "learner":
        with console.status("end to end in one process"):
            done, splits["in this process"] = one_process(config, seconds)
        rates.append(Rate(**done))
        actor_counts = simulated = []
    largest = dataclasses.replace(config, actors=dataclasses.replace(config.actors, num=max(actor_counts, default=1)))
    runs = [(count, False) for count in actor_counts] + [(count, True) for count in simulated]
    with ray_session(largest) if runs else contextlib.nullcontext():
        for count, without_play in runs:
            cpus = 0 if without_play else config.actors.cpus
            actors = dataclasses.replace(config.actors, num=count, cpus=cpus)
            with console.status(f"end to end, {count} actor(s)"):
                rate, split = end_to_end(dataclasses.replace(config, actors=actors), seconds, without_play)
            rates.append(rate)
            splits[f"{count} simulated" if without_play else str(count)] = split
    return {
        "task": config.task_name,
        "core": config.model.core,
        "hidden_sizes": config.model.hidden_sizes,
        "unroll_length": config.algo.unroll_length,
        "envs": config.actors.envs,
        "batch_unrolls": batch_unrolls(config),
        "cpus": psutil.cpu_count(),
        "rates": [dataclasses.asdict(rate) for rate in rates],
        "memory": [dataclasses.asdict(cost) for cost in costs],
        "messages": message_sizes(worker_specs(config)[0]),
        "actors_per_learner": rates[2].steps_per_cpu_second / rates[1].steps_per_cpu_second,
        "end_to_end": splits,
    }


def show(result: dict[str, Any]) -> None:
    """The table, and where the time goes."""
    table = Table(title=f"{result['task']}, {result['core']} {list(result['hidden_sizes'])}", title_justify="left")
    for column in ("what", "steps/s", "steps/CPU-s", "memory MiB", "GPU MiB", ""):
        table.add_column(column, justify="left" if column in ("what", "") else "right")
    for rate in result["rates"]:
        table.add_row(
            rate["name"],
            f"{rate['steps_per_second']:,.0f}",
            f"{rate['steps_per_cpu_second']:,.0f}",
            f"{rate['memory_mb']:,.0f}",
            "" if rate["device_memory_mb"] is None else f"{rate['device_memory_mb']:,.0f}",
            rate["detail"],
        )
    console.print(table)
    if result["memory"]:
        show_memory_costs([MemoryCost(**cost) for cost in result["memory"]])
    sizes = result["messages"]
    console.print(
        f"an unroll of {sizes['unroll_env_steps']:,} steps is {sizes['trajectory_kib']:,.0f} KiB, the parameters are "
        f"{sizes['parameters_kib']:,.0f} KiB; {result['actors_per_learner']:.1f} actors saturate the learner"
    )
    for count, split in result["end_to_end"].items():
        actors, learner, cost = split["actors_time"], split["learner_time"], split["cpu_ms_per_unroll"]
        if not cost:
            console.print(
                f"{count}: {learner['acting']:.0%} of the time is acting (of which {actors['environment']:.0%} is "
                f"environment), {learner['updating']:.0%} updates; {split['updates_per_second']:.1f} updates/s"
            )
            continue
        console.print(
            f"{count} actor(s): an unroll is {actors['environment']:.0%} environment, {actors['network']:.0%} network; "
            f"the learner updates {learner['updating']:.0%} of the time and waits for data "
            f"{learner['waiting_for_data']:.0%}; {split['updates_per_second']:.1f} updates/s, "
            f"lag {split['lag_mean']:.1f}; an unroll costs the driver {cost['driver']:.1f} and Ray {cost['ray']:.1f} "
            "CPU-ms"
        )


def run(composed: DictConfig) -> None:
    """Measure, show, write."""
    with reported():
        options = composed.bench
        counts, simulated = list(options.actor_counts), list(options.simulated_actors)
        result = measure(train_config(composed), float(options.seconds), counts, simulated)
        show(result)
        Path(options.out).write_text(json.dumps(result, indent=2) + "\n")
        console.print(f"written to {options.out}", style="dim")


main = hydra.main(config_path="pkg://prefrontal.conf", config_name="bench", version_base="1.3")(run)
"""Entry point of the verb; see the module's text."""

if __name__ == "__main__":
    main()
