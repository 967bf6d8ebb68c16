"""What is to be played for a paper: the jobs of each part, their commands and folders, and what is there already."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ...conf.checking import ConfigError, by_full_name, checked, shown
from ...envs.trials import Reference
from ..composing import composed
from ..config import TrainConfig, plain, train_config
from ..console import shell
from ..overrides import overrides
from ..run.analysing import FOLDER as ANALYSES
from ..run.evaluation import task_played
from ..run.folder import RunFolder
from ..run.reevaluation import EvaluateSettings
from ..run.start import check
from .paper import Comparison, Paper, Part
from .play import done

MARK, LOG = "reproduce.json", "reproduce.log"
"""In a job's folder: which of its commands are done, and what they printed."""

ROOM_OF_A_RUN = 60 * 2**20
"""Bytes: a run of these papers leaves 2 to 10 MB, with a recording up to 50."""

DRAWING_S = 5.0
"""What the merged figures of a part, or of several, take, about."""

_OF_EACH_RUN = {"seed", "run.folder", "resume"}


@dataclass(frozen=True)
class Step:
    """One command of the program."""

    name: str
    made_with: tuple[str, ...]
    """What of it decides on what comes out."""
    command: tuple[str, ...]

    @property
    def typed(self) -> str:
        """As a person would type it."""
        verb, *settings = self.command
        return f"prefrontal {verb} {' '.join(shell(**dict([one.split('=', 1)])) for one in settings)}"


@dataclass(frozen=True)
class Job:
    """Commands that are played one after the other, in one folder: a run, or the figures of several."""

    of: str
    """The part, or the comparison."""
    seed: int | None
    """None: the figures."""
    folder: Path
    steps: tuple[Step, ...]
    seconds: float
    """What it takes, about."""
    env_steps: int = 0
    """Of its training."""

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.of}, {'figures' if self.seed is None else f'seed {self.seed}'}"

    @property
    def told(self) -> str:
        """For `play`."""
        steps = [{"name": s.name, "made_with": list(s.made_with), "command": list(s.command)} for s in self.steps]
        return json.dumps({"folder": str(self.folder.absolute()), "mark": MARK, "log": LOG, "steps": steps})

    @property
    def marks(self) -> dict[str, Any]:
        """See `play.done`."""
        return done(self.folder / MARK)

    @property
    def finished(self) -> bool:
        """Whether all of it is done."""
        marks = self.marks
        return all(marks.get(step.name, {}).get("made_with") == list(step.made_with) for step in self.steps)

    def share(self) -> float:
        """How much of it is done, by the steps of its training."""
        metrics = self.folder / "metrics.csv"
        if self.seed is None or not metrics.is_file():
            return 0.0
        names, *rows = metrics.read_text().split("\n")[:-1] or [""]  # the last line may be on its way
        column = names.split(",").index("env_steps") if "env_steps" in names.split(",") else None
        if column is None or not rows:
            return 0.0
        return min(0.99, float(rows[-1].split(",")[column]) / self.env_steps)


@dataclass(frozen=True)
class Experiment:
    """A part, ready to be played."""

    part: Part
    home: Path
    config: TrainConfig
    runs: tuple[Job, ...]

    @property
    def finished(self) -> tuple[Job, ...]:
        """Runs that are done."""
        return tuple(run for run in self.runs if run.finished)

    @cached_property
    def pattern(self) -> str:
        """Of the folders of its runs."""
        return f"{self.home}/seed_*"

    def drawing(self) -> Job:
        """The merged figures of the runs that are done by now."""
        beside = [one.name for one in self.part.evaluations if one.drawn]
        names = f"evaluations=[{','.join(beside)}]"
        command = ("figures", f"run={self.pattern}", f"out={self.home}", *([names] if beside else []))
        made_with = (names, f"seeds={shown([run.seed for run in self.finished])}")
        return Job(self.part.name, None, self.home, (Step("figures", made_with, command),), DRAWING_S)


@dataclass(frozen=True)
class Compared:
    """Several parts of which there are runs, to be drawn together."""

    comparison: Comparison
    home: Path
    """For its figures, beside those of the parts."""
    parts: tuple[Experiment, ...]

    def drawing(self) -> Job:
        """The merged figures of all their runs that are done by now."""
        command = ("figures", f"run={self.home.parent}/{self.comparison.parts}/seed_*", f"out={self.home}")
        seeds = {one.part.name: [run.seed for run in one.finished] for one in self.parts}
        step = Step("figures", (f"seeds={shown(seeds)}",), command)
        return Job(self.comparison.name, None, self.home, (step,), DRAWING_S)


def compared(paper: Paper, home: Path, experiments: Sequence[Experiment]) -> list[Compared]:
    """The comparisons of a paper with runs of two or more of their parts.

    Args:
        paper: whose.
        home: of the parts' folders.
        experiments: all parts of which there are runs.
    """
    found = []
    for one in paper.comparisons:
        parts = tuple(e for e in experiments if e.finished and one.compares(e.part.name))
        found += [Compared(one, home / one.name, parts)] if len(parts) > 1 else []
    return found


def planned(parts: Sequence[Part], home: Path, seeds: int, search: Sequence[str] = ()) -> list[Experiment]:
    """Parts of a paper, with `seeds` runs each and those that are there beyond.

    Args:
        parts: which.
        home: a folder for all of it.
        seeds: 0, 1, ... of each part; 0: no more than what is there.
        search: folders with more files of settings, as Hydra's `hydra.searchpath` names them.

    Raises:
        ConfigError: for settings that cannot be, or other ones than a run that is there was made with.
        HydraException, OmegaConfBaseException: see `composing.explained`.
    """
    return [_experiment(part, home / part.name, seeds, search) for part in parts]


def _experiment(part: Part, home: Path, seeds: int, search: Sequence[str]) -> Experiment:
    first = train_command(part, home / "seed_0", 0, search)
    settings, _ = composed("train", overrides("train", first[1:]))
    config = train_config(settings.copy())
    check(config)
    for one in part.evaluations:
        asked = [f"run={home / 'seed_0'}", f"name={one.name}", *one.settings]
        checked(EvaluateSettings, plain(composed("evaluate", overrides("evaluate", asked))[0]))
    there = {int(path.name.removeprefix("seed_")) for path in home.glob("seed_[0-9]*") if (path / MARK).is_file()}
    if part.reference is not None and not there:  # once: some are simulated
        reference_of(part, config)
    numbers = sorted({*range(seeds), *there})
    runs = tuple(_run(part, home / f"seed_{n}", n, config.run.env_steps, search) for n in numbers)
    for run in runs:
        _check_unchanged(run, settings)
    return Experiment(part, home, config, tuple(run for run in runs if run.seed in range(seeds) or run.finished))


def reference_of(part: Part, config: TrainConfig) -> Reference:
    """What a part is held against.

    Args:
        part: that has one.
        config: with the task as it is evaluated.

    Raises:
        ConfigError: if the task has none of that name.
    """
    task, options = task_played(config)
    references = {one.name: one for one in task.references(options)}
    if part.reference not in references:
        raise ConfigError(f"part {part.name}: there is no reference '{part.reference}'; there is: {[*references]}")
    return references[part.reference]


def train_command(part: Part, folder: Path, seed: int, search: Sequence[str]) -> tuple[str, ...]:
    """That of a run: one process, which goes on where it was interrupted."""
    more = (f"hydra.searchpath=[{','.join(search)}]",) if search else ()
    return ("train", *part.train, f"seed={seed}", f"run.folder={folder}", "resume=auto", "cluster=none", *more)


def _run(part: Part, folder: Path, seed: int, env_steps: int, search: Sequence[str]) -> Job:
    steps = [Step("train", part.train, train_command(part, folder, seed, search))]
    for one in part.evaluations:
        played = (f"run={folder}", f"name={one.name}")
        steps.append(Step(f"evaluate {one.name}", one.settings, ("evaluate", *played, *one.settings)))
        if one.analyse is not None:
            steps.append(Step(f"analyse {one.name}", one.analyse, ("analyse", *played, *one.analyse)))
    return Job(part.name, seed, folder, tuple(steps), part.seconds, env_steps)


def _check_unchanged(run: Job, settings: DictConfig) -> None:
    """That what is in a run's folder was made with what is asked for now.

    Raises:
        ConfigError: for the first difference.
    """
    way_out = f"give another folder=<folder>, or remove {run.folder}"
    folder = RunFolder(run.folder)
    if folder.config.is_file() and any((run.folder / "checkpoints").glob("*.safetensors")):
        before, now = by_full_name(plain(folder.read_config())), by_full_name(plain(settings))
        for name in sorted((before.keys() & now.keys()) - _OF_EACH_RUN):
            if shown(before[name]) != shown(now[name]):
                raise ConfigError(
                    f"{run.folder} was trained with {name}={shown(before[name])}, and {name}={shown(now[name])} is "
                    f"asked for now: {way_out}"
                )
    for step in run.steps:
        if (mark := run.marks.get(step.name)) is not None and mark["made_with"] != list(step.made_with):
            raise ConfigError(
                f"{run.folder}: `{step.name}` was made with {shown(mark['made_with'])}, and {shown(step.made_with)} "
                f"is asked for now: {way_out}"
            )


def check_room(home: Path, missing: int) -> None:
    """That there is a folder to write into, and room for so many runs.

    Raises:
        ConfigError: if not.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"folder={home}: {error.strerror}") from error
    free, needed = shutil.disk_usage(home).free, missing * ROOM_OF_A_RUN
    if free < needed:
        raise ConfigError(
            f"folder={home}: {missing} runs need some {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free there"
        )


def results_of(run: Job, evaluation: str | None) -> dict[str, Any]:
    """All numbers of a run's own evaluation, or of one with a name; under `analyses` those of its recording."""
    folder = RunFolder(run.folder)
    if evaluation is not None:
        folder = folder.evaluation_called(evaluation)
    results = folder.read_results()
    analyses = folder.inside(ANALYSES).path / "analyses.json"
    return {**results, "analyses": json.loads(analyses.read_text())} if analyses.is_file() else results
