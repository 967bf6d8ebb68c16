"""Action sets of DeepMind Lab: name -> table [A, 7] of `np.intc`, one row an action; `screen` reads the two looks.

Columns, in the order of DeepMind Lab: look left/right, look down/up (units a frame, -512..512; positive turns right and
down), strafe, move, fire, jump, crouch. A unit turns the gaze by `geometry.DEGREES_PER_UNIT` in each frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.intc]
Rows = Mapping[str, tuple[int, ...]]

LARGEST_TURN = 512
"""Look units a frame that the game takes."""

LEAP = 4
"""A leap of the set `saccade`, in turns: with ten units and four frames it leads from the cross onto a picture."""


def _look(x: int = 0, y: int = 0) -> tuple[int, ...]:
    return (x, y, 0, 0, 0, 0, 0)


def _impala(turn: int) -> Rows:
    return {
        "forward": (0, 0, 0, 1, 0, 0, 0),
        "backward": (0, 0, 0, -1, 0, 0, 0),
        "strafe left": (0, 0, -1, 0, 0, 0, 0),
        "strafe right": (0, 0, 1, 0, 0, 0, 0),
        "look left": _look(-turn),
        "look right": _look(turn),
        "look left, forward": (-turn, 0, 0, 1, 0, 0, 0),
        "look right, forward": (turn, 0, 0, 1, 0, 0, 0),
        "fire": (0, 0, 0, 0, 1, 0, 0),
    }


def _turn(turn: int) -> Rows:
    return {"left": _look(-turn), "right": _look(turn), "nothing": _look()}


def _five(turn: int) -> Rows:
    return {**_turn(turn), "up": _look(0, -turn), "down": _look(0, turn)}


def _eight(turn: int) -> Rows:
    names = {-1: ("left", "up"), 1: ("right", "down"), 0: ("", "")}
    both = [(x, y) for y in (0, -1, 1) for x in (0, -1, 1)]
    return {
        f"look {names[x][0]} {names[y][1]}".strip() if x or y else "nothing": _look(x * turn, y * turn) for x, y in both
    }


def _saccade(turn: int) -> Rows:
    leap = LEAP * turn
    return {**_five(turn), "leap left": _look(-leap), "leap right": _look(leap)}


ACTION_SETS: Mapping[str, Callable[[int], Rows]] = {
    "impala": _impala,
    "turn": _turn,
    "five": _five,
    "look": _eight,
    "saccade": _saccade,
}
"""impala: nine actions (Espeholt et al. 2018, appendix), of which two pairs turn and the others do nothing here. turn:
left, right, nothing (Wang et al. 2016). five: up and down too. look: nothing and eight directions. saccade: the
five, and leaps of `LEAP` turns to either side."""


def action_names(name: str) -> tuple[str, ...]:
    """Names of a set's actions, in the order of the table's rows."""
    return tuple(ACTION_SETS[name](1))


def action_table(name: str, turn: int) -> Table:
    """The table [A, 7] of a set whose looks turn by `turn` units a frame.

    Raises:
        ValueError: for an unknown set (lists those there are) or a turn that the game does not take.
    """
    if name not in ACTION_SETS:
        raise ValueError(f"there is no actions={name}; choose one of: {', '.join(ACTION_SETS)}")
    largest = LARGEST_TURN // (LEAP if name == "saccade" else 1)
    if not 1 <= turn <= largest:
        raise ValueError(f"turn is between 1 and {largest} look units a frame with actions={name}, got {turn}")
    return np.array(list(ACTION_SETS[name](turn).values()), dtype=np.intc)
