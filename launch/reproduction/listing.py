"""The papers that can be reproduced, with their parts."""

from __future__ import annotations

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from rich.table import Table
from rich.text import Text

from ...conf.checking import checked
from ..config import local_cpus, plain
from ..console import console
from .paper import Paper


def papers() -> dict[str, Paper]:
    """All that there are, by the names that choose them."""
    loader = GlobalHydra.instance().config_loader()
    found = {}
    for name in loader.get_group_options("paper"):
        composed = loader.load_configuration("reproduce", [f"paper={name}"], RunMode.RUN)
        found[name] = checked(Paper, plain(composed.paper), f"conf/paper/{name}.yaml")
    return found


def show_papers() -> None:
    """Print them."""
    table = Table(box=None, pad_edge=False)
    for title in ("paper", "part", "what", "figures", "8 seeds"):
        table.add_column(title)
    for name, paper in papers().items():
        for number, part in enumerate(paper.parts):
            minutes = max(1, round(8 * part.seconds / local_cpus() / 60))
            figures = ", ".join(figure.name for figure in part.figures)
            shown = Text("" if number else name, style="bold")
            table.add_row(shown, part.name, part.title, figures, f"{minutes} min")
        for one in paper.comparisons:
            table.add_row("", one.name, one.title, ", ".join(figure.name for figure in one.figures), "")
    console.print(table)
    console.print("prefrontal reproduce <paper> figures=[<part>,...] seeds=8")
