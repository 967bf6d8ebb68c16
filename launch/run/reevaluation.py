"""Evaluations of a run after its training: what may be asked for, and with what agent and settings it is played."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from ...conf.checking import shown
from ...conf.settings import Count, CountOrZero, Many, Name, Number, Seed, Text, settings
from ...envs import registry
from ...learner.checkpoint import Checkpoint, read
from ...models.perturbation import Perturbation
from ..config import ConfigError, TrainConfig, task_settings, train_config
from ..console import console, errors
from .adaptation import check_adaptation
from .folder import RunFolder
from .perturbing import CONTROL, check_perturbations
from .places import TO_DRAW, TO_EVALUATE

NEWEST = "newest"
"""The checkpoint at the end of the training."""


@settings
class EvaluateSettings:
    """See `conf/evaluate.yaml`; None: as in the training."""

    run: Annotated[Text, "a run folder (a path or a URL)"]
    checkpoint: Annotated[Name, "newest, best or the name of a file in the run's checkpoints/"] = NEWEST
    name: Name | None = None
    episodes: Count | None = None
    envs: Count | None = None
    greedy: bool | None = None
    seed: Seed | None = None
    perturb: Many[Perturbation] | None = None
    control: Name | None = None
    closed_units: Many[CountOrZero] | None = None
    closed_above: Number | None = None
    record: bool = False
    record_observation: bool | None = None
    task: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.closed_units is not None and self.closed_above is not None:
            raise ValueError(f"closed_above={self.closed_above:g}: give either closed_units or closed_above")
        if self.perturbed and self.name is None:
            raise ValueError("name: the results of a perturbed agent need a place of their own: name=<name>")
        if self.control is not None and not self.perturbed:
            raise ValueError(f"control={self.control}: there is nothing to hold against it: give perturb")
        if self.perturbed and self.name in (CONTROL, self.control):
            raise ValueError(f"name={self.name}: the evaluation that it is held against is called so")
        if "name" in self.task:
            raise ValueError(f"task.name={shown(self.task['name'])}: an agent is evaluated on the task of its training")

    @property
    def perturbed(self) -> bool:
        """Whether something is done to the agent."""
        return bool(self.perturb or self.closed_units or self.closed_above is not None)

    @property
    def files(self) -> tuple[str, ...]:
        """Those of the run that are read, as patterns."""
        return (*TO_EVALUATE, *TO_DRAW, f"evaluations/{self.control}/*") if self.perturbed else TO_EVALUATE


def asked_config(folder: RunFolder, told: EvaluateSettings) -> TrainConfig:
    """The settings of the run, with what the evaluation asks for in the place of its own.

    Raises:
        ConfigError: for what cannot be.
    """
    config = train_config(folder.read_config())
    as_told = ("episodes", "envs", "greedy", "perturb", "record_observation")
    changes: dict[str, Any] = {name: value for name in as_told if (value := getattr(told, name)) is not None}
    if (units := _closed_units(folder, told)) is not None:
        changes["closed_units"] = units
    changes["record"] = told.record
    changes["task"] = {**config.evaluate.task, **told.task}
    played = task_settings({"name": config.task_name, **config.task_options, **changes["task"]})
    if told.envs is None and registry.get(config.task_name).alone(played):
        changes["envs"] = 1
    seed = config.seed if told.seed is None else told.seed
    changed = dataclasses.replace(config, seed=seed, evaluate=dataclasses.replace(config.evaluate, **changes))
    try:
        env = registry.make_vector(config.task_name, changed.evaluate.playing, **changed.evaluation_task_options)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    check_perturbations(changed, env)
    check_adaptation(changed, env)
    return changed


def _closed_units(folder: RunFolder, told: EvaluateSettings) -> tuple[int, ...] | None:
    if told.closed_above is None:
        return told.closed_units
    gates = folder.read_results().get("gate_by_unit") if folder.results.is_file() else None
    if not gates:
        raise ConfigError(
            f"closed_above needs the gates of an evaluation: {folder.location}/results.json holds none "
            "(evaluate an agent with an episodic memory first)"
        )
    units = tuple(unit for unit, gate in enumerate(gates["all"]) if gate > told.closed_above)
    if not units:
        highest = max(gates["all"])
        raise ConfigError(f"no unit's mean gate exceeds closed_above={told.closed_above:g}; the highest: {highest:.2f}")
    console.print(f"gates closed: {len(units)} of {len(gates['all'])} units", style="dim")
    return units


def path_called(folder: RunFolder, which: str) -> Path:
    """Of a checkpoint of the run: `best` or the name of a file.

    Raises:
        ConfigError: if there is no such file.
    """
    path = folder.path / "checkpoints" / ("best.safetensors" if which == "best" else which)
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in path.parent.glob("*.safetensors"))) or "none"
        raise ConfigError(
            f"checkpoint={which}: there is no {folder.location}/checkpoints/{path.name}; there are: {there}"
        )
    return path


def checkpoint_called(folder: RunFolder, which: str) -> Checkpoint:
    """A checkpoint of the run: `newest`, `best` or the name of a file.

    Raises:
        ConfigError: if there is no such file.
        NoCheckpointError: if there is none at all.
    """
    if which != NEWEST:
        return read(path_called(folder, which))
    checkpoint, _, warnings = folder.checkpoints().newest()
    for warning in warnings:
        errors.print(f"warning: {warning}", style="yellow")
    return checkpoint
