"""What is shown of an evaluation: its table beside what it is held against, and where the files are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...envs.trials import Reference
from ..config import TrainConfig
from ..console import console
from .activity_file import in_words
from .evaluation import task_played
from .folder import RunFolder
from .measures import flatten, results_table
from .perturbing import CONTROL, described

BOOK_KEEPING = {
    "task",
    "seed",
    "perturbations",
    "episodes",
    "analysed_episodes",
    "env_steps",
    "training_episodes",
    "wall_s",
    "steps_per_second",
}
"""Names in `results.json` that are no measures of behaviour."""


def show_results(
    config: TrainConfig, results: Mapping[str, Any], output: RunFolder, control: RunFolder | None = None
) -> None:
    """The table of results beside those of a control, the ideal and published values, and where to look."""
    task, _ = task_played(config)
    for perturbation in results.get("perturbations", ()):
        console.print(f"perturbed    {described(perturbation)}")
    title = f"{task.name}: {results['episodes']:,} fresh episodes, frozen weights"
    console.print(results_table(title, [measures_shown(results)], references(config, control)))
    for path in sorted([*output.figures.glob("*.png"), *output.figures.glob("*.gif")]):
        console.print(f"figure       {output.shown(path)}")
    console.print(f"all numbers  {output.shown(output.results)}")
    console.print(f"each trial   {output.shown(output.evaluation)}")
    if config.evaluate.record:
        console.print(f"activity     {output.shown(output.activity)} ({in_words(output.activity.stat().st_size)})")


def references(config: TrainConfig, control: RunFolder | None = None) -> list[Reference]:
    """What an evaluation is held against: a control, ideal and published values."""
    task, settings = task_played(config)
    found = list(task.references(settings))
    if control is not None:
        found.insert(0, Reference(CONTROL, control.read_results(), "an evaluation of the same agent"))
    return found


def measures_shown(results: Mapping[str, Any]) -> dict[str, Any]:
    """Those that stand in the table of one run."""
    left_out = BOOK_KEEPING | long_measures(results)
    return {name: value for name, value in results.items() if name not in left_out}


def long_measures(results: Mapping[str, Any]) -> set[str]:
    """Names of measures with so many numbers that they belong in a file, not in a table."""
    return {name for name, value in results.items() if len(flatten({name: value})) > 8}
