"""`prefrontal tasks`: what there is, one line each, with the paper; with `module=`, a package's own environments."""

from __future__ import annotations

import sys

import numpy as np
from rich.table import Table
from rich.text import Text

from ...envs import registry
from ...envs.gymnasium.survey import survey
from ..config import ConfigError
from ..console import console


def main() -> None:
    """Print the tasks; with `module=<package>` the Gymnasium environments of a package, and whether they play.

    Raises:
        ConfigError: for another setting.
    """
    arguments = sys.argv[1:]
    if arguments and set(arguments) <= {"-h", "--help"}:
        console.print("prefrontal tasks: list the tasks; module=<package>: play the package's Gymnasium environments")
        return
    module = ""
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name != "module" or not value:
            raise ConfigError(f"{argument}: prefrontal tasks takes no settings but module=<package>")
        module = value
    console.print(_guests(module) if module else _tasks())


def _tasks() -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("task", "what it is", "paper", "Gymnasium id"):
        table.add_column(title)
    for task in registry.tasks().values():
        table.add_row(Text(task.name, style="bold"), task.summary, task.paper, task.gym_id)
    return table


def _guests(module: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("environment", style="bold", no_wrap=True)
    for title in ("observation", "actions", "steps", "chance", "plays"):
        table.add_column(title)
    for found in survey(module):
        if found.problem:
            table.add_row(found.id, "", "", "", "", f"no: {found.problem}")
            continue
        steps, chance = (f"{value:.3g}" if np.isfinite(value) else "-" for value in (found.steps, found.performance))
        table.add_row(found.id, found.observation, found.actions, steps, chance, "yes")
    return table
