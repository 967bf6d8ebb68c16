"""The measures and figures of all forms of Harlow's task (`harlow.analysis`), with this one's published result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..harlow.analysis import analyse, ideal, learning_set_figures, summarise
from ..trials import Evaluation, Reference
from .env import PictureNumbersSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["analyse", "figures", "references", "summarise"]


def references(settings: PictureNumbersSettings) -> list[Reference]:
    """The one-shot learner; what the public agent reached where the settings are its own."""
    found = [ideal(settings)]
    # Balanced sides make no use of `switch`.
    published = PictureNumbersSettings(trial_number=settings.trial_number, switch=settings.switch, sides="balanced")
    if settings == published:
        found.append(Reference("published code", {"return": 10.0}, "best of 5 seeds, about 10,000 episodes"))
    return found


def figures(evaluations: Sequence[Evaluation], settings: PictureNumbersSettings) -> Iterator[tuple[str, Figure]]:
    """See `harlow.analysis.learning_set_figures`."""
    return learning_set_figures(evaluations, settings, "Harlow by picture numbers", "after training")
