"""`prefrontal analyse`: analyses of an `activity.nc`, and nothing else; figures, a table, numbers."""

from __future__ import annotations

import shlex
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from ...conf.settings import LARGEST, Count, Many, Name, Seed, Text, settings
from ..analyses.columns import At, TrialEnds, column, conditions_of, default_columns, default_condition
from ..analyses.decoding import decode
from ..analyses.drawing import draw_coding, draw_trajectories
from ..analyses.population import Along, similarity, trajectories
from ..analyses.regression import independent, regress
from ..analyses.report import Analyses, results, rows, table
from ..analyses.samples import activity_name, each_step, one_a_trial
from ..console import console, shell
from .folder import NotARunFolderError, RunFolder
from .others import write_csv
from .places import output_at, run_at
from .recording import opened
from .storage import is_url

if TYPE_CHECKING:
    from xarray import Dataset

FOLDER = "analyses"
"""Where results lie, beside the recording."""

Names = Many[Text] | Text
"""Of columns, one or several."""


@settings
class AnalyseSettings:
    """See `conf/analyse.yaml`."""

    run: Annotated[Text, "a run folder (a path or a URL)"]
    name: Name | None = None
    activity: Text | None = None
    variables: Names = ()
    condition: Names = ()
    decode: Names = ()
    at: At = "last"
    along: Along | None = None
    episodes: Count | None = None
    folds: Annotated[int, Ge(2), Le(LARGEST)] = 5
    shuffles: Count = 20
    false_discoveries: Annotated[float, Gt(0), Lt(1)] = 0.05
    seed: Seed = 0
    out: Text | None = None


def analyse_all(told: AnalyseSettings) -> None:
    """Analyse, write figures and tables, print what was found.

    Raises:
        NotARunFolderError: if there is no recording.
        ConfigError: for a column or an activity that there is not, or one that cannot be analysed so.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(told.run, told.name))
        recorded = folder.evaluation_called(told.name) if told.name else folder
        if not recorded.activity.is_file():
            raise NotARunFolderError(_missing(told, recorded))
        data = stack.enter_context(opened(recorded.activity))
        with console.status("analysing"):
            found = analyses_of(data, told)
        output = stack.enter_context(output_at(told.out)) if told.out else recorded.inside(FOLDER)
        write_csv(output.path / "regression.csv", rows(found))
        output.write_results(results(found, told.false_discoveries), "analyses.json")
        console.print(table(str(data.attrs["title"]), found, told.false_discoveries))
        figures = {
            "trajectories": draw_trajectories(found.trajectories, found.conditions),
            "coding": draw_coding(
                found.regression, found.decoding, found.similarity, found.conditions, told.false_discoveries
            ),
        }
        for path in output.write_figures(figures):
            console.print(f"figure       {output.shown(path)}")
        console.print(f"each unit    {output.shown(output.path / 'regression.csv')}")
        console.print(f"all numbers  {output.shown(output.path / 'analyses.json')}")


def _folder(run: str, name: str | None) -> AbstractContextManager[RunFolder]:
    if not is_url(run):
        path = Path(run).expanduser().absolute()
        if not path.is_dir():
            raise NotARunFolderError(f"there is no folder {path}")
        return nullcontext(RunFolder(path))
    return run_at(run, ("config.yaml", f"evaluations/{name}/activity.nc" if name else "activity.nc"))


def _missing(told: AnalyseSettings, recorded: RunFolder) -> str:
    name = {"name": told.name} if told.name else {}
    way_out = f"prefrontal evaluate {shell(run=told.run, **name)} record=true"
    there = sorted(path.parent.name for path in Path(told.run).expanduser().glob("evaluations/*/activity.nc"))
    others = f"; recorded are name={', name='.join(map(shlex.quote, there))}" if there else ""
    return f"{recorded.location} has no activity.nc: run `{way_out}` first{others}"


def analyses_of(data: Dataset, told: AnalyseSettings) -> Analyses:
    """All analyses of a recording.

    Raises:
        ConfigError: see `analyse_all`.
    """
    data = data.isel(episode=slice(told.episodes))
    ends = TrialEnds.of(data)
    name = activity_name(data, told.activity)
    wanted = _names(told.variables) or default_columns(data, ends)
    columns = {one: column(data, ends, one, "variables", told.at) for one in wanted}
    decoded = {one: column(data, ends, one, "decode", told.at) for one in _names(told.decode) or wanted}
    telling = _names(told.condition) or default_condition(data, ends, wanted)
    condition, labels = conditions_of(data, ends, telling)
    samples = one_a_trial(data, name, ends, told.at)
    along = told.along or ("step" if np.median(ends.step - ends.starts()) >= 1 else "lag")
    moving = each_step(data, name, ends) if along == "step" else samples
    return Analyses(
        name,
        samples,
        labels,
        trajectories(moving, ends, condition, len(labels), along),
        regress(samples.activity, samples.episode, columns if told.variables else independent(columns)),
        {
            one: decode(samples.activity, samples.episode, values, told.folds, told.shuffles, told.seed)
            for one, values in decoded.items()
        },
        similarity(samples, condition, len(labels)),
    )


def _names(asked: tuple[str, ...] | str) -> list[str]:
    return [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))
