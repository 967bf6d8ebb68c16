"""Action sets of DeepMind Lab: name -> table [A, 7] of `np.intc`, one row an action.

Columns, in the order of the game: look left/right, look down/up (units a frame, -512..512, 0.1056 degrees each;
positive is right and down), strafe left/right, move back/forward, fire, jump, crouch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.intc]

LARGEST_TURN = 512
"""Look units a frame that the game takes."""

LEAP = 4
"""A leap of the sets `leap` and `saccade`, in turns. Of ten units in four frames, or five in eight, it leads from
PsychLab's cross onto a picture."""

_MOVES = {"": (0, 0), "forward": (0, 1), "backward": (0, -1), "strafe left": (-1, 0), "strafe right": (1, 0)}
_LOOKS = {
    "": (0, 0),
    "look left": (-1, 0),
    "look right": (1, 0),
    "look up": (0, -1),
    "look down": (0, 1),
    "look left up": (-1, -1),
    "look right up": (1, -1),
    "look left down": (-1, 1),
    "look right down": (1, 1),
}
Rows = dict[str, tuple[int, ...]]


def _row(look: tuple[int, int] = (0, 0), move: tuple[int, int] = (0, 0), *, turn: int = 0) -> tuple[int, ...]:
    return (look[0] * turn, look[1] * turn, *move, 0, 0, 0)


def _impala(turn: int) -> Rows:
    left, right, forward = _LOOKS["look left"], _LOOKS["look right"], _MOVES["forward"]
    return {
        **{name: _row(move=move) for name, move in _MOVES.items() if name},
        "look left": _row(left, turn=turn),
        "look right": _row(right, turn=turn),
        "look left, forward": _row(left, forward, turn=turn),
        "look right, forward": _row(right, forward, turn=turn),
        "fire": (0, 0, 0, 0, 1, 0, 0),
    }


def _turn(turn: int) -> Rows:
    return {"left": _row((-1, 0), turn=turn), "right": _row((1, 0), turn=turn), "nothing": _row()}


def _five(turn: int) -> Rows:
    return {**_turn(turn), "up": _row((0, -1), turn=turn), "down": _row((0, 1), turn=turn)}


def _leaps(turn: int) -> Rows:
    far = LEAP * turn
    return {"leap left": _row((-1, 0), turn=far), "leap right": _row((1, 0), turn=far)}


def _leap(turn: int) -> Rows:
    return {**_turn(turn), **_leaps(turn)}


def _saccade(turn: int) -> Rows:
    return {**_five(turn), **_leaps(turn)}


def _look(turn: int) -> Rows:
    return {name or "nothing": _row(look, turn=turn) for name, look in _LOOKS.items()}


def _full(turn: int) -> Rows:
    both = {
        ", ".join(filter(None, (look, move))) or "nothing": _row(_LOOKS[look], _MOVES[move], turn=turn)
        for look in _LOOKS
        for move in _MOVES
    }
    return {**both, "fire": (0, 0, 0, 0, 1, 0, 0), "jump": (0, 0, 0, 0, 0, 1, 0), "crouch": (0, 0, 0, 0, 0, 0, 1)}


ActionSet = Literal["impala", "turn", "five", "leap", "look", "saccade", "full"]

ACTION_SETS: Mapping[ActionSet, Callable[[int], Rows]] = {
    "impala": _impala,
    "turn": _turn,
    "five": _five,
    "leap": _leap,
    "look": _look,
    "saccade": _saccade,
    "full": _full,
}
"""impala: nine actions (Espeholt et al. 2018, appendix). turn: left, right, nothing (Wang et al. 2016). five: up and
down too. leap: left, right, nothing, and leaps of `LEAP` turns to either side. saccade: the same and up and down. look:
nothing and eight directions. full: look in nine directions x stay or move in four, fire, jump, crouch."""


def action_names(name: ActionSet) -> tuple[str, ...]:
    """Names of a set's actions, in the order of the table's rows."""
    return tuple(ACTION_SETS[name](1))


def action_table(name: ActionSet, turn: int) -> Table:
    """The table [A, 7] of a set whose looks turn by `turn` units a frame.

    Raises:
        ValueError: for a turn that the game does not take.
    """
    largest = LARGEST_TURN // max(abs(units) for row in ACTION_SETS[name](1).values() for units in row[:2])
    if not 1 <= turn <= largest:
        raise ValueError(f"turn={turn}: 1 to {largest} look units a frame with actions={name}")
    return np.array(list(ACTION_SETS[name](turn).values()), dtype=np.intc)
