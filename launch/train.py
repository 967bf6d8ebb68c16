"""`prefrontal train`: train an agent on a task, evaluate it with frozen weights, draw the figure, print the table."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from ..envs import registry
from ..envs.memory import memory_measures
from ..envs.trials import Evaluation, Trials, trials_of_window
from ..learner.batch import resolve_device
from ..learner.checkpoint import Checkpoint
from ..learner.pretrained import EncoderSpec, read_encoder
from ..learner.snapshot import agent_of
from ..models.agent import Agent, describe_difference
from .config import ConfigError, TrainConfig, task_settings, train_config
from .console import TrainingLine, console, errors
from .engine import Engine, Interrupted, LearnerReplaced, SerialEngine, agent_for
from .evaluation import FILM, evaluate_run, show_results
from .failures import reported
from .measures import flatten
from .mirror import Mirror, fetched_mirror, has_checkpoint, local_copy, mirror_of, new_mirror, uploading
from .run_folder import RunFolder
from .stopping import StopRequest
from .storage import is_url
from .tracker import Tracker

LINE_EVERY_S = 0.25

# Of a sweep whose jobs go to a URL: Hydra itself makes a folder for it, which has to be a path.
OmegaConf.register_new_resolver(
    "local_folder", lambda place: str(local_copy(place)) if is_url(place) else place, replace=True
)


@dataclass(frozen=True)
class Start:
    """What a training begins with, if not with random weights."""

    checkpoint: Checkpoint | None = None
    """To go on from."""
    encoder: Mapping[str, Tensor] | None = None
    """Of `model.encoder_from`; None where there is a checkpoint, which has the encoder as it is by now."""


@contextlib.contextmanager
def _engine(config: TrainConfig, folder: RunFolder, start: Start, stop: StopRequest) -> Iterator[Engine]:
    if config.cluster == "none":
        yield SerialEngine(config, folder.path, start.checkpoint, start.encoder)
        return
    # Importing Ray takes a second that one-process runs do not need.
    from .ray_engine import RayEngine, store_errors
    from .session import ray_session

    with console.status("starting Ray"):
        session = ray_session(config)
        description = session.__enter__()
    stop.listen()
    console.print(description, style="dim")
    try:
        with store_errors(config):
            with console.status("starting actors"):
                engine = RayEngine(config, folder.path, start.checkpoint, stop, encoder=start.encoder)
            try:
                yield engine
            finally:
                engine.close()
    finally:
        session.__exit__(None, None, None)


class _Training:
    """The loop around an engine: counters, curves, checkpoints, the console line."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        engine: Engine,
        checkpoint: Checkpoint | None,
        mirror: Mirror | None,
    ) -> None:
        self._config = config
        self._mirror = mirror
        self._folder = folder
        self._engine = engine
        self._go_on_from(checkpoint, float(checkpoint.scalars.get("wall_s", 0.0)) if checkpoint is not None else 0.0)
        self._measured: set[str] = set()
        self._task = registry.get(config.task_name)
        self._settings = task_settings(config.task)
        self._tracker.text("config", f"```yaml\n{folder.config.read_text()}\n```")

    def _go_on_from(self, checkpoint: Checkpoint | None, wall_s: float) -> None:
        """Counters and curves as they were at a checkpoint; rows and points after it are dropped."""
        saved = checkpoint.scalars if checkpoint is not None else {}
        self._tracker = Tracker(self._folder, saved.get("env_steps", 0), saved.get("episodes", 0), wall_s)
        self._best = float(saved.get("best", "-inf"))
        self._best_is_new = False

    def run(self, stop: StopRequest) -> bool:
        """Train to the end of the run; False if a stop was asked for before it."""
        while True:
            try:
                return self._run(stop)
            except LearnerReplaced as replaced:
                errors.print(f"warning: {replaced}", style="yellow")
                self._tracker.close()
                self._go_on_from(replaced.checkpoint, self._tracker.wall_s)
                where = "its start" if replaced.checkpoint is None else f"{self._tracker.env_steps:,} steps"
                errors.print(f"warning: another learner goes on from {where}", style="yellow")

    def _run(self, stop: StopRequest) -> bool:
        total = self._config.run.env_steps
        log_every = max(1, total // self._config.run.log_points)
        figure_every = total / self._config.run.figures if self._config.run.figures else float("inf")
        next_log = (self._tracker.env_steps // log_every + 1) * log_every
        next_figure = (self._tracker.env_steps // figure_every + 1) * figure_every
        last_line = last_checkpoint = time.monotonic()
        with TrainingLine(total, self._tracker.env_steps) as line:
            while self._tracker.env_steps < total and not stop.requested:
                try:
                    self._tracker.add(self._engine.step())
                except Interrupted:
                    break
                now = time.monotonic()
                if self._tracker.env_steps >= next_log:
                    trials = trials_of_window(self._engine.window())
                    self._log(trials)
                    next_log += log_every
                    if self._tracker.env_steps >= next_figure:
                        self._draw(trials)
                        next_figure += figure_every
                if now - last_line >= LINE_EVERY_S:
                    last_line = now
                    line.update(self._tracker.env_steps, self._line())
                if now - last_checkpoint >= self._config.run.checkpoint_every_s:
                    last_checkpoint = now
                    self._checkpoint()
        finished = self._tracker.env_steps >= total
        self._save()
        return finished

    def close(self, results: Mapping[str, Any], figures: Mapping[str, Figure], film: Path | None = None) -> None:
        """Flush TensorBoard, with the results, their figures and an episode where there are any."""
        if film is not None:
            self._tracker.film("final_episode", film)
        for name, figure in figures.items():
            self._tracker.figure(f"final_{name}", figure)
        if results:
            settings = flatten_settings(dataclasses.asdict(self._config))
            numbers = {name: value for name, value in flatten(results).items() if name.split(".")[0] in self._measured}
            self._tracker.hparams(settings, numbers)
        self._tracker.close()

    def _line(self) -> str:
        tracker, metrics = self._tracker, self._tracker.last_metrics
        lag = "/".join(f"{metrics.get(f'learner/lag_{name}', 0):.0f}" for name in ("min", "mean", "max"))
        counters = self._engine.counters()
        restarts = f" | {counters.restarts} restarts" if counters.restarts else ""
        return (
            f"{tracker.episodes:,} episodes | return {tracker.recent_return():.2f} | "
            f"{tracker.steps_per_second:,.0f} steps/s | lag {lag} | {tracker.who_waits(counters)}{restarts}"
        )

    def _log(self, trials: Trials) -> None:
        nested = {
            **self._task.summarise(trials, self._settings),
            **memory_measures(trials, self._task.condition),
        }
        self._measured |= set(nested)
        measures = flatten(nested)
        score = measures.get(self._task.headline, float("nan"))
        if np.isfinite(score) and score > self._best:
            self._best, self._best_is_new = score, True
        try:
            self._tracker.log(self._engine.counters(), measures)
        except OSError as error:
            errors.print(f"warning: the log could not be written: {error}", style="yellow")

    def _draw(self, trials: Trials) -> None:
        evaluation = Evaluation(trials, self._folder.read_history(), label="training")
        name, figure = next(iter(self._task.figures([evaluation], self._settings).items()))
        self._tracker.figure(name, figure)

    def _checkpoint(self) -> None:
        try:
            self._save()
        except OSError as error:
            errors.print(f"warning: no checkpoint was written, training goes on: {error}", style="yellow")

    def _save(self) -> None:
        tracker = self._tracker
        extra = {"episodes": tracker.episodes, "wall_s": tracker.wall_s, "best": self._best, "seed": self._config.seed}
        self._engine.save(extra, self._best_is_new)
        self._best_is_new = False
        if self._mirror is not None:
            self._mirror.upload_soon()


def flatten_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= flatten_settings(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def train(config: TrainConfig, folder: RunFolder, start: Start, mirror: Mirror | None = None) -> int:
    """Train, evaluate, draw, report; returns the exit status (130 after a stop that was asked for)."""
    stop = StopRequest()
    with stop:
        with _engine(config, folder, start, stop) as engine:
            training = _Training(config, folder, engine, start.checkpoint, mirror)
            finished = training.run(stop)
        if not finished:
            training.close({}, {})
            console.print(f"stopped; go on with: prefrontal train resume={folder.location}", style="bold")
            return 130
    newest, path, _ = folder.checkpoints().newest()
    console.print(f"trained {newest.scalars['env_steps']:,} steps in {newest.scalars['wall_s']:.0f} s", style="bold")
    results, figures = evaluate_run(folder, config, newest, folder)
    training.close(results, figures, folder.figures / FILM)
    show_results(config, results, folder)
    console.print(f"checkpoint   {path if mirror is None else folder.shown(path)}")
    console.print(f"curves       tensorboard --logdir {folder.path}")
    return 0


def prepare(composed: DictConfig) -> tuple[TrainConfig, RunFolder, Start, Mirror | None]:
    """The checked configuration, the run folder, what to begin with, and what brings the folder to a URL.

    Raises:
        ConfigError: for a bad setting, or for a resume that asks for another agent or task than the saved one.
        PretrainedEncoderError: if `model.encoder_from` leads to no encoder of this network.
        StorageError: for a URL that cannot be used.
    """
    found = _run_to_resume(composed)
    if found is None:
        config = _without_rays_beside_each_other(train_config(composed))
        _check(config)
        encoder = _pretrained_encoder(config)
        folder, mirror = _new_run(config, always_this=composed.resume == "auto")
        folder.write_config(composed)
        folder.write_provenance()
        return config, folder, Start(encoder=encoder), mirror
    folder, mirror = _opened_run(found, str(composed.run.folder))
    merged = _saved_with_overrides(folder.read_config(), composed)
    config = _without_rays_beside_each_other(train_config(merged))
    checkpoint, path, warnings = folder.checkpoints().newest()
    for warning in warnings:
        errors.print(f"warning: {warning}", style="yellow")
    _check(config)
    where = path if mirror is None else folder.shown(path)
    difference = describe_difference(agent_of(checkpoint), agent_for(config))
    if difference:
        lines = "\n  ".join(difference)
        raise ConfigError(
            f"{where} holds another agent than this command asks for (saved -> asked for):\n  {lines}\n"
            "resume without these overrides, or start a new run"
        )
    folder.write_config(merged)
    folder.write_provenance()
    console.print(f"going on from {where} ({checkpoint.scalars['env_steps']:,} steps)", style="dim")
    return config, folder, Start(checkpoint), mirror


def _new_run(config: TrainConfig, always_this: bool) -> tuple[RunFolder, Mirror | None]:
    if is_url(config.run.folder):
        url = f"{config.run.folder}/{HydraConfig.get().sweep.subdir}" if _sweeping() else config.run.folder
        mirror = new_mirror(url, always_this)
        return RunFolder(mirror.folder, mirror.storage.url), mirror
    path = Path(HydraConfig.get().runtime.output_dir if _sweeping() else config.run.folder)
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


def _pretrained_encoder(config: TrainConfig) -> dict[str, Tensor] | None:
    source = config.model.encoder_from
    if source is None:
        return None
    tensors = read_encoder(source, EncoderSpec.of(agent_for(config)))
    console.print(f"encoder      {source}{' (frozen)' if config.model.encoder_frozen else ''}", style="dim")
    return tensors


def _run_to_resume(composed: DictConfig) -> str | None:
    """The folder of the run to go on with; with `resume=auto` that of `run.folder`, if it holds a checkpoint already.

    Raises:
        ConfigError: if `resume=auto` could never find the run again.
    """
    if composed.resume != "auto":
        return None if composed.resume is None else str(composed.resume)
    node = OmegaConf.to_container(composed, resolve=False)
    if isinstance(node, dict) and "${now:" in str(node["run"]["folder"]):
        raise ConfigError("resume=auto needs a folder that is the same each time: run.folder=<folder>")
    if is_url(composed.run.folder):
        return str(composed.run.folder) if has_checkpoint(composed.run.folder) else None
    folder = Path(composed.run.folder)
    return str(folder) if list((folder / "checkpoints").glob("*.safetensors")) else None


def _check(config: TrainConfig) -> None:
    """What would fail in every process fails here, before any is started."""
    resolve_device("auto" if config.cluster not in ("none", "local") else config.learner.device)
    playing = min(config.evaluate.envs, config.evaluate.episodes)
    try:
        Agent(agent_for(config))
        registry.make_vector(config.task_name, config.actors.envs, **config.task_options)
        registry.make_vector(config.task_name, playing, **config.evaluation_task_options)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _saved_with_overrides(saved: DictConfig, composed: DictConfig) -> DictConfig:
    """The saved configuration with what this command line changes."""
    OmegaConf.set_struct(saved, False)
    for override in HydraConfig.get().overrides.task:
        key = override.lstrip("+").split("=", 1)[0]
        if key == "resume":
            continue
        value = OmegaConf.select(composed, key)
        OmegaConf.update(saved, key, value, merge=not OmegaConf.is_config(value))
    return saved


def _sweeping() -> bool:
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def _without_rays_beside_each_other(config: TrainConfig) -> TrainConfig:
    """In a sweep whose jobs run at the same time, a job is one process: measured, that is faster than one Ray a job."""
    parallel = _sweeping() and "Basic" not in HydraConfig.get().launcher._target_
    return dataclasses.replace(config, cluster="none") if parallel and config.cluster == "local" else config


def run(composed: DictConfig) -> None:
    """One job: compose, train, report. Launchers of sweeps pickle this function by its name."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    with reported():
        config, folder, start, mirror = prepare(composed)
        console.print(f"run folder   {folder.location}", style="dim")
        with uploading(mirror):
            status = train(config, folder, start, mirror)
        if status:
            raise SystemExit(status)


main = hydra.main(config_path="pkg://prefrontal.conf", config_name="train", version_base="1.3")(run)
"""Entry point of the verb; see the module's text."""
