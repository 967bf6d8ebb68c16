"""How a run begins: its checked configuration, its folder, and what it goes on from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from ...actors.rollout import agent_spec
from ...conf.checking import shown
from ...envs import registry
from ...learner.batch import resolve_device
from ...learner.checkpoint import Checkpoint
from ...learner.pretrained import PREFIX, EncoderSpec, read_encoder, read_weights
from ...learner.reward_prediction import RewardPrediction
from ...learner.snapshot import agent_of
from ...models.agent import Agent, describe_difference
from ..config import ConfigError, TrainConfig, train_config
from ..console import console, errors
from ..engines.specs import agent_for
from .adaptation import check_adaptation
from .folder import RunFolder
from .job import Job
from .mirror import Mirror, local_copy
from .perturbing import check_perturbations
from .places import fetched_mirror, mirror_of, new_mirror
from .resume import AUTO, run_to_resume, settings_to_go_on_with
from .storage import is_url

# Of a sweep whose jobs go to a URL: Hydra itself makes a folder for it, which has to be a path.
OmegaConf.register_new_resolver(
    "local_folder", lambda place: str(local_copy(place)) if is_url(place) else place, replace=True
)


@dataclass(frozen=True)
class Start:
    """What a training begins with, if not with random weights."""

    checkpoint: Checkpoint | None = None
    """To go on from."""
    weights: Mapping[str, Tensor] | None = None
    """Of `model.weights_from` and `model.encoder_from`; None where there is a checkpoint, which has them as they are by
    now."""


def prepare(composed: DictConfig, job: Job) -> tuple[TrainConfig, RunFolder, Start, Mirror | None]:
    """The checked configuration, the run folder, what to begin with, and what brings the folder to a URL.

    Raises:
        ConfigError: for a bad setting, or for a resume that asks for another agent or task than the saved one.
        PretrainedError: if `model.weights_from` or `model.encoder_from` lead to nothing that fits this network.
        StorageError: for a URL that cannot be used.
    """
    found = run_to_resume(composed)
    if found is None:
        config = _without_rays_beside_each_other(train_config(composed), job)
        check(config)
        weights = _pretrained(config)
        folder, mirror = _new_run(config, job, always_this=composed.resume == AUTO)
        folder.write_config(composed)
        folder.write_provenance(job.command)
        return config, folder, Start(weights=weights), mirror
    folder, mirror = _opened_run(found, str(OmegaConf.select(composed, "run.folder")))
    merged = settings_to_go_on_with(folder.read_config(), composed, job)
    config = _without_rays_beside_each_other(train_config(merged), job)
    checkpoint, path, warnings = folder.checkpoints().newest()
    for warning in warnings:
        errors.print(f"warning: {warning}", style="yellow")
    check(config)
    where = path if mirror is None else folder.shown(path)
    difference = describe_difference(agent_of(checkpoint), agent_for(config))
    if difference:
        lines = "\n  ".join(difference)
        raise ConfigError(
            f"{where} holds another agent than this command asks for (saved -> asked for):\n  {lines}\n"
            "resume without these overrides, or start a new run"
        )
    folder.write_config(merged)
    folder.write_provenance(job.command)
    console.print(f"going on from {where} ({checkpoint.scalars['env_steps']:,} steps)", style="dim")
    if not registry.make_vector(config.task_name, 1, **config.task_options).restorable:
        console.print("new episodes begin: those of this task cannot be saved", style="dim")
    return config, folder, Start(checkpoint), mirror


def _new_run(config: TrainConfig, job: Job, always_this: bool) -> tuple[RunFolder, Mirror | None]:
    if is_url(config.run.folder):
        url = config.run.folder if job.sweep is None else f"{config.run.folder}/{job.sweep.subdir}"
        mirror = new_mirror(url, always_this)
        return RunFolder(mirror.folder, mirror.storage.url), mirror
    path = Path(config.run.folder) if job.sweep is None else job.sweep.folder
    return RunFolder(path.absolute()) if always_this else RunFolder.new(path), None


def _opened_run(found: str, asked_for: str) -> tuple[RunFolder, Mirror | None]:
    """The run at a path or URL; a path together with `run.folder=<URL>` is brought to that URL from now on."""
    if is_url(found):
        mirror = fetched_mirror(found)
        return RunFolder(mirror.folder, mirror.storage.url), mirror
    folder = RunFolder.open(found)
    if not is_url(asked_for):
        return folder, None
    mirror = mirror_of(folder, asked_for)
    return RunFolder(folder.path, mirror.storage.url), mirror


def _pretrained(config: TrainConfig) -> dict[str, Tensor] | None:
    model, spec = config.model, agent_for(config)
    tensors: dict[str, Tensor] = {}
    if model.weights_from is not None:
        lent = read_weights(model.weights_from, Agent(spec))
        tensors |= lent.tensors
        console.print(
            f"weights      {model.weights_from} ({len(tensors)} of {len(tensors) + len(lent.anew)})", style="dim"
        )
        for name in lent.anew:
            console.print(f"  anew       {name}", style="dim")
    if model.encoder_from is not None:
        encoder = read_encoder(model.encoder_from, EncoderSpec.of(spec))
        tensors |= {PREFIX + name: tensor for name, tensor in encoder.items()}
        console.print(f"encoder      {model.encoder_from}{' (frozen)' if model.encoder_frozen else ''}", style="dim")
    return tensors or None


def check(config: TrainConfig) -> None:
    """What would fail in every process, or at the end of the run, fails here, before any is started.

    Raises:
        ConfigError: for settings that do not fit each other, or the task.
        DeviceError: for a device that is not there.
        TaskUnavailableError: for a task that cannot be played here with its options.
    """
    resolve_device("auto" if config.cluster not in ("none", "local") else config.learner.device)
    try:
        agent = Agent(agent_for(config))
        if config.algo.reward_prediction:
            RewardPrediction(agent.core.output_size, agent.spec.actions)
        trained = registry.make_vector(config.task_name, config.actors.envs, **config.task_options)
        evaluated = registry.make_vector(config.task_name, config.evaluate.playing, **config.evaluation_task_options)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    for env in (trained, evaluated):
        env.check()
    check_adaptation(config, trained, evaluated)
    check_perturbations(config, evaluated, "evaluate")
    difference = describe_difference(agent.spec, agent_spec(evaluated, config.model))
    if difference:
        raise ConfigError(
            f"evaluate.task={shown(config.evaluate.task)}: the trained agent could not play that "
            f"({'; '.join(difference)})"
        )


def _without_rays_beside_each_other(config: TrainConfig, job: Job) -> TrainConfig:
    """In a sweep whose jobs run at the same time, a job is one process: measured, that is faster than one Ray a job."""
    if not job.side_by_side or config.cluster != "local":
        return config
    return dataclasses.replace(config, cluster="none")
