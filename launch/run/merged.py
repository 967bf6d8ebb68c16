"""Figures and tables of the runs that match a pattern: several runs of one task are seeds and agents, merged."""

from __future__ import annotations

import glob
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ...envs import registry
from ...envs.groups import compare, groups_of
from ..config import ConfigError, TrainConfig, task_settings, train_config
from ..console import console, errors
from .evaluation import BOOK_KEEPING, as_evaluation, draw, long_measures
from .folder import NotARunFolderError, RunFolder
from .measures import flatten, results_table
from .places import TO_DRAW, output_at, run_at, runs_matching
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


def _folders(pattern: str, opened: ExitStack) -> list[RunFolder]:
    paths = _matches(pattern)
    if not paths:
        raise NotARunFolderError(f"nothing matches run={pattern}")
    folders = []
    for path in paths:
        try:
            folder = opened.enter_context(run_at(path, TO_DRAW))
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
    differing = [f.location for c, f in zip(configs, folders, strict=True) if c.task != configs[0].task]
    if differing:
        raise ConfigError(
            f"runs of one figure must have one task with one set of options; {differing[0]} differs from "
            f"{folders[0].path}"
        )


def _groups(configs: list[TrainConfig]) -> list[str]:
    """Who each run is: its agent, and the algorithm where they differ."""
    several = len({config.algo.name for config in configs}) > 1
    return [c.model.agent_name + (f", {c.algo.name}" if several else "") for c in configs]


def redraw(pattern: str, out: str | None = None) -> None:
    """Draw the figures of the runs that match, into `out` (default: the run's folder, or the one that holds them all).

    Several runs are merged: seeds of an agent give mean and SD, agents stand side by side; tables are printed, and all
    numbers go into `merged_results.json`.

    Raises:
        NotARunFolderError: if nothing that matches is an evaluated run.
        ConfigError: if the runs are not of one task.
    """
    with ExitStack() as opened:
        _redraw(_folders(pattern, opened), out, opened)


def _redraw(folders: list[RunFolder], out: str | None, opened: ExitStack) -> None:
    configs = [train_config(folder.read_config()) for folder in folders]
    _one_task(configs, folders)
    groups = _groups(configs)
    evaluations = [as_evaluation(c, f, f, group) for f, c, group in zip(folders, configs, groups, strict=True)]
    alone = folders[0].location
    merged = opened.enter_context(output_at(out or (alone if len(folders) == 1 else alone.rpartition("/")[0])))
    paths = merged.write_figures(draw(evaluations, configs[0]))
    if len(folders) > 1:
        task = registry.get(configs[0].task_name)
        settings = task_settings({"name": task.name, **configs[0].evaluation_task_options})
        measures = task.compared or (task.headline,) if len(groups_of(evaluations)) > 1 else ()
        comparison = {name: compare(evaluations, task.summarise, settings, name) for name in measures}
        _merge_results(folders, configs, groups, merged, comparison)
    for path in paths:
        console.print(f"figure       {merged.shown(path)}")


def _merge_results(
    folders: list[RunFolder],
    configs: list[TrainConfig],
    groups: list[str],
    merged: RunFolder,
    comparison: dict[str, Any],
) -> None:
    task = registry.get(configs[0].task_name)
    references = task.references(task_settings({"name": task.name, **configs[0].evaluation_task_options}))
    runs = [{"agent": group, **folder.read_results()} for folder, group in zip(folders, groups, strict=True)]
    merged.write_results({"runs": runs, "comparison": comparison}, "merged_results.json")
    for agent in dict.fromkeys(run["agent"] for run in runs):
        own = [run for run in runs if run["agent"] == agent]
        left_out = {"agent", *BOOK_KEEPING}
        measures = [{k: v for k, v in run.items() if k not in left_out | long_measures(run)} for run in own]
        episodes, total_s = sum(run["episodes"] for run in own), sum(run["wall_s"] for run in own)
        title = f"{task.name}, {agent}: {len(own)} runs, {episodes:,} episodes, {total_s:.0f} s of training"
        console.print(results_table(title, measures, references))
    for name, value in flatten(comparison).items():
        console.print(f"{name}  {value:.4g}")
