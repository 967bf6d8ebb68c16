"""What an episodic memory costs: time of a look-up and a write as it fills, and the room that a life takes."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from ...models.agent import Agent, AgentSpec
from ...models.dnd import Dictionary
from ..console import console

ENTRIES = (100, 1000, 10_000)


@dataclass(frozen=True)
class MemoryCost:
    """One row of the table; times are of CPU, for all lives of an actor together."""

    entries: int
    """In each life; all are in use."""
    lives: int
    read_us: float
    """A query of each life that differs from its last one."""
    repeated_read_us: float
    """The same query again, nothing written in between."""
    write_us: float
    kb_per_life: float


def _cost_us(work: Callable[[], object], seconds: float) -> float:
    work()
    rounds, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        work()
        rounds += 1
    return 1e6 * (time.process_time() - started) / rounds


def memory_cost(spec: AgentSpec, lives: int, entries: int, seconds: float) -> MemoryCost:
    """Of the memory of an agent, filled with `entries` random entries in each of `lives` lives."""
    limits = dataclasses.replace(spec.model.memory, capacity=entries, replace_above=None)
    agent = Agent(dataclasses.replace(spec, model=dataclasses.replace(spec.model, memory=limits)))
    memory: Dictionary = agent.empty_memory(lives)
    rng = np.random.default_rng(0)
    everywhere, tag = np.ones(lives, dtype=bool), np.zeros(lives, dtype=np.int32)
    shape = (lives, spec.model.memory.key_size or spec.cue_size)
    value = rng.standard_normal((lives, agent.core.recall_size), dtype=np.float32)
    for _ in range(entries):
        memory.write(rng.standard_normal(shape, dtype=np.float32), value, tag, tag, everywhere)
    queries = rng.standard_normal((64, *shape), dtype=np.float32)
    turn = itertools.cycle(queries)
    return MemoryCost(
        entries=entries,
        lives=lives,
        read_us=_cost_us(lambda: memory.read(next(turn), everywhere), seconds),
        repeated_read_us=_cost_us(lambda: memory.read(queries[0], everywhere), seconds),
        write_us=_cost_us(lambda: memory.write(next(turn), value, tag, tag, everywhere), seconds),
        kb_per_life=memory.bytes_per_life() / 2**10,
    )


def show_memory_costs(costs: list[MemoryCost]) -> None:
    """The table."""
    table = Table(title=f"episodic memory, {costs[0].lives} lives, CPU time of all of them", title_justify="left")
    for column in ("entries a life", "new query µs", "same query µs", "write µs", "KiB a life"):
        table.add_column(column, justify="right")
    for cost in costs:
        numbers = (cost.read_us, cost.repeated_read_us, cost.write_us, cost.kb_per_life)
        table.add_row(f"{cost.entries:,}", *(f"{number:,.0f}" for number in numbers))
    console.print(table)
