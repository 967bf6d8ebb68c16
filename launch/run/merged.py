"""Figures and tables of the runs that match a pattern, and of others' trials: seeds, agents and subjects, merged."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...envs import registry
from ...envs.groups import compare, groups_of
from ...envs.registry import Task
from ...envs.tables import Subject
from ...envs.trials import Evaluation
from ..config import ConfigError, TrainConfig, task_settings, train_config
from ..console import console, errors, shell
from .evaluation import as_evaluation, draw, task_played
from .folder import NotARunFolderError, RunFolder
from .measures import flatten, results_table
from .others import Played, subjects_of
from .places import TO_DRAW, output_at, run_at, runs_matching
from .reporting import BOOK_KEEPING, long_measures
from .storage import is_url


def _matches(pattern: str) -> list[str]:
    if is_url(pattern):
        return runs_matching(pattern)
    path = Path(pattern).expanduser()
    if path.exists():  # a name may hold brackets: those of a sweep over lists do
        return [str(path)]
    matches = glob.glob(str(path))  # noqa: PTH207  # absolute patterns too
    runs = [path for path in matches if (Path(path) / "config.yaml").is_file()]
    return sorted(runs or matches)  # a pattern also matches what lies beside the runs


def _folders(pattern: str, opened: ExitStack, beside: Sequence[str]) -> list[RunFolder]:
    paths = _matches(pattern)
    if not paths:
        raise NotARunFolderError(f"nothing matches run={pattern}")
    folders = []
    wanted = (*TO_DRAW, *(f"evaluations/{name}/*" for name in beside))
    for path in paths:
        try:
            folder = opened.enter_context(run_at(path, wanted))
            folder.read_trials()
            folders.append(folder)
        except NotARunFolderError as error:
            if len(paths) == 1:
                raise
            errors.print(f"warning: left out: {error}", style="yellow")
    if not folders:
        raise NotARunFolderError(f"none of the {len(paths)} paths that match run={pattern} is an evaluated run")
    return folders


def _one_task(configs: list[TrainConfig], folders: list[RunFolder]) -> None:
    free = registry.get(configs[0].task_name).life
    tasks = [{name: value for name, value in config.task.items() if name not in free} for config in configs]
    differing = [folder.location for task, folder in zip(tasks, folders, strict=True) if task != tasks[0]]
    if differing:
        raise ConfigError(
            f"runs of one figure must have one task with one set of options; {differing[0]} differs from "
            f"{folders[0].path}"
        )


def _groups(configs: list[TrainConfig]) -> list[str]:
    """Who each run is: its agent, and the algorithm where they differ."""
    several = len({config.algo.name for config in configs}) > 1
    return [c.model.agent_name + (f", {c.algo.name}" if several else "") for c in configs]


def redraw(played: Played, beside: Sequence[str] = ()) -> None:
    """Draw the figures of the runs that match and of a table of others, into `played.out`.

    With `beside`, names of evaluations, those of each run are drawn too, as a group of this name.

    By default that is the run's folder, the one that holds them all, or one beside the table. Several are merged:
    seeds of an agent, and subjects of a group, give mean and SD, agents and groups stand side by side; tables are
    printed, and all numbers go into `merged_results.json`.

    Raises:
        NotARunFolderError: if nothing that matches is an evaluated run.
        ConfigError: if the runs are not of one task or lack an evaluation, or the table cannot be read.
    """
    with ExitStack() as opened:
        runs = evaluated_runs(played, opened, beside)
        task, settings = runs.task, runs.settings
        subjects = subjects_of(played, task, settings)
        others = [Evaluation(one.trials, {}, one.name, one.group) for one in subjects]
        evaluations = [*runs.evaluations, *others]
        merged = opened.enter_context(output_at(played.out or _default_output(played, runs.folders)))
        paths = merged.write_figures(draw(evaluations, task, settings))
        if len(evaluations) > 1 or subjects:
            measures = task.compared or (task.headline,) if len(groups_of(evaluations)) > 1 else ()
            comparison = {name: compare(evaluations, task.summarise, settings, name) for name in measures}
            results = [
                {"agent": e.group, **f.read_results()} for e, f in zip(runs.evaluations, runs.places, strict=True)
            ]
            results += [_results_of(subject, task, settings) for subject in subjects]
            merged.write_results({"runs": results, "comparison": comparison}, "merged_results.json")
            _show(results, comparison, task, settings)
        for path in paths:
            console.print(f"figure       {merged.shown(path)}")


@dataclass(frozen=True)
class EvaluatedRuns:
    """Runs of one task, which may be none."""

    task: Task
    settings: Any
    folders: Sequence[RunFolder]
    """Of the runs."""
    places: Sequence[RunFolder]
    """Where their evaluations lie: their own, then those that have names."""
    evaluations: Sequence[Evaluation]
    """One a place; groups are agents, and the names."""


def evaluated_runs(played: Played, opened: ExitStack, beside: Sequence[str] = ()) -> EvaluatedRuns:
    """The runs that match `played.run`, and their task (without runs: `played.task`).

    Their evaluations called `beside` are there as runs of their own are.

    Raises:
        NotARunFolderError: if nothing that matches is an evaluated run.
        ConfigError: if they are not of one task or lack an evaluation, or there is no such task.
    """
    if played.run is None:
        settings = task_settings(played.task)
        return EvaluatedRuns(registry.get(str(played.task["name"])), settings, (), (), ())
    folders = _folders(played.run, opened, beside)
    configs = [train_config(folder.read_config()) for folder in folders]
    _one_task(configs, folders)
    groups = _groups(configs)
    evaluations = [as_evaluation(c, f, f, group) for f, c, group in zip(folders, configs, groups, strict=True)]
    places, several = list(folders), len(set(groups)) > 1
    for name in beside:
        for folder, own in zip(folders, evaluations[: len(folders)], strict=True):
            places.append(named := _evaluation_called(name, folder))
            group = f"{own.group}, {name}" if several else name
            trials, memory = named.read_trials(), named.read_memory()
            evaluations.append(dataclasses.replace(own, trials=trials, history={}, group=group, memory=memory))
    return EvaluatedRuns(*task_played(configs[0]), folders, places, evaluations)


def _evaluation_called(name: str, folder: RunFolder) -> RunFolder:
    """Of a run.

    Raises:
        ConfigError: if there is none.
    """
    named = folder.evaluation_called(name)
    if not (named.evaluation.is_file() and named.results.is_file()):
        way_out = shell(run=folder.location, name=name)
        raise ConfigError(f"evaluations={name}: {folder.location} has none of it: prefrontal evaluate {way_out} ...")
    return named


def _default_output(played: Played, folders: Sequence[RunFolder]) -> str:
    return played.beside_table() if played.trials is not None else home_of(folders)


def home_of(folders: Sequence[RunFolder]) -> str:
    """The folder of a run, or the one that holds several."""
    alone = folders[0].location
    return alone if len(folders) == 1 else alone.rpartition("/")[0]


def _results_of(subject: Subject, task: Task, settings: Any) -> dict[str, Any]:
    """What `results.json` holds of an evaluated run."""
    trials = subject.trials
    who = {"agent": subject.group, "subject": subject.name, "episodes": len(np.unique(trials["episode"]))}
    return {**who, "trials": len(trials["trial"]), **task.summarise(trials, settings), **task.analyse(trials, settings)}


def _show(results: Sequence[dict[str, Any]], comparison: dict[str, Any], task: Task, settings: Any) -> None:
    references = task.references(settings)
    for agent in dict.fromkeys(run["agent"] for run in results):
        own = [run for run in results if run["agent"] == agent]
        left_out = {"agent", "subject", "trials", *BOOK_KEEPING}
        measures = [{k: v for k, v in run.items() if k not in left_out | long_measures(run)} for run in own]
        episodes = sum(run["episodes"] for run in own)
        what = f"{len(own)} runs, {episodes:,} episodes, {sum(run.get('wall_s', 0.0) for run in own):.0f} s of training"
        if "subject" in own[0]:
            what = f"{len(own)} subjects, {episodes:,} sessions, {sum(run['trials'] for run in own):,} trials"
        console.print(results_table(f"{task.name}, {agent}: {what}", measures, references))
    for name, value in flatten(comparison).items():
        console.print(f"{name}  {value:.4g}")
