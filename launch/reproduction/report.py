"""The folder `report/` of a paper: the page, all its numbers as JSON, and BibTeX."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..run.analysing import FOLDER as ANALYSES
from ..run.folder import RunFolder
from .bibtex import entries
from .paper import Comparison, Paper, Part, Picture
from .plan import LOG, Compared, Experiment, Job, Step
from .verdicts import Verdict, verdicts

LARGEST_SVG = 400_000
"""Bytes: above, the PNG of a figure is smaller and as sharp."""

LAST_LINES = 12
"""Of what a failed command printed."""


@dataclass(frozen=True)
class Drawn:
    """A figure as the page shows it."""

    picture: Picture
    path: str
    """From the page."""
    data: str | None
    """As a `data:` address; None: there is none."""


@dataclass(frozen=True)
class Failure:
    """A job that did not end well."""

    name: str
    status: int
    log: str
    """From the page."""
    said: str
    """The end of it."""


@dataclass(frozen=True)
class Shown:
    """Everything that the page tells of a part."""

    part: Part
    verdicts: Sequence[Verdict]
    figures: Sequence[Drawn]
    runs: Mapping[int, str]
    """Folders by seed, from the page."""
    missing: Sequence[int]
    """Seeds that were asked for and are not there."""
    failures: Sequence[Failure]
    commands: Sequence[str]
    """With which the first seed, its evaluations and the figures are made again by hand."""
    training_s: Sequence[float]
    """By seed: of the training alone."""
    seconds: Sequence[float]
    """By seed: of all commands, each from the start of its process to its end."""
    processors: Sequence[str]


@dataclass(frozen=True)
class ShownTogether:
    """Everything that the page tells of a comparison."""

    comparison: Comparison
    parts: Sequence[str]
    """Names of those of which there are runs."""
    figures: Sequence[Drawn]
    failures: Sequence[Failure]
    command: str
    tests: Mapping[str, Any]
    """Mean and SD of each agent, and a test of each pair (`merged_results.json`); empty if it failed."""


def shown_together(one: Compared, failed: Mapping[str, int], page: Path) -> ShownTogether:
    """What there is of a comparison; see `shown`."""
    drawing = one.drawing()
    results = one.home / "merged_results.json"
    return ShownTogether(
        comparison=one.comparison,
        parts=[part.part.name for part in one.parts],
        figures=[_drawn(picture, one.home, page) for picture in one.comparison.figures],
        failures=[_failure(drawing, failed[drawing.name], page)] if drawing.name in failed else [],
        command=drawing.steps[0].typed,
        tests=json.loads(results.read_text())["comparison"] if results.is_file() else {},
    )


def shown(experiment: Experiment, failed: Mapping[str, int], page: Path) -> Shown:
    """What there is of a part.

    Args:
        experiment: whose.
        failed: exit statuses by the names of jobs.
        page: the folder in which the page will be.

    Raises:
        ConfigError: see `verdicts`.
    """
    runs, drawing = experiment.finished, experiment.drawing()
    marks = [run.marks for run in runs]
    jobs = {job.name: job for job in (*experiment.runs, drawing)}
    played = [one for mark in marks for one in mark.values()]
    steps: list[Step] = [*(experiment.runs[0].steps), *drawing.steps]
    return Shown(
        part=experiment.part,
        verdicts=verdicts(experiment),
        figures=[_drawn(picture, _folder_of(picture, experiment), page) for picture in experiment.part.figures],
        runs={run.seed: _from(page, run.folder) for run in runs if run.seed is not None},
        missing=[run.seed for run in experiment.runs if run not in runs and run.seed is not None],
        failures=[_failure(jobs[name], status, page) for name, status in failed.items() if name in jobs],
        commands=[step.typed for step in steps],
        training_s=[float(RunFolder(run.folder).read_results()["wall_s"]) for run in runs],
        seconds=[sum(one["seconds"] for one in mark.values()) for mark in marks],
        processors=sorted({f"{one['processor']} ({one['cpus']} CPUs)" for one in played}),
    )


def failures(parts: Sequence[Shown], together: Sequence[ShownTogether]) -> list[Failure]:
    """Of all jobs."""
    return [*(f for one in parts for f in one.failures), *(f for one in together for f in one.failures)]


def _from(page: Path, path: Path) -> str:
    return Path(os.path.relpath(path, page)).as_posix()


def _folder_of(picture: Picture, experiment: Experiment) -> Path:
    if picture.of is None:
        return experiment.home
    first = (experiment.finished or experiment.runs)[0]
    return first.folder / "evaluations" / picture.of / ANALYSES


def _drawn(picture: Picture, folder: Path, page: Path) -> Drawn:
    svg = folder / "figures" / f"{picture.name}.svg"
    path = svg if svg.is_file() and svg.stat().st_size <= LARGEST_SVG else svg.with_suffix(".png")
    if not path.is_file():
        return Drawn(picture, "", None)
    kind = "svg+xml" if path == svg else "png"
    data = base64.b64encode(path.read_bytes()).decode()
    return Drawn(picture, _from(page, path), f"data:image/{kind};base64,{data}")


def _failure(job: Job, status: int, page: Path) -> Failure:
    log = job.folder / LOG
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return Failure(job.name, status, _from(page, log), "\n".join(lines[-LAST_LINES:]))


def numbers(paper: Paper, parts: Sequence[Shown], together: Sequence[ShownTogether], command: str) -> dict[str, Any]:
    """`results.json`: all that the page tells in numbers; what depends on when and where is under `time`."""
    return {
        "paper": dataclasses.asdict(paper.works[0]),
        "command": command,
        "parts": {
            one.part.name: {
                "title": one.part.title,
                "seeds": list(one.runs),
                "missing": list(one.missing),
                "failed": {failure.name: failure.status for failure in one.failures},
                "figures": [figure.picture.name for figure in one.figures if figure.data is not None],
                "rows": [_row(verdict) for verdict in one.verdicts],
                "commands": list(one.commands),
                "time": {"training_s": one.training_s, "seconds": one.seconds, "processors": one.processors},
            }
            for one in parts
        },
        "comparisons": {
            one.comparison.name: {
                "title": one.comparison.title,
                "parts": list(one.parts),
                "failed": {failure.name: failure.status for failure in one.failures},
                "figures": [figure.picture.name for figure in one.figures if figure.data is not None],
                "tests": one.tests,
                "command": one.command,
            }
            for one in together
        },
    }


def _row(verdict: Verdict) -> dict[str, Any]:
    row = dataclasses.asdict(verdict.row)
    return {
        **row,
        "ideal": verdict.ideal,
        "values": {str(seed): _number(value) for seed, value in verdict.values.items()},
        "mean": _number(verdict.mean),
        "sd": _number(verdict.sd),
        "reached": verdict.reached,
        "short_by": None if verdict.reached is None else _number(verdict.short_by),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def write(told: Mapping[str, Any], paper: Paper, page: str, folder: Path) -> Path:
    """Write the page and what lies beside it; returns the page's path.

    Args:
        told: see `numbers`.
        paper: that is reproduced.
        page: its text.
        folder: for all of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(told, indent=2) + "\n")
    (folder / "paper.bib").write_text(entries(paper.works))
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path
