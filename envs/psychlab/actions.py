"""What an agent does in a step: an action set of DeepMind Lab (`envs/dmlab/actions.py`), or `glance`, made of one.

A glance is a leap onto a picture, a rest there, the leap back and a rest on the cross: a whole trial in one step, for
an agent that has fixated the cross. The eye's return is automatic, as in the task by the pictures' numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..dmlab.actions import ActionSet, action_names, action_table

_GLANCE_SET: ActionSet = "leap"
_GLANCE: Mapping[str, tuple[str, ...]] = {
    "left": ("left", "nothing", "nothing", "nothing"),
    "right": ("right", "nothing", "nothing", "nothing"),
    "nothing": ("nothing", "nothing", "nothing", "nothing"),
    "glance left": ("leap left", "nothing", "leap right", "nothing"),
    "glance right": ("leap right", "nothing", "leap left", "nothing"),
}

ActionName = Literal["impala", "turn", "five", "leap", "look", "saccade", "full", "glance"]


@dataclass(frozen=True)
class Actions:
    """A actions, each played in P parts."""

    names: tuple[str, ...]
    game_set: ActionSet
    """The action set of DeepMind Lab that they are made of."""
    parts: NDArray[np.intp]
    """[A, P] rows of that set's table, played one after the other."""

    @property
    def parts_each(self) -> int:
        """P."""
        return int(self.parts.shape[1])

    def looks(self, turn: int) -> NDArray[np.int32]:
        """[A, P, 2] units a frame, right and down."""
        looks: NDArray[np.int32] = action_table(self.game_set, turn)[:, :2].astype(np.int32)[self.parts]
        return looks


def actions_of(name: ActionName) -> Actions:
    """The actions called `name`."""
    if name == "glance":
        names = action_names(_GLANCE_SET)
        return Actions(tuple(_GLANCE), _GLANCE_SET, np.array([[names.index(p) for p in ps] for ps in _GLANCE.values()]))
    return Actions(action_names(name), name, np.arange(len(action_names(name)))[:, None])
