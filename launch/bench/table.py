"""All measurements of a configuration, and the table that shows them."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import psutil
import torch
from rich.table import Table

from ...models.agent import Agent
from ..config import TrainConfig
from ..console import console
from ..engines.session import ray_session
from ..engines.specs import agent_for, batch_unrolls, worker_specs
from .device import one_process
from .memory import ENTRIES, MemoryCost, memory_cost, show_memory_costs
from .rates import Rate, acting_alone, end_to_end, environment_alone, learner_alone
from .scale import message_sizes


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
