"""All measurements of a configuration, and the table that shows them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import psutil
from rich.table import Table

from ...models.agent import Agent
from ...models.process import use_one_core
from ..config import TrainConfig
from ..console import console
from ..engines.session import ray_session
from ..engines.specs import agent_for, batch_unrolls, worker_specs
from .measurements import beside_jax, in_one_process, measured, parts, through_ray
from .memory import ENTRIES, MemoryCost, memory_cost, show_memory_costs
from .scale import message_sizes


def measure(
    config: TrainConfig,
    seconds: float,
    repeats: int,
    actor_counts: Sequence[int],
    simulated: Sequence[int],
    jax: bool,
) -> dict[str, Any]:
    """All rows, and where the time goes in the last ones.

    Args:
        config: task, network and shapes.
        seconds: of each measurement.
        repeats: of each measurement.
        actor_counts: end to end with so many actors, one after the other.
        simulated: the same with producers that play nothing.
        jax: race against one XLA program, where there can be a race.
    """
    use_one_core()
    agent, costs = agent_for(config), []
    if Agent(agent).has_memory:
        with console.status("episodic memory"):
            costs = [memory_cost(agent, config.actors.envs, entries, seconds / 5) for entries in ENTRIES]
    if config.actors.device == "learner":
        actor_counts = simulated = ()
    ray_rows = through_ray(config, actor_counts, simulated)
    rows = [*parts(config), *in_one_process(config), *ray_rows, *(beside_jax(config) if jax else [])]
    largest = dataclasses.replace(config, actors=dataclasses.replace(config.actors, num=max(actor_counts, default=1)))
    with ray_session(largest) if ray_rows else contextlib.nullcontext():
        rates, splits = measured(rows, seconds, repeats)
    return {
        "task": config.task_name,
        "core": config.model.core,
        "hidden_sizes": config.model.hidden_sizes,
        "unroll_length": config.algo.unroll_length,
        "envs": config.actors.envs,
        "batch_unrolls": batch_unrolls(config),
        "cpus": psutil.cpu_count(),
        "repeats": repeats,
        "rates": [dataclasses.asdict(rate) for rate in rates],
        "memory": [dataclasses.asdict(cost) for cost in costs],
        "messages": message_sizes(worker_specs(config)[0]),
        "actors_per_learner": rates[2].steps_per_cpu_second / rates[1].steps_per_cpu_second,
        "end_to_end": splits,
    }


def _thousands(steps: float, extremes: Sequence[float], repeats: int) -> str:
    """The median, with the smallest and the largest beside it where there are several."""
    shown = f"{steps / 1000:,.0f}"
    return shown if repeats == 1 else f"{shown} ({extremes[0] / 1000:,.0f}-{extremes[1] / 1000:,.0f})"


def show(result: dict[str, Any]) -> None:
    """The table, and where the time goes."""
    repeats = result["repeats"]
    of = "" if repeats == 1 else f"; median of {repeats} (smallest-largest)"
    title = f"{result['task']}, {result['core']} {list(result['hidden_sizes'])}; thousands of steps{of}"
    table = Table(title=title, title_justify="left")
    on_gpu = any(rate["device_memory_mb"] is not None for rate in result["rates"])
    table.add_column("what")
    for column in ("k steps/s", "k steps/CPU-s", "MiB", *(["GPU MiB"] if on_gpu else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for rate in result["rates"]:
        memory = "" if rate["device_memory_mb"] is None else f"{rate['device_memory_mb']:,.0f}"
        table.add_row(
            rate["name"],
            _thousands(rate["steps_per_second"], rate["steps_per_second_range"], repeats),
            _thousands(rate["steps_per_cpu_second"], rate["steps_per_cpu_second_range"], repeats),
            f"{rate['memory_mb']:,.0f}",
            *([memory] if on_gpu else []),
        )
    console.print(table)
    if result["memory"]:
        show_memory_costs([MemoryCost(**cost) for cost in result["memory"]])
    sizes = result["messages"]
    console.print(
        f"an unroll of {sizes['unroll_env_steps']:,} steps is {sizes['trajectory_kib']:,.0f} KiB, the parameters (and "
        f"their gradient) are {sizes['parameters_kib']:,.0f} KiB; {result['actors_per_learner']:.1f} actors saturate "
        "the learner"
    )
    for name, split in result["end_to_end"].items():
        console.print(_where_the_time_goes(name, split), highlight=False)


def _where_the_time_goes(name: str, split: dict[str, Any]) -> str:
    actors, learner, cost = split["actors_time"], split["learner_time"], split["cpu_ms_per_unroll"]
    if not cost:
        return (
            f"{name}: {learner['acting']:.0%} of the time is acting (of which {actors['environment']:.0%} is "
            f"environment), {learner['updating']:.0%} updates; {split['updates_per_second']:.1f} updates/s"
        )
    shares = ", ".join(f"{role} {share:.0%}" for role, share in split["cpu_share"].items())
    return (
        f"{name}: an unroll is {actors['environment']:.0%} environment, {actors['network']:.0%} network; the learner "
        f"updates {learner['updating']:.0%} of the time and waits for data {learner['waiting_for_data']:.0%}; "
        f"{split['updates_per_second']:.1f} updates/s, lag {split['lag_mean']:.1f}; CPU: {shares}; an unroll costs the "
        f"driver {cost['driver']:.1f} and Ray {cost['ray']:.1f} CPU-ms"
    )
