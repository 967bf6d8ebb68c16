"""One row of the benchmark: how fast something goes, and what several measurements of it say together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..config import TrainConfig


@dataclass(frozen=True)
class Rate:
    """One measurement."""

    name: str
    steps_per_second: float
    steps_per_cpu_second: float
    memory_mb: float
    """Of all processes; memory that they share is counted once (USS)."""
    detail: str
    device_memory_mb: float | None = None
    """The most that was in use on a GPU."""


@dataclass(frozen=True)
class Row:
    """Several measurements of one thing: medians, and of the rates the smallest and the largest."""

    name: str
    steps_per_second: float
    steps_per_second_range: tuple[float, float]
    steps_per_cpu_second: float
    steps_per_cpu_second_range: tuple[float, float]
    memory_mb: float
    detail: str
    """Of the last measurement."""
    device_memory_mb: float | None


def row_of(rates: Sequence[Rate]) -> Row:
    """At least one measurement, all of the same thing."""
    wall = [rate.steps_per_second for rate in rates]
    cpu = [rate.steps_per_cpu_second for rate in rates]
    on_device = [rate.device_memory_mb for rate in rates if rate.device_memory_mb is not None]
    return Row(
        name=rates[-1].name,
        steps_per_second=statistics.median(wall),
        steps_per_second_range=(min(wall), max(wall)),
        steps_per_cpu_second=statistics.median(cpu),
        steps_per_cpu_second_range=(min(cpu), max(cpu)),
        memory_mb=statistics.median(rate.memory_mb for rate in rates),
        detail=rates[-1].detail,
        device_memory_mb=statistics.median(on_device) if on_device else None,
    )


def algorithm(config: TrainConfig) -> str:
    """What is trained with, for a row's name."""
    return config.algo.name.upper() + (", actors' gradients," if config.algo.gradients == "actors" else "")
