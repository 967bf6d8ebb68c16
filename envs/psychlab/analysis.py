"""Behaviour in PsychLab's Harlow task: the measures and figures of all forms of it, and reaction times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..harlow import analysis as harlow
from ..trials import Evaluation, Reference, Trials
from .options import PsychLabSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

summarise = harlow.summarise


def analyse(trials: Trials, settings: PsychLabSettings) -> dict[str, Any]:
    """As in the other forms of the task; and frames (1/60 s) from the pictures' appearance to the response."""
    measures = harlow.analyse(trials, settings)
    frames = np.asarray(trials.get("reaction_frames", np.zeros(0)), dtype=float)
    if len(frames):
        measures["reaction_frames"] = {"median": float(np.median(frames)), "p90": float(np.quantile(frames, 0.9))}
    return measures


def references(settings: PsychLabSettings) -> list[Reference]:
    """The one-shot learner. No published agent has solved the task in a public reproduction."""
    return [harlow.ideal(settings)]


def figures(evaluations: Sequence[Evaluation], settings: PsychLabSettings) -> Iterator[tuple[str, Figure]]:
    """See `harlow.analysis.learning_set_figures`."""
    final = "held-out pictures" if settings.split == "test" else "after training"
    return harlow.learning_set_figures(evaluations, settings, "PsychLab Harlow", final)
