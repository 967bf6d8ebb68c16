"""`prefrontal reproduce` from its settings to its page."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from ...conf.checking import ConfigError
from ...conf.settings import Count, Many, Name, Text, settings
from ..config import local_cpus
from ..console import console, errors, shell
from ..engines.session import join
from ..run.storage import is_url
from ..stopping import StopRequest
from .page import page
from .paper import Paper, chosen
from .plan import Compared, Experiment, Job, check_room, compared, planned
from .report import failures, numbers, shown, shown_together, write
from .schedule import Here, Playing, There, alone_in, play_all


@settings
class ReproduceSettings:
    """See `conf/reproduce.yaml`."""

    figures: Many[Name] = ()
    seeds: Count = 8
    folder: Annotated[Text, "a path"] | None = None
    jobs: Count | Literal["auto"] = "auto"
    cluster: Text = "none"

    def __post_init__(self) -> None:
        if self.folder is not None and is_url(self.folder):
            raise ValueError(f"folder={self.folder}: a path; runs and page lie in one folder")


def reproduce(told: ReproduceSettings, name: str, paper: Paper, search: Sequence[str] = ()) -> int:
    """Play what is missing, write the page; returns the exit status.

    Args:
        told: what is asked for.
        name: of the paper.
        paper: all of it.
        search: see `plan.planned`.

    Raises:
        ConfigError: for what cannot be, or does not fit what is in the folder.
    """
    asked_for = chosen(paper, told.figures)
    home = Path(told.folder or f"runs/reproduce/{name}").expanduser()
    with console.status("composing"):
        experiments = planned(asked_for, home, told.seeds, search)
    missing = [run for one in experiments for run in one.runs if not run.finished]
    check_room(home, len(missing))
    with alone_in(home) as lock, _place(told, lock) as (start, at_once), StopRequest() as stop:
        _announce(experiments, at_once)
        # Once: when all of these are over.
        everything = functools.cache(lambda: _with_others(experiments, paper, home, search))
        failed = play_all(experiments, start, at_once, stop, lambda: _to_compare(compared(paper, home, everything())))
    command = f"prefrontal reproduce {name}"
    asked: dict[str, object] = {"figures": f"[{','.join(told.figures)}]"} if told.figures else {}
    asked |= {"seeds": told.seeds} | ({"folder": told.folder} if told.folder else {})
    command = f"{command} {shell(**asked)}"
    if failed is None:
        console.print(f"stopped; go on with: {command}", style="bold")
        return 130
    parts = [shown(one, failed, home / "report") for one in everything()]
    beside = [shown_together(one, failed, home / "report") for one in compared(paper, home, everything())]
    text = page(paper, parts, beside, command, datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"))
    path = write(numbers(paper, parts, beside, command), paper, text, home / "report")
    for one in parts:
        for verdict in one.verdicts:
            said = {True: "reached", False: f"short by {verdict.short_by:.3g}", None: "not judged"}[verdict.reached]
            console.print(f"{one.part.name:<16} {verdict.row.name}: {verdict.mean:.3g}, {said}")
    for failure in failures(parts, beside):
        errors.print(f"failed: {failure.name} (status {failure.status}); it printed:\n{failure.said}", style="red")
    console.print(f"page         {path}", style="bold")
    return 1 if failed else 0


def _with_others(
    experiments: Sequence[Experiment], paper: Paper, home: Path, search: Sequence[str]
) -> list[Experiment]:
    """These and those of the paper's other parts of which there are runs, in the paper's order."""
    found = {one.part.name: one for one in experiments}
    for part in paper.parts:
        if part.name in found or not (home / part.name).is_dir():
            continue
        try:
            (other,) = planned([part], home, 0, search)
        except ConfigError as error:
            errors.print(f"left out of the page: {error}", style="yellow")
        else:
            found |= {part.name: other} if other.finished else {}
    return [found[part.name] for part in paper.parts if part.name in found]


def _to_compare(comparisons: Sequence[Compared]) -> list[Job]:
    """What of them does not show all runs yet."""
    return [job for one in comparisons if not (job := one.drawing()).finished]


def _announce(experiments: Sequence[Experiment], at_once: int) -> None:
    runs = [run for one in experiments for run in one.runs]
    missing = [run for run in runs if not run.finished]
    left = sum(run.seconds * (1 - run.share()) for run in missing)
    minutes = f", about {max(1, round(left / min(at_once, len(missing)) / 60))} min" if missing else ""
    console.print(
        f"{len(runs) - len(missing)} of {len(runs)} runs are there{minutes}; {at_once} at a time", style="dim"
    )


@contextlib.contextmanager
def _place(told: ReproduceSettings, lock: int) -> Iterator[tuple[Callable[[str], Playing], int]]:
    """How a job is started, and how many there may be at once."""
    if told.cluster == "none":
        at_once = local_cpus() if told.jobs == "auto" else told.jobs
        yield functools.partial(Here, kept_open=(lock,)), at_once
        return
    import ray

    join(told.cluster)
    try:
        cpus = int(ray.cluster_resources().get("CPU", 1))
        yield There, cpus if told.jobs == "auto" else told.jobs
    finally:
        ray.shutdown()
