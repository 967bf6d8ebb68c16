"""`prefrontal.load` and `prefrontal.runs`: runs, and what can be done with a trained agent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...conf.checking import checked
from ...learner import snapshot
from ...models.agent import Agent
from ..config import ConfigError, TrainConfig, train_config
from ..console import errors
from ..run.places import TO_EVALUATE, run_at
from ..run.reevaluation import NEWEST, EvaluateSettings, checkpoint_called, path_called
from ..run.storage import is_url
from .calling import called
from .evaluated import Evaluated, Places
from .evaluations import Evaluation, evaluation, unnamed
from .given import plain

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset


class Run(Evaluated):
    """A run: `results`, `trials`, `figures`, `table` of its evaluation, the curves, the agent. A path, too.

    It holds nothing but where the run lies: it may be pickled and sent to other processes.

    Args:
        folder: a path or a URL.
        checkpoint: whose weights `agent` has and `evaluate` plays: `newest`, `best` or a file's name.

    Raises:
        ConfigError: if there is no run, or no such checkpoint.
    """

    def __init__(self, folder: str | os.PathLike[str], checkpoint: str = NEWEST) -> None:
        self.folder: str = plain(folder)
        self.checkpoint = checkpoint
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
            yield Places(folder, folder, None, lasting=not is_url(self.folder))

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
        perturb: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        control: str | None = None,
        closed_units: Sequence[int] | None = None,
        closed_above: float | None = None,
        record: bool = False,
        record_observation: bool | None = None,
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
            perturb: an intervention such as `{"units": [3, 7], "set": 0}`, or several; see docs/perturb.md.
            control: the name of the evaluation that a perturbed one is held against; None: the run's own.
            closed_units: units whose reinstatement gate is held at 0 (agents with an episodic memory).
            closed_above: the same for all units whose mean gate in the run's own evaluation exceeds this.
            record: everything that went on inside, into `activity`.
            record_observation: ... with what the agent sees; None: unless that is pictures.
            **task_settings: options of the task that differ from the training's.

        Raises:
            ConfigError: for what cannot be, such as a task with other observations than the agent knows.

        Example:
            >>> run.evaluate(1000, common=0.95).results["stay_probability"]
            >>> run.evaluate(perturb={"input": "prev_reward", "set": 0}).figures
        """
        given = {
            "name": name,
            "episodes": episodes,
            "seed": seed,
            "envs": envs,
            "greedy": greedy,
            "perturb": [perturb] if isinstance(perturb, Mapping) else perturb,
            "control": control,
            "closed_units": closed_units,
            "closed_above": closed_above,
            "record": record,
            "record_observation": record_observation,
        }
        asked = {key: plain(value) for key, value in given.items() if value is not None}
        perturbed = any(asked.get(key) is not None for key in ("perturb", "closed_units", "closed_above"))
        own = {"run": self.folder, "checkpoint": self.checkpoint, "name": unnamed(perturbed)}
        with called():
            told = checked(EvaluateSettings, {**own, "task": plain(task_settings), **asked})
            return evaluation(told, keep=name is not None)

    def record(self, episodes: int = 100, **settings: Any) -> Dataset:
        """Everything that goes on in the agent while it plays: states, gates, policy, value, the task's truth.

        Args:
            episodes: how many.
            **settings: of `evaluate`; with a `name` the recording stays in the run's `evaluations/<name>/activity.nc`.

        Returns:
            Variables over (episode, step, ...), padded to the longest episode; see docs/activity.md.

        Example:
            >>> activity = run.record(episodes=100)
            >>> activity.hidden.where(activity["mask"]).mean(("episode", "step"))  # of each unit
        """
        return self.evaluate(episodes, record=True, **settings).activity


def load(folder: str | os.PathLike[str], checkpoint: str = NEWEST) -> Run:
    """A run that was trained before.

    Args:
        folder: its folder, a path or a URL.
        checkpoint: whose weights are looked at: `newest` (at the end of the training), `best` or a file's name.

    Raises:
        ConfigError: if there is no run, or no such checkpoint.

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
