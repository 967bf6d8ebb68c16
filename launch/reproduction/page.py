"""`report/index.html`: one page that holds all it shows, for a screen, a phone or paper, light or dark."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from ..run.folder import git_commit
from .paper import Paper, Work
from .play import processor
from .report import Drawn, Failure, Shown, ShownTogether, failures
from .verdicts import Verdict

NOT_GIVEN = "not given"
COLUMNS = ("measure", "verdict", "ours", "target", "published", "ideal")
TESTED = ("agent", "mean", "SD", "seeds", "p")


def page(paper: Paper, parts: Sequence[Shown], together: Sequence[ShownTogether], command: str, made: str) -> str:
    """The page's text.

    Args:
        paper: that is reproduced.
        parts: of it, in their order.
        together: its comparisons.
        command: that makes this page.
        made: when.
    """
    title = escape(paper.works[0].title)
    style = resources.files(__package__).joinpath("page.css").read_text()
    sections = "".join([*map(_compared, together), *map(_part, parts)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Reproduced: {title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>Reproduced: {title}</h1>\n{_works(paper.works)}{_in_short(parts, together)}"
        f"<pre>{escape(command)}</pre>\n</header>\n{_contents(parts, together)}"
        f"<main>\n{_summary(parts)}{sections}</main>\n"
        f"<footer>\n{_left_out(paper)}{_made(parts, made)}</footer>\n</body>\n</html>\n"
    )


def _works(works: Sequence[Work]) -> str:
    lines = [
        f"{escape('; '.join(work.authors))} ({work.year}). "
        + (f"<cite>{escape(work.title)}</cite>. " if number else "")
        + (f"{escape(_venue(work))}. " if work.venue else "")
        + _address(work)
        for number, work in enumerate(works)
    ]
    return "".join(f"<p>{line}</p>\n" for line in lines)


def _venue(work: Work) -> str:
    return ", ".join(part for part in (work.venue, work.volume, work.pages) if part)


def _address(work: Work) -> str:
    link = f"https://doi.org/{work.doi}" if work.doi else work.url
    return f'<a href="{escape(link)}">{escape(work.doi or link)}</a>' if link else ""


def _in_short(parts: Sequence[Shown], together: Sequence[ShownTogether]) -> str:
    judged = [v.reached for one in parts for v in one.verdicts if v.reached is not None]
    failed = len(failures(parts, together))
    text = f"{sum(judged)} of {len(judged)} targets are reached."
    if failed:
        text += f" {failed} command{'s' if failed > 1 else ''} failed: see below."
    if missing := sum(len(one.missing) for one in parts):
        text += f" {missing} run{'s are' if missing > 1 else ' is'} missing."
    return f'<p class="{"good" if all(judged) and not failed and not missing else "bad"}">{text}</p>\n'


def _contents(parts: Sequence[Shown], together: Sequence[ShownTogether]) -> str:
    sections = [(one.comparison.name, one.comparison.title) for one in together]
    sections += [(one.part.name, one.part.title) for one in parts]
    links = "".join(f'<li><a href="#{escape(name)}">{escape(title)}</a></li>\n' for name, title in sections)
    return f'<nav aria-label="Parts">\n<ul>\n<li><a href="#verdicts">Verdicts</a></li>\n{links}</ul>\n</nav>\n'


def _summary(parts: Sequence[Shown]) -> str:
    rows = "".join(_row(v, one.part.title) for one in parts for v in one.verdicts)
    caption = "Mean ± standard deviation over seeds. A target is ours: what a run has to come to."
    return f'<section aria-labelledby="verdicts">\n<h2 id="verdicts">Verdicts</h2>\n{_table(caption, rows)}</section>\n'


def _table(caption: str, rows: str, columns: Sequence[str] = COLUMNS) -> str:
    # Narrow screens show rows as blocks; the roles keep it a table for who listens to it.
    head = "".join(f'<th scope="col" role="columnheader">{column}</th>' for column in columns)
    return (
        f'<table role="table">\n<caption>{escape(caption)}</caption>\n<thead role="rowgroup"><tr role="row">{head}</tr>'
        f'</thead>\n<tbody role="rowgroup">\n{rows}</tbody>\n</table>\n'
    )


def _line(name: str, columns: Sequence[str], cells: Sequence[str]) -> str:
    """A row of a table, of HTML."""
    labelled = zip(columns, cells, strict=True)
    return (
        f'<tr role="row"><th scope="row" role="rowheader">{name}</th>'
        + "".join(f'<td role="cell" data-label="{label}"><span>{cell}</span></td>' for label, cell in labelled)
        + "</tr>\n"
    )


def _row(verdict: Verdict, part: str | None = None, seeds: bool = False) -> str:
    row = verdict.row
    name = f'<span class="quiet">{escape(part)}:</span> {escape(row.name)}' if part else escape(row.name)
    spread = "0.000" if verdict.sd < 0.0005 else number(verdict.sd)
    ours = f"{number(verdict.mean)}&nbsp;±&nbsp;{spread}" if verdict.values else "no run"
    if seeds and verdict.values:
        each = ", ".join(f"{number(value)}" for value in verdict.values.values())
        ours += f'<br><span class="seeds">seeds {", ".join(map(str, verdict.values))}: {each}</span>'
    published = NOT_GIVEN if row.published is None else number(row.published)
    if seeds and row.source:
        published += f'<br><span class="seeds">{escape(row.source)}</span>'
    ideal = NOT_GIVEN if verdict.ideal is None else number(verdict.ideal)
    return _line(name, COLUMNS[1:], (_judged(verdict), f"<span>{ours}</span>", _target(verdict), published, ideal))


def _judged(verdict: Verdict) -> str:
    if verdict.reached is None:
        return "no run" if not verdict.values else "no target"
    if verdict.reached:
        return '<span class="good">✓ reached</span>'
    if math.isinf(verdict.short_by):
        return '<span class="bad">✗ no number</span>'
    return f'<span class="bad">✗ short by {number(verdict.short_by)}</span>'


def _target(verdict: Verdict) -> str:
    low, high = verdict.row.at_least, verdict.row.at_most
    if low is None and high is None:
        return "none"
    if low is not None and high is not None:
        text = f"{number(low)} to {number(high)}"
    else:
        text = f"≥ {number(low)}" if low is not None else f"≤ {number(high)}"
    return f"{text}{', each seed' if verdict.row.every else ''}"


def number(value: float | None) -> str:
    """Three digits that count; a dash for what is no number."""
    if value is None or not math.isfinite(value):
        return "–"
    if value and abs(value) < 0.0005:
        return f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{3 if abs(value) < 10 else 1}f}"


def _compared(one: ShownTogether) -> str:
    told = one.comparison
    tests = "".join(_tests(measure, found) for measure, found in one.tests.items())
    return (
        f"{_begin(told.name, told.title, one.failures)}{_figures(one.figures)}{tests}"
        f'<div class="notes">\n{_list("Read in the publication", told.read)}</div>\n'
        f"<h3>Command</h3>\n<pre>{escape(one.command)}</pre>\n</section>\n"
    )


def _tests(measure: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Agents by the mean of a measure over seeds, each tested against the one above it."""
    means = {name: told["mean"] for name, told in found.items() if told.get("mean") is not None}
    agents = sorted(means, key=means.__getitem__, reverse=True)
    rows = ""
    for above, name in zip((None, *agents), agents, strict=False):
        mean, sd, seeds = (found[name][what] for what in ("mean", "sd", "seeds"))
        p = None if above is None else (found.get(f"{above}_vs_{name}") or found[f"{name}_vs_{above}"])["p"]
        cells = (number(mean), number(sd if seeds > 1 else None), f"{seeds:.0f}", number(p))
        rows += _line(escape(name), TESTED[1:], cells)
    caption = f"{measure} over seeds; p of Welch's t-test against the agent in the row above."
    return _table(caption, rows, TESTED)


def _part(one: Shown) -> str:
    part = one.part
    rows = "".join(_row(verdict, seeds=True) for verdict in one.verdicts)
    table = _table("Every seed, beside what was published and what is ideal.", rows) if rows else ""
    notes = [_list("Read in the publication", part.read), _list("Chosen by us", part.chosen)]
    return (
        f"{_begin(part.name, part.title, one.failures)}{_figures(one.figures)}"
        f'{table}<div class="notes">\n{"".join(notes)}</div>\n'
        f"<h3>Commands</h3>\n<p>The first seed and the figures by hand; other seeds have other numbers in them.</p>\n"
        f"<pre>{escape(chr(10).join(one.commands))}</pre>\n{_runs(one)}</section>\n"
    )


def _begin(name: str, title: str, failed: Iterable[Failure]) -> str:
    name = escape(name)
    heading = f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(title)}</h2>\n'
    return heading + "".join(map(_failure, failed))


def _figures(figures: Iterable[Drawn]) -> str:
    text = "".join(map(_figure, figures))
    return f'<div class="figures">\n{text}</div>\n' if text else ""


def _figure(figure: Drawn) -> str:
    caption = escape(figure.picture.caption)
    if figure.data is None:
        return f"<figure><figcaption>{caption} (not drawn: no run is finished)</figcaption></figure>\n"
    return (
        f'<figure>\n<a href="{escape(figure.path)}"><img src="{figure.data}" alt="{escape(figure.picture.alt)}"></a>\n'
        f"<figcaption>{caption}</figcaption>\n</figure>\n"
    )


def _list(title: str, items: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(item)}</li>\n" for item in items)
    return f"<div><h3>{title}</h3>\n<ul>\n{lines}</ul></div>\n" if lines else ""


def _failure(failure: Failure) -> str:
    return (
        f'<p class="bad">✗ {escape(failure.name)} failed with status {failure.status} '
        f'(<a href="{escape(failure.log)}">all that it printed</a>):</p>\n<pre>{escape(failure.said)}</pre>\n'
    )


def _runs(one: Shown) -> str:
    if not one.runs:
        return "<h3>Runs</h3>\n<p>None is finished.</p>\n"
    links = ", ".join(f'<a href="{escape(path)}/">{seed}</a>' for seed, path in one.runs.items())
    training, total = float(np.mean(one.training_s)), float(np.sum(one.seconds))
    return (
        f"<h3>Runs</h3>\n<p>Seeds: {links}. Training took {_time(training)} a seed, everything {_time(total)} of one "
        f"core, on {escape('; '.join(one.processors))}.</p>\n"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else _hours(seconds)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def _left_out(paper: Paper) -> str:
    if not paper.left_out:
        return ""
    lines = "".join(f"<li>{escape(item)}</li>\n" for item in paper.left_out)
    return f"<h2>Left out</h2>\n<ul>\n{lines}</ul>\n"


def _made(parts: Sequence[Shown], made: str) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("prefrontal", "torch", "numpy"))
    where = f"{processor()}, {os.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}"
    total = sum(float(np.sum(one.seconds)) for one in parts)
    if commit := git_commit():
        versions += f", commit {commit[:10]}"
    return (
        f"<h2>How this page was made</h2>\n<p>{escape(made)}, by {escape(versions)}; {escape(where)}. The runs above "
        f"took {_time(total)} of one core.</p>\n"
        '<p><a href="results.json">All numbers (JSON)</a>, <a href="paper.bib">BibTeX</a>.</p>\n'
    )
