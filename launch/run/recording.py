"""What is recorded of an evaluation beside its trials: where it goes, whether there is room, what the file is told.

`evaluation.evaluate_checkpoint` records what a `Recording` asks for; `opened` reads it, alone.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...actors.activity import columns_of, shown_by_default
from ...actors.evaluation import Replayed
from ...envs import registry
from ...learner.checkpoint import Checkpoint
from ...models.internals import output_name
from ...replay.trajectory import on_host
from ..config import ConfigError, TrainConfig
from ..engines.specs import Worker
from .activity_file import SPARE_BYTES, ActivityFile, in_words, step_bytes

if TYPE_CHECKING:
    from xarray import Dataset

LOOK_EPISODES = 4
"""Episodes that are played before, to see how much there will be to write."""

LOOK_UNROLLS = 20
"""Longest look."""

PACKAGES = ("prefrontal", "torch", "numpy", "gymnasium", "h5netcdf")


@dataclass(frozen=True)
class Recording:
    """Asks for an `activity.nc`."""

    path: Path
    """Of the file."""
    run: str = ""
    """What a person calls the run that the agent is of."""


@contextmanager
def recording(
    asked: Recording, config: TrainConfig, checkpoint: Checkpoint, probe: Worker
) -> Iterator[Callable[[Replayed], None]]:
    """A context that gives what `actors.evaluation.evaluate` lets watch; the file is there at its end, whole.

    Args:
        asked: for what.
        config: of the evaluation.
        checkpoint: that plays.
        probe: another worker like the one that is going to play, with few episodes side by side.

    Raises:
        ConfigError: if the disk has no room for it.
        OSError: if it has none any more while the agent plays.
    """
    observation = config.evaluate.record_observation
    if observation is None:
        observation = shown_by_default(probe.agent.spec.obs_shape)
    length = check_room(asked.path, config, probe, observation)
    attributes = _attributes(asked, config, checkpoint, probe)
    with ActivityFile(asked.path, config.evaluate.episodes, length, attributes) as file:

        def watch(replayed: Replayed) -> None:
            file.add(columns_of(replayed, observation), on_host(replayed.batch.first)[1:])

        yield watch


def check_room(path: Path, config: TrainConfig, probe: Worker, observation: bool) -> float:
    """Play a few episodes; returns the length that episodes seem to have.

    Raises:
        ConfigError: if the disk has no room for so many of them, naming how many there is room for.
    """
    lengths: list[int] = []
    played = 0
    while len(lengths) < probe.spec.num_envs and played < LOOK_UNROLLS:
        unroll = probe.unroll()
        lengths += unroll.report.lengths.tolist()
        played += 1
    length = float(np.mean(lengths)) if lengths else float(played * probe.spec.unroll_length)
    algo = config.algo
    replayed = Replayed.of(unroll, probe.agent, algo.discount, probe.perturbed, algo.reward_scale)
    columns = columns_of(replayed, observation)
    each, episodes = length * step_bytes(columns), config.evaluate.episodes
    place = next(folder for folder in path.absolute().parents if folder.is_dir())
    free = max(0, shutil.disk_usage(place).free - SPARE_BYTES)
    if episodes * each <= free:
        return length
    room = int(free / each)
    ways = [f"record fewer episodes (episodes={room})" if room else "make room"]
    if observation and columns["observation"].step_bytes * 2 > step_bytes(columns):
        ways.append("leave out what the agent sees (record_observation=false)")
    raise ConfigError(
        f"record=true: {path.name} of {episodes:,} episodes would take about {in_words(episodes * each)} "
        f"({in_words(each)} each), and {place} has {in_words(free)} free: {', or '.join(ways)}"
    )


def _attributes(asked: Recording, config: TrainConfig, checkpoint: Checkpoint, probe: Worker) -> Mapping[str, Any]:
    """Of the whole file."""
    task = registry.get(config.task_name)
    counters = checkpoint.scalars
    return {
        "title": f"activity of {config.model.agent_name} in {task.name}, weights frozen",
        "run": asked.run,
        "task": task.name,
        "task_options": json.dumps(config.evaluation_task_options),
        "model": config.model.agent_name,
        "model_sizes": json.dumps(config.model.hidden_sizes),
        "output": output_name(probe.agent.core),
        "coded": ",".join(task.coded),
        "discount": config.algo.discount,
        "greedy": int(config.evaluate.greedy),
        "perturbations": json.dumps([one.declared() for one in config.evaluate.perturbations.values()]),
        "seed": config.seed,
        "checkpoint_updates": counters["updates"],
        "checkpoint_env_steps": counters["env_steps"],
        "versions": json.dumps({name: importlib.metadata.version(name) for name in PACKAGES}),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def opened(path: Path) -> Dataset:
    """An `activity.nc`, of which values are read when they are asked for.

    Raises:
        ConfigError: if the file is none.
    """
    import xarray

    try:
        return xarray.open_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path} is no netCDF file that can be read ({str(error).splitlines()[0]})") from error
