"""`prefrontal tasks`: what there is, one line each, with the paper."""

from __future__ import annotations

import sys

from rich.table import Table
from rich.text import Text

from ...envs import registry
from ..config import ConfigError
from ..console import console


def main() -> None:
    """Print the tasks.

    Raises:
        ConfigError: for a setting, since there is none.
    """
    if arguments := sys.argv[1:]:
        if set(arguments) <= {"-h", "--help"}:
            console.print("prefrontal tasks: list the tasks; it takes no settings")
            return
        raise ConfigError(f"{arguments[0]}: prefrontal tasks takes no settings")
    table = Table(box=None, pad_edge=False)
    for title in ("task", "what it is", "paper", "Gymnasium id"):
        table.add_column(title)
    for task in registry.tasks().values():
        table.add_row(Text(task.name, style="bold"), task.summary, task.paper, task.gym_id)
    console.print(table)
