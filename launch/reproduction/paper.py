"""What a paper's file (`conf/paper/<paper>.yaml`) holds: parts with their runs, figures and rows of verdicts."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from ...conf.checking import ConfigError, unknown
from ...conf.settings import Count, Many, Name, Number, Positive, Text, settings


@settings
class Work:
    """A publication, or a public code."""

    key: Name
    """In BibTeX."""
    title: Text
    authors: Many[Text]
    """Each as `Last, First`."""
    year: Count
    kind: Text = "article"
    venue: Text | None = None
    """Journal, or book of an `inproceedings`."""
    volume: Text | None = None
    pages: Text | None = None
    doi: Text | None = None
    url: Text | None = None
    note: Text | None = None


@settings
class Beside:
    """A further evaluation of each trained agent."""

    name: Name
    settings: Many[Text] = ()
    """Overrides of `prefrontal evaluate`."""
    drawn: bool = True
    """Whether it stands in the part's figures, as a group of its name."""
    analyse: Many[Text] | None = None
    """Overrides of `prefrontal analyse`; None: it is not (else `settings` need `record=true`)."""


@settings
class Picture:
    """A figure of the task or, with `of`, one of the analyses of the first seed's evaluation of that name."""

    name: Name
    caption: Text
    alt: Text
    """What it shows, for who does not see it."""
    of: Name | None = None


@settings
class Row:
    """One line of the verdicts: a measure, what it is to be, what was published."""

    name: Text
    measure: Text
    """Its path in `results.json` (`analyses.`: in that of `prefrontal analyse`)."""
    at_least: Number | None = None
    at_most: Number | None = None
    every: bool = False
    """Whether each seed has to lie within, not only their mean."""
    of: Name | None = None
    """The evaluation whose it is; None: the run's own."""
    minus: Name | None = None
    """What is subtracted: the same measure of this evaluation, or of the `run`'s own."""
    published: Number | None = None
    source: Text | None = None
    """Of the published value."""
    ideal: Number | None = None
    """None: that of the part's reference, if it tells this measure."""


RUN = "run"
"""The run's own evaluation, in `Row.minus`."""


@settings
class Part:
    """One experiment: seeds of one training, their evaluations, what is shown of them."""

    name: Name
    title: Text
    train: Many[Text]
    """Overrides of `prefrontal train`."""
    seconds: Positive
    """What a seed takes on one core, about."""
    reference: Text | None = None
    """Of those that the task holds results against, whose values are the ideal ones."""
    evaluations: Many[Beside] = ()
    figures: Many[Picture] = ()
    rows: Many[Row] = ()
    read: Many[Text] = ()
    """What the publication tells."""
    chosen: Many[Text] = ()
    """What we chose."""

    def __post_init__(self) -> None:
        names = {one.name for one in self.evaluations}
        for i, row in enumerate(self.rows):
            for field, known in (("of", names), ("minus", {*names, RUN})):
                if (value := getattr(row, field)) is not None and value not in known:
                    raise ValueError(unknown(f"rows[{i}].{field}={value}", known, "evaluation"))
        for i, picture in enumerate(self.figures):
            analysed = {one.name for one in self.evaluations if one.analyse is not None}
            if picture.of is not None and picture.of not in analysed:
                raise ValueError(unknown(f"figures[{i}].of={picture.of}", analysed, "analysed evaluation"))


@settings
class Comparison:
    """Figures of several parts of one task together, each agent a group in them."""

    name: Name
    title: Text
    parts: Text
    """A pattern of their names, such as `half_cheetah_*`."""
    figures: Many[Picture]
    read: Many[Text] = ()
    """What the publication tells."""

    def compares(self, part: str) -> bool:
        """Whether a part of that name is in it."""
        return fnmatch.fnmatchcase(part, self.parts)


@settings
class Paper:
    """All of a paper's file."""

    works: Many[Work]
    """The paper, then others that it reproduces."""
    parts: Many[Part]
    comparisons: Many[Comparison] = ()
    left_out: Many[Text] = ()
    """What of the paper is not reproduced here, and why."""

    def __post_init__(self) -> None:
        if not self.works or not self.parts:
            raise ValueError("works and parts have to be given, at least one of each")
        names = [part.name for part in self.parts]
        for i, one in enumerate(self.comparisons):
            if sum(map(one.compares, names)) < 2:
                raise ValueError(f"comparisons[{i}].parts={one.parts}: less than two parts are called so: {names}")
            if one.name in names:
                raise ValueError(f"comparisons[{i}].name={one.name}: a part is called so")


def chosen(paper: Paper, asked: Sequence[str]) -> Sequence[Part]:
    """The parts that were asked for, by their names, a comparison's or a figure's; all of them if nothing was.

    Raises:
        ConfigError: for a name that is none of these.
    """
    if not asked:
        return paper.parts
    names = {p.name: {p.name, *(c.name for c in paper.comparisons if c.compares(p.name))} for p in paper.parts}
    figures = {p.name: {figure.name for figure in p.figures} for p in paper.parts}
    own = [*names, *(comparison.name for comparison in paper.comparisons)]
    known = dict.fromkeys([*own, *(name for of_part in figures.values() for name in of_part)])
    for name in asked:
        if name not in known:
            raise ConfigError(unknown(f"figures={name}", known, "part or figure of this paper"))
    # A name that a part and another part's figure share means the part.
    wanted = {
        p.name for p in paper.parts for name in asked if name in names[p.name] | (figures[p.name].difference(own))
    }
    return [part for part in paper.parts if part.name in wanted]
