"""`prefrontal.load` and `prefrontal.runs`: runs, and what can be done with a trained agent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...conf.checking import checked
from ...learner import snapshot
from ...models.agent import Agent
from ..config import ConfigError, TrainConfig, train_config
from ..console import errors
from ..run.evaluation import draw_run, evaluate_run
from ..run.folder import RunFolder
from ..run.places import TO_DRAW, TO_EVALUATE, run_at
from ..run.reevaluation import NEWEST, EvaluateSettings, asked_config, checkpoint_called, path_called
from .calling import called
from .evaluated import Evaluated, Places
from .given import plain

if TYPE_CHECKING:
    from pandas import DataFrame

UNNAMED = "evaluation"


class Run(Evaluated):
    """A run: `results`, `trials`, `figures`, `table` of its evaluation, the curves, the agent. A path, too.

    It holds nothing but where the run lies: it may be pickled and sent to other processes.

    Args:
        folder: a path or a URL.
        checkpoint: whose weights `agent` has and `evaluate` plays: `newest`, `best` or a file's name.

    Raises:
        ConfigError: if there is no run.
    """

    def __init__(self, folder: str | os.PathLike[str], checkpoint: str = NEWEST) -> None:
        self.folder, self.checkpoint = os.fspath(folder), checkpoint
        with called():
            checked(EvaluateSettings, {"run": self.folder, "checkpoint": checkpoint})
            with self._opened("config.yaml", *(() if checkpoint == NEWEST else ("checkpoints/*",))) as places:
                self.config: TrainConfig = train_config(places.trained.read_config())
                if checkpoint != NEWEST:
                    path_called(places.trained, checkpoint)

    def __fspath__(self) -> str:
        return self.folder

    def __repr__(self) -> str:
        chosen = "" if self.checkpoint == NEWEST else f", checkpoint={self.checkpoint!r}"
        return f"Run({self.folder!r}{chosen}): {self.config.task_name}, seed {self.config.seed}"

    def __reduce__(self) -> tuple[type[Run], tuple[str, str]]:
        return Run, (self.folder, self.checkpoint)

    @contextmanager
    def _opened(self, *wanted: str) -> Iterator[Places]:
        with run_at(self.folder, wanted) as folder:
            yield Places(folder, folder)

    @cached_property
    def history(self) -> DataFrame:
        """`metrics.csv`: one row a log point, see docs/metrics.md; empty before the first."""
        import pandas

        with called(), self._opened("metrics.csv") as places:
            path = places.trained.metrics
            return pandas.read_csv(path) if path.is_file() else pandas.DataFrame()

    @cached_property
    def agent(self) -> Agent:
        """The network with the trained weights, on the CPU, in evaluation mode; see `models.agent.Agent`."""
        with called(), self._opened(*TO_EVALUATE) as places:
            checkpoint = checkpoint_called(places.trained, self.checkpoint)
            with torch.random.fork_rng(devices=[]):
                agent = Agent(snapshot.agent_of(checkpoint))
            agent.load_state_dict(snapshot.agent_tensors(checkpoint))
            return agent.eval()

    def evaluate(
        self,
        episodes: int | None = None,
        *,
        name: str | None = None,
        seed: int | None = None,
        envs: int | None = None,
        greedy: bool | None = None,
        closed_units: Sequence[int] | None = None,
        closed_above: float | None = None,
        **task_settings: Any,
    ) -> Evaluation:
        """Let the agent play fresh episodes with frozen weights; what is None is as in the run.

        Args:
            episodes: how many.
            name: all files go into the run's `evaluations/<name>`, as those of `prefrontal evaluate` do; without a name
                they last as long as what is returned. The run's own evaluation is not touched.
            seed: of the episodes and of the agent's choices.
            envs: episodes side by side.
            greedy: take the likeliest action instead of sampling the policy.
            closed_units: units whose reinstatement gate is held at 0 (agents with an episodic memory).
            closed_above: the same for all units whose mean gate in the run's own evaluation exceeds this.
            **task_settings: options of the task that differ from the training's.

        Raises:
            ConfigError: for what cannot be, such as a task with other observations than the agent knows.

        Example:
            >>> run.evaluate(1000, common=0.95).results["stay_probability"]
        """
        given = {
            "name": name,
            "episodes": episodes,
            "seed": seed,
            "envs": envs,
            "greedy": greedy,
            "closed_units": closed_units,
            "closed_above": closed_above,
        }
        asked = {key: plain(value) for key, value in given.items() if value is not None}
        with called():
            own = {"run": self.folder, "checkpoint": self.checkpoint, "name": UNNAMED, "task": plain(task_settings)}
            told = checked(EvaluateSettings, {**own, **asked})
            return self._evaluated(told, keep=name is not None)

    def _evaluated(self, told: EvaluateSettings, keep: bool) -> Evaluation:
        assert told.name is not None
        temporary = None if keep else tempfile.TemporaryDirectory(prefix="prefrontal_")
        with run_at(self.folder, TO_EVALUATE) as folder:
            config, checkpoint = asked_config(folder, told), checkpoint_called(folder, told.checkpoint)
            output = folder.evaluation_called(told.name)
            if temporary is not None:
                output = RunFolder(Path(temporary.name) / told.name)
            evaluate_run(config, checkpoint, output)
            if keep:
                draw_run(folder, config, checkpoint, output)
        return Evaluation(self, config, told.name, temporary)


class Evaluation(Evaluated):
    """What `Run.evaluate` gives: `results`, `trials`, `figures`, `table`."""

    def __init__(
        self, run: Run, config: TrainConfig, name: str, temporary: tempfile.TemporaryDirectory[str] | None
    ) -> None:
        self.run, self.config, self.name, self._temporary = run, config, name, temporary

    def __repr__(self) -> str:
        return f"Evaluation of {self.run.folder!r}: {self.config.evaluate.episodes:,} episodes"

    @contextmanager
    def _opened(self, *wanted: str) -> Iterator[Places]:
        own = () if self._temporary is not None else (f"evaluations/{self.name}/{file}" for file in wanted)
        with run_at(self.run.folder, (*TO_DRAW, *own)) as folder:
            evaluated = folder.evaluation_called(self.name)
            if self._temporary is not None:
                evaluated = RunFolder(Path(self._temporary.name) / self.name)
            yield Places(evaluated, folder)


def load(folder: str | os.PathLike[str], checkpoint: str = NEWEST) -> Run:
    """A run that was trained before.

    Args:
        folder: its folder, a path or a URL.
        checkpoint: whose weights are looked at: `newest` (at the end of the training), `best` or a file's name.

    Raises:
        ConfigError: if there is no run.

    Example:
        >>> prefrontal.load("runs/two_step/2026-01-01_12-00-00_train").history.plot("env_steps", "reward_per_trial")
    """
    return Run(folder, checkpoint)


def runs(folder: str | os.PathLike[str] = "runs") -> list[Run]:
    """All runs in a folder and the folders in it, by their paths (of one task: the newest last).

    Raises:
        ConfigError: if there is no such folder.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(f"there is no folder {place.absolute()}")
    found = []
    for path in sorted(place.rglob("config.yaml")):
        try:
            found.append(Run(path.parent))
        except ConfigError as error:
            errors.print(f"warning: left out: {path.parent}: {error}", style="yellow")
    return found
