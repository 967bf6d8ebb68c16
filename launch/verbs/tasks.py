"""`prefrontal tasks`: what there is, one line each, with the paper."""

from __future__ import annotations

from rich.table import Table

from ...envs import registry
from ..console import console


def main() -> None:
    """Print the tasks."""
    table = Table(box=None, pad_edge=False)
    for title in ("task", "what it is", "paper", "Gymnasium id"):
        table.add_column(title)
    for task in registry.tasks().values():
        table.add_row(f"[bold]{task.name}[/]", task.summary, task.paper, task.gym_id)
    console.print(table)
