"""What the benchmark measures, in which order, and again: all rows once, then all once more, so that a machine that
slows down or is disturbed for a while disturbs all rows alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...models.agent import Agent
from ..config import TrainConfig
from ..console import console
from ..engines.specs import agent_for, batch_unrolls
from .device import one_process
from .jax_baseline import jax_alone, why_not
from .rate import Rate, Row, row_of
from .rates import acting_alone, end_to_end, environment_alone, learner_alone

Split = dict[str, Any]
"""Where the time goes."""


@dataclass(frozen=True)
class Measurement:
    """One row to be."""

    title: str
    run: Callable[[float], tuple[Rate, Split | None]]
    """Takes the seconds that it is to last."""


def _alone(title: str, measure: Callable[[TrainConfig, float], Rate], config: TrainConfig) -> Measurement:
    return Measurement(title, lambda seconds: (measure(config, seconds), None))


def parts(config: TrainConfig) -> list[Measurement]:
    """Environment, acting and learner, each by itself; beside a memory and beside an LSTM another network."""
    rows = [
        _alone("environment alone", environment_alone, config),
        _alone("acting alone", acting_alone, config),
        _alone("learner alone", learner_alone, config),
    ]
    if Agent(agent_for(config)).has_memory:
        plain = _with_core(config, "lstm")
        rows += [_alone("acting alone", acting_alone, plain), _alone("learner alone", learner_alone, plain)]
    elif config.model.core == "lstm":
        rows.append(_alone("learner alone, GRU", learner_alone, _with_core(config, "gru")))
    return rows


def in_one_process(config: TrainConfig) -> list[Measurement]:
    """Everything without Ray, with trajectories and with gradients by the actors."""
    here = _with_actors(config, num=batch_unrolls(config))
    return [
        Measurement(f"one process, {kind.algo.name}", partial(one_process, kind))
        for kind in (here, by_gradients(here))
        if kind is not None
    ]


def through_ray(config: TrainConfig, counts: Sequence[int], simulated: Sequence[int]) -> list[Measurement]:
    """Everything through Ray, with so many actors that play, and so many that play nothing."""
    rows = []
    for count in counts:
        with_actors = _with_actors(config, num=count)
        rows += [
            Measurement(f"Ray, {count} actor(s), {kind.algo.name}", partial(end_to_end, kind))
            for kind in (with_actors, by_gradients(with_actors))
            if kind is not None
        ]
    for count in simulated:
        playing_nothing = _with_actors(config, num=count, cpus=0.0)
        measure = partial(end_to_end, playing_nothing, simulated=True)
        rows.append(Measurement(f"Ray, {count} simulated actors", measure))
    return rows


def beside_jax(config: TrainConfig) -> list[Measurement]:
    """The race; without JAX, or for another task, a line that says why there is none."""
    reason = why_not(config)
    if reason is not None:
        console.print(f"no race against JAX: {reason}", style="dim")
        return []
    return [
        Measurement("JAX", lambda seconds, again=again: (jax_alone(config, seconds, again), None))  # type: ignore[misc]
        for again in (True, False)
    ]


def by_gradients(config: TrainConfig) -> TrainConfig | None:
    """The same as A2C whose actors compute the gradients; None where that cannot be."""
    if config.actors.device == "learner" or config.learner.bf16 or config.algo.reward_prediction:
        return None
    algo = dataclasses.replace(
        config.algo,
        name="a2c",
        returns="gae",
        synchronous=True,
        gradients="actors",
        replay=dataclasses.replace(config.algo.replay, ratio=0.0),
    )
    return dataclasses.replace(_with_actors(config, lag_updates=0), algo=algo)


def measured(rows: Sequence[Measurement], seconds: float, repeats: int) -> tuple[list[Row], dict[str, Split]]:
    """All rows in turn, `repeats` times; and where the time went in the last turn, by the row's name."""
    rates: list[list[Rate]] = [[] for _ in rows]
    splits: dict[str, Split] = {}
    for turn in range(repeats):
        for row, so_far in zip(rows, rates, strict=True):
            with console.status(f"{row.title} ({turn + 1} of {repeats})"):
                rate, split = row.run(seconds)
            so_far.append(rate)
            if split is not None:
                splits[rate.name] = split
    return [row_of(so_far) for so_far in rates], splits


def _with_actors(config: TrainConfig, **changes: Any) -> TrainConfig:
    return dataclasses.replace(config, actors=dataclasses.replace(config.actors, **changes))


def _with_core(config: TrainConfig, core: Any) -> TrainConfig:
    return dataclasses.replace(config, model=dataclasses.replace(config.model, core=core))
