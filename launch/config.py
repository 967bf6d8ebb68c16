"""The edge of the configuration: from what Hydra composed to frozen, typed, checked dataclasses.

Nothing past this module sees a configuration object of Hydra or OmegaConf.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..actors.settings import ActorsConfig
from ..envs import registry
from ..envs.tensors import NoTensorTaskError
from ..learner.algorithm import AlgorithmConfig
from ..models.agent import ModelConfig


def local_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ConfigError(ValueError):
    """A setting that cannot be; the message names it and what may stand there."""


@dataclass(frozen=True)
class RayConfig:
    """The Ray that `cluster=local` starts; see `conf/train.yaml`."""

    dashboard: bool = False
    object_store_mb: int = 512
    wait_s: float = 5.0


@dataclass(frozen=True)
class LearnerConfig:
    """Where and how the learner computes; see `conf/train.yaml`."""

    device: str = "auto"
    bf16: bool = False
    timeout_s: float = 300.0
    max_restarts: int = 3


@dataclass(frozen=True)
class RunConfig:
    """Length and book-keeping of a run; see `conf/train.yaml`."""

    name: str = "train"
    folder: str = ""
    env_steps: int = 3_000_000
    log_points: int = 100
    figures: int = 4
    checkpoint_every_s: float = 30.0
    keep_checkpoints: int = 3


@dataclass(frozen=True)
class EvaluateConfig:
    """The evaluation with frozen weights; see `conf/train.yaml`."""

    episodes: int = 1000
    envs: int = 64
    greedy: bool = False
    closed_units: tuple[int, ...] = ()
    task: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainConfig:
    """Everything `prefrontal train` is told."""

    task: dict[str, Any] = field(default_factory=dict)
    """`name` and the task's options."""
    seed: int = 0
    resume: str | None = None
    cluster: str = "local"
    ray: RayConfig = field(default_factory=RayConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    run: RunConfig = field(default_factory=RunConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    algo: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    actors: ActorsConfig = field(default_factory=ActorsConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)

    @property
    def task_name(self) -> str:
        """The task's name."""
        return str(self.task["name"])

    @property
    def task_options(self) -> dict[str, Any]:
        """The task's options."""
        return {key: value for key, value in self.task.items() if key != "name"}

    @property
    def evaluation_task_options(self) -> dict[str, Any]:
        """The task's options in the evaluation."""
        return {**self.task_options, **self.evaluate.task}


def _plain(value: Any) -> Any:
    """Lists become tuples, all the way down, so that frozen really is frozen."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)})
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return tuple(_plain(item) for item in value) if isinstance(value, list) else value


def _thaw(node: DictConfig) -> None:
    """OmegaConf makes the schema of a frozen dataclass read-only; composing writes into it."""
    OmegaConf.set_readonly(node, False)
    for child in node.values():
        if isinstance(child, DictConfig):
            _thaw(child)


def task_settings(task: Mapping[str, Any]) -> Any:
    """The checked settings of a `task` node (`name` and options).

    Raises:
        ConfigError: for an unknown task or option (lists those there are), or a bad value.
    """
    options = {key: value for key, value in task.items() if key != "name"}
    try:
        return registry.get(str(task.get("name"))).configure(options)
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error)) from error


def _check_device_of_actors(config: TrainConfig) -> None:
    """That `actors.device=learner` can be: the task is written for it, and everything is in one process."""
    if config.cluster != "none":
        raise ConfigError(
            "actors.device=learner plays in the learner's process: set cluster=none (on a cluster: ray job submit "
            "--entrypoint-num-gpus 1 -- prefrontal train cluster=none ..., or a sweep with hydra/launcher=ray), or "
            "actors.device=host"
        )
    if config.model.agent_name == "episodic":
        raise ConfigError("actors.device=learner: an episodic memory lies on the host; set actors.device=host")
    try:
        registry.tensor_task(config.task_name, **config.task_options)
    except NoTensorTaskError as error:
        raise ConfigError(f"actors.device=learner: {error}") from error


def train_config(composed: DictConfig) -> TrainConfig:
    """The checked configuration of a training.

    Raises:
        ConfigError: naming the setting that cannot be.
    """
    try:
        schema = OmegaConf.structured(TrainConfig)
        _thaw(schema)
        given = {f.name: composed[f.name] for f in dataclasses.fields(TrainConfig)}
        if given["actors"].num == "auto":
            given["actors"] = {**given["actors"], "num": local_cpus(), "auto": True}
        merged = OmegaConf.merge(schema, given)
        config: TrainConfig = _plain(OmegaConf.to_object(merged))
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(str(error).strip()) from error
    task_settings(config.task)
    task_settings({"name": config.task_name, **config.evaluation_task_options})
    if config.algo.synchronous and config.actors.lag_updates:
        raise ConfigError("actors.lag_updates needs an asynchronous algorithm (algo=impala or algo=a3c)")
    if config.actors.auto and (config.algo.synchronous or not config.actors.cpus):
        raise ConfigError(
            "actors.num=auto needs an asynchronous algorithm (algo=impala or algo=a3c) and actors.cpus above 0: "
            "give the number of actors"
        )
    if config.actors.device == "learner":
        _check_device_of_actors(config)
    in_flight = config.actors.num * config.actors.in_flight
    if not config.algo.synchronous and config.algo.batch_unrolls > in_flight:
        raise ConfigError(
            f"algo.batch_unrolls={config.algo.batch_unrolls} trajectories can never be complete: {config.actors.num} "
            f"actors with {config.actors.in_flight} unrolls in flight make {in_flight} at once"
        )
    if config.learner.timeout_s <= 0:
        raise ConfigError(f"learner.timeout_s must be positive, got {config.learner.timeout_s}")
    if config.run.env_steps < 1 or config.evaluate.episodes < 1 or config.run.log_points < 1:
        raise ConfigError("run.env_steps, run.log_points and evaluate.episodes must be at least 1")
    return config
