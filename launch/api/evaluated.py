"""What an evaluation left behind, as Python knows it: numbers, tables, figures."""

from __future__ import annotations

import base64
import functools
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ..config import TrainConfig
from ..run.evaluation import figures_of
from ..run.folder import RunFolder
from ..run.measures import flatten
from ..run.recording import opened
from ..run.reporting import measures_shown, references
from .calling import called

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from xarray import Dataset

DOTS_PER_INCH = 80
"""Of figures in a notebook."""


class Places(NamedTuple):
    """Folders of an evaluation."""

    evaluated: RunFolder
    """Where it lies."""
    trained: RunFolder
    """Of the run."""
    control: RunFolder | None
    """Where the evaluation lies that this one is held against."""
    lasting: bool
    """Whether the files stay."""


class Figures(dict[str, "Figure"]):
    """Figures of matplotlib by name, the main one first; a notebook shows all of them, or one that is asked for."""

    def __init__(self, drawn: Mapping[str, Figure]) -> None:
        super().__init__(drawn)
        for figure in drawn.values():
            # IPython asks an object for this, unless pyplot has told it how figures are shown.
            vars(figure)["_repr_png_"] = functools.partial(_png, figure)

    def _repr_html_(self) -> str:
        sources = ((name, base64.b64encode(_png(figure)).decode()) for name, figure in self.items())
        return "\n".join(f'<img alt="{name}" src="data:image/png;base64,{source}">' for name, source in sources)


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")
    return picture.getvalue()


class Evaluated(ABC):
    """An evaluation of an agent. What is read or drawn is kept: change copies.

    Everything here raises a ConfigError where there is no evaluation yet.
    """

    config: TrainConfig
    """All settings, frozen."""

    @abstractmethod
    def _opened(self, *wanted: str) -> AbstractContextManager[Places]:
        """The folders, with the files of the evaluation that are named and the run's own."""

    @cached_property
    def results(self) -> dict[str, Any]:
        """`results.json`: every number by its name; None for what is not a number."""
        with called(), self._opened("results.json") as places:
            return places.evaluated.read_results()

    @cached_property
    def trials(self) -> DataFrame:
        """`evaluation.parquet`: one row a trial, with its number within its `episode`; columns are the task's own.

        The network's `value` (before the trial's last action) and `rpe` (that action's prediction error) stand there
        too.
        """
        import pandas

        with called(), self._opened("evaluation.parquet") as places:
            return pandas.read_parquet(places.evaluated.evaluated(places.evaluated.evaluation))

    @cached_property
    def figures(self) -> Figures:
        """The task's figures by name, drawn anew: of matplotlib, to be changed and saved."""
        wanted = ("evaluation.parquet", "memory.safetensors", "metrics.csv")
        with called(), self._opened(*wanted) as places:
            return Figures(figures_of(places.trained, self.config, places.evaluated, places.control))

    @cached_property
    def activity(self) -> Dataset:
        """`activity.nc`, if it was recorded: see `Run.record`. Of a file that stays values are read when asked for."""
        with called(), self._opened("activity.nc") as places:
            path = places.evaluated.evaluated(places.evaluated.activity, record="true")
            found = opened(path)
            return found if places.lasting else found.load()

    @property
    def table(self) -> DataFrame:
        """The table that is printed: a row a measure, its value beside those it is held against (NaN: not known)."""
        import pandas

        with called(), self._opened("results.json") as places:
            columns = {"this run": flatten(measures_shown(self.results))}
            others = references(self.config, places.control)
            columns |= {other.name: flatten(other.values) for other in others}
            measures = list(columns["this run"])
            return pandas.DataFrame(columns).reindex(measures).rename_axis("measure")
