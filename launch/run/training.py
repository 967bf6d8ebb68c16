"""The loop around an engine: counters, curves, checkpoints, the console line."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...conf.checking import by_full_name
from ...envs import registry
from ...envs.memory import memory_measures
from ...envs.trials import Evaluation, Trials, trials_of_window
from ...learner.checkpoint import Checkpoint, DamagedCheckpointError, read
from ..config import TrainConfig, task_settings
from ..console import ProgressLine, errors
from ..engines.protocol import Engine, Interrupted, LearnerReplaced
from ..stopping import StopRequest
from .folder import RunFolder
from .measures import flatten
from .mirror import Mirror
from .tracker import Tracker

LINE_EVERY_S = 0.25


class Training:
    """Drives `engine` to the end of the run, or until a stop is asked for.

    Args:
        config: of the run.
        folder: where curves and checkpoints go.
        engine: makes the updates.
        checkpoint: what the engine goes on from.
        mirror: brings the folder to a URL, if there is one.
    """

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
        self._checkpoints = folder.checkpoints(config.run.keep_checkpoints)
        self._go_on_from(checkpoint, float(checkpoint.scalars.get("wall_s", 0.0)) if checkpoint is not None else 0.0)
        self._measured: set[str] = set()
        self._task = registry.get(config.task_name)
        self._settings = task_settings(config.task)
        self._tracker.text("config", f"```yaml\n{folder.config.read_text()}\n```")

    def _go_on_from(self, checkpoint: Checkpoint | None, wall_s: float) -> None:
        """Counters and curves as they were at a checkpoint; rows and points after it are dropped."""
        saved = checkpoint.scalars if checkpoint is not None else {}
        self._tracker = Tracker(self._folder, saved.get("env_steps", 0), saved.get("episodes", 0), wall_s)
        self._best_score = self._score_of_best()
        self._best: Checkpoint | None = None
        """Highest score so far, until it is written."""

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
        last_line = last_checkpoint = last_figure = time.monotonic()
        with ProgressLine(total, self._tracker.env_steps) as line:
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
                    if self._tracker.env_steps >= next_figure and now - last_figure >= self._config.run.figure_every_s:
                        self._draw(trials)
                        last_figure = now
                        next_figure = (self._tracker.env_steps // figure_every + 1) * figure_every
                if now - last_line >= LINE_EVERY_S:
                    last_line = now
                    line.update(self._tracker.env_steps, self._line())
                if now - last_checkpoint >= self._config.run.checkpoint_every_s:
                    last_checkpoint = now
                    self._checkpoint()
        finished = self._tracker.env_steps >= total
        self._save()
        return finished

    def close(self, results: Mapping[str, Any], pictures: Sequence[Path] = ()) -> None:
        """Flush TensorBoard, with the results and their pictures where there are any."""
        for path in pictures:
            self._tracker.picture(f"final_{path.stem}", path)
        if results:
            settings = by_full_name(dataclasses.asdict(self._config))
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
        if np.isfinite(score) and score > self._best_score:
            self._best_score = score
            self._best = self._state()
        try:
            self._tracker.log(self._engine.counters(), measures)
        except OSError as error:
            errors.print(f"warning: the log could not be written: {error}", style="yellow")

    def _draw(self, trials: Trials) -> None:
        evaluation = Evaluation(trials, self._folder.read_history(), label="training")
        name, figure = next(iter(self._task.figures([evaluation], self._settings)))
        self._tracker.figure(name, figure)

    def _score_of_best(self) -> float:
        """What the weights in `best.safetensors` scored."""
        try:
            return float(read(self._checkpoints.best).scalars.get("best", "-inf"))
        except DamagedCheckpointError:  # there is none yet, or it has to be replaced
            return float("-inf")

    def _state(self) -> Checkpoint:
        """The engine's state with our counters, and the highest score so far."""
        tracker = self._tracker
        return self._engine.checkpoint(
            {
                "episodes": tracker.episodes,
                "wall_s": tracker.wall_s,
                "best": self._best_score,
                "seed": self._config.seed,
            }
        )

    def _checkpoint(self) -> None:
        try:
            self._save()
        except OSError as error:
            errors.print(f"warning: no checkpoint was written, training goes on: {error}", style="yellow")

    def _save(self) -> None:
        if self._best is not None:
            self._checkpoints.save_best(self._best)
            self._best = None
        self._checkpoints.save(self._state())
        if self._mirror is not None:
            self._mirror.upload_soon()
