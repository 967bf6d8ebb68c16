"""What PsychLab's levels tell of a trial: the event `xdata:psychlab` with a table as text and the level's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

PSYCHLAB = "xdata:psychlab"
FRAMES_PER_SECOND = 60

Event = tuple[str, list[Any]]
"""Name and values, as the game gives them."""

_LEFT, _RIGHT = ("1", "left"), ("2", "right")
_ENTRY = re.compile(r"\[['\"]?(\w+)['\"]?\]\s*=\s*['\"]?([^'\"\n{}]+)")
"""An entry of a Lua table as the level scripts print it: `['correct'] = 1`."""


class Response(NamedTuple):
    """One trial that was answered."""

    trial: int
    """1, 2, ... within the episode; 0 where the level does not count."""
    correct: bool
    rewarded_right: bool
    chose_right: bool
    """False also where a level has no sides."""
    reaction_frames: int
    """Frames (1/60 s) from the pictures' appearance to the response; -1 where it is not told."""


def parse_table(text: str) -> dict[str, str]:
    """The entries of a printed table whose values are numbers or words."""
    return {key: value.strip() for key, value in _ENTRY.findall(text)}


def responses(events: Sequence[Event]) -> list[Response]:
    """The trials among the events of a step, in the order in which they were answered."""
    found = []
    for name, values in events:
        if name != PSYCHLAB or not values:
            continue
        table = parse_table(str(values[0]))
        if "correct" not in table:
            continue
        correct = table["correct"] in ("1", "true")
        rewarded, chosen = table.get("correctResponse"), table.get("response")
        rewarded_right = rewarded in _RIGHT
        if chosen in ("left", "right"):
            chose_right = chosen == "right"
        else:  # Harlow's level names the picture, not the side
            chose_right = rewarded in (*_LEFT, *_RIGHT) and rewarded_right == correct
        frames = table.get("stepCount") or FRAMES_PER_SECOND * float(table.get("reactionTime", -1 / FRAMES_PER_SECOND))
        found.append(
            Response(
                trial=int(float(table.get("trial", 0))),
                correct=correct,
                rewarded_right=rewarded_right,
                chose_right=chose_right,
                reaction_frames=round(float(frames)),
            )
        )
    return found
