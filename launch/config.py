"""The edge of the configuration: from what Hydra composed to frozen, typed, checked dataclasses.

Nothing past this module sees a configuration object of Hydra or OmegaConf.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..actors.settings import ActorsConfig
from ..conf.checking import ConfigError as ConfigError
from ..conf.checking import checked
from ..conf.settings import Count, CountOrZero, Device, Many, Name, NonNegative, Positive, Seed, Text, settings
from ..envs import registry
from ..envs.tensors import NoTensorTaskError
from ..learner.algorithm import AlgorithmConfig
from ..models.agent import ModelConfig
from ..models.perturbation import Perturbation

T = TypeVar("T")


def local_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@settings
class RayConfig:
    """The Ray that `cluster=local` starts; see `conf/train.yaml`."""

    dashboard: bool = False
    object_store_mb: Count = 512
    wait_s: NonNegative = 5.0


@settings
class LearnerConfig:
    """Where and how the learner computes; see `conf/train.yaml`."""

    device: Device = "auto"
    bf16: bool = False
    timeout_s: Positive = 300.0
    max_restarts: CountOrZero = 3


@settings
class RunConfig:
    """Length and book-keeping of a run; see `conf/train.yaml`."""

    name: Name = "train"
    folder: str = ""
    env_steps: Count = 3_000_000
    log_points: Count = 100
    figures: CountOrZero = 4
    figure_every_s: NonNegative = 60.0
    checkpoint_every_s: NonNegative = 30.0
    keep_checkpoints: Count = 3


@settings
class EvaluateConfig:
    """The evaluation with frozen weights; see `conf/train.yaml`."""

    episodes: Count = 1000
    envs: Count = 64
    greedy: bool = False
    perturb: Many[Perturbation] = ()
    closed_units: Many[CountOrZero] = ()
    record: bool = False
    record_observation: bool | None = None
    task: dict[str, Any] = field(default_factory=dict)

    @property
    def playing(self) -> int:
        """How many episodes are played side by side: no more than are asked for."""
        return min(self.envs, self.episodes)

    @property
    def perturbations(self) -> dict[str, Perturbation]:
        """All of them by the names of the settings; `closed_units` are gates set to 0."""
        found = {f"perturb[{i}]": one for i, one in enumerate(self.perturb)}
        if self.closed_units:
            found["closed_units"] = Perturbation(gate="reinstatement", units=self.closed_units, set=0.0)
        return found


@settings
class TrainConfig:
    """Everything `prefrontal train` is told."""

    task: dict[str, Any] = field(default_factory=dict)
    """`name` and the task's options."""
    seed: Seed = 0
    resume: Text | None = None
    cluster: Text = "local"
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


def plain(composed: DictConfig) -> dict[str, Any]:
    """What Hydra composed, as dicts and tuples; interpolations are resolved.

    Raises:
        ConfigError: for an interpolation that leads nowhere.
    """
    try:
        container = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).strip().splitlines()[0]}") from error
    assert isinstance(container, dict)
    return {str(name): _frozen(value) for name, value in container.items()}


def _frozen(value: Any) -> Any:
    """Lists become tuples, all the way down, so that frozen really is frozen."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _training(given: dict[str, Any]) -> TrainConfig:
    if isinstance(actors := given.get("actors"), dict) and actors.get("num") == "auto":
        given["actors"] = {**actors, "num": local_cpus(), "auto": True}
    return checked(TrainConfig, given)


def verb_settings(cls: type[T], composed: DictConfig, beside: Collection[str] = ()) -> T:
    """The checked settings of a verb that are not those of a training.

    Args:
        cls: their class.
        composed: what Hydra composed for the verb.
        beside: names of settings of a training that stand there too; they are checked, whether they are used or not.

    Raises:
        ConfigError: naming the setting that cannot be.
    """
    given = plain(composed)
    _training({name: given.pop(name) for name in beside if name in given})
    return checked(cls, given)


def task_settings(task: Mapping[str, Any], at: str = "task") -> Any:
    """The checked settings of a `task` node (`name` and options).

    Raises:
        ConfigError: for an unknown task or option (lists those there are), or a bad value.
    """
    options = {key: value for key, value in task.items() if key != "name"}
    try:
        found = registry.get(str(task.get("name")))
    except registry.UnknownTaskError as error:
        raise ConfigError(f"{at}.name: {error}") from error
    return found.configure(options, at)


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


def _check_gradients_of_actors(config: TrainConfig) -> None:
    """That `algo.gradients=actors` can be (what the algorithm alone decides is checked where it is declared)."""
    if config.actors.device == "learner":
        raise ConfigError(
            "algo.gradients=actors computes on the host: set actors.device=host, or algo.gradients=learner"
        )
    if config.actors.lag_updates:
        raise ConfigError("algo.gradients=actors takes gradients by the newest parameters: set actors.lag_updates=0")
    if config.learner.bf16:
        raise ConfigError(
            "algo.gradients=actors computes in float32: set learner.bf16=false, or algo.gradients=learner"
        )


def train_config(composed: DictConfig, beside: Collection[str] = ()) -> TrainConfig:
    """The checked configuration of a training.

    Args:
        composed: what Hydra composed, or a run saved.
        beside: names of what else stands there.

    Raises:
        ConfigError: naming the setting that cannot be.
    """
    given = plain(composed)
    for name in beside:
        given.pop(name, None)
    config = _training(given)
    task_settings(config.task)
    task_settings({"name": config.task_name, **config.evaluation_task_options}, "evaluate.task")
    if config.algo.synchronous and config.actors.lag_updates:
        raise ConfigError("actors.lag_updates needs an asynchronous algorithm (algo=impala or algo=a3c)")
    if config.actors.auto and (config.algo.synchronous or not config.actors.cpus):
        raise ConfigError(
            "actors.num=auto needs an asynchronous algorithm (algo=impala or algo=a3c) and actors.cpus above 0: "
            "give the number of actors"
        )
    if config.actors.device == "learner":
        _check_device_of_actors(config)
    if config.algo.gradients == "actors":
        _check_gradients_of_actors(config)
    in_flight = config.actors.num * config.actors.in_flight
    if not config.algo.synchronous and config.algo.batch_unrolls > in_flight:
        raise ConfigError(
            f"algo.batch_unrolls={config.algo.batch_unrolls} trajectories can never be complete: {config.actors.num} "
            f"actors with {config.actors.in_flight} unrolls in flight make {in_flight} at once"
        )
    return config
