"""The episodic memory of the agents of one worker at work: what is recalled before a step, what is stored after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..envs.vector import Cue, VectorTask
from ..models.agent import Agent
from ..models.core import State
from ..models.dnd import Neighbours
from ..models.recall import Recall
from ..replay.trajectory import NO_ACTION

Array = NDArray[Any]

INFO = ("recalled", "sought", "hit")
"""What is noted of each step, [B] bool: something was recalled; an entry that the task calls right should exist; the
first neighbour was such an entry."""


def told_of(env: VectorTask, agent: Agent) -> dict[str, type[np.generic]]:
    """Names and types of what is told of a step: by the task, and by the memory of an agent that has one."""
    notes: dict[str, type[np.generic]] = dict.fromkeys(INFO, np.bool_) if agent.has_memory else {}
    return {**env.info_spec, **notes}


class Remembering:
    """One memory a life, B lives. A worker that is replaced starts with empty memories and new lives."""

    def __init__(self, agent: Agent, lives: int) -> None:
        self._agent = agent
        self.dictionary = agent.empty_memory(lives)
        self._single = self.dictionary.config.neighbours == 1
        self.last_life: dict[str, Array] = {}
        """What the first row's memory held at the end of its last life (see `Dictionary.contents`)."""

    def recall(self, cue: Cue) -> tuple[tuple[Tensor, ...], dict[str, Array]]:
        """What the agent is given in this step (see `models.recall.Recall`), and the notes of `INFO`."""
        if cue.new_life.any():
            if cue.new_life[0] and self.dictionary.writes[0]:
                self.last_life = self.dictionary.contents(0)
            self.dictionary.clear(cue.new_life)
        near = self.dictionary.read(self._encoded(cue.query), cue.retrieve)
        sought = cue.target >= 0
        hit = sought & (near.tags[:, 0] == cue.target)
        return self._given(near, cue), {"recalled": near.found[:, 0], "sought": sought, "hit": hit}

    def peek(self, cue: Cue) -> tuple[Tensor, ...]:
        """What the agent would be given if this were its life's next step."""
        return self._given(self.dictionary.read(self._encoded(cue.query), cue.retrieve), cue)

    def _encoded(self, keys: Array) -> Array:
        encoded: Array = self._agent.key_encoder(torch.from_numpy(keys).to(torch.get_default_dtype())).numpy()
        return encoded

    def _given(self, near: Neighbours, cue: Cue) -> tuple[Tensor, ...]:
        if self._single:
            return (torch.from_numpy(near.values[:, 0]),)
        return tuple(Recall(*(torch.from_numpy(part) for part in (near.values, near.found, near.keys, cue.query))))

    def store(self, cue: Cue, state: State, action: Array) -> None:
        """Keep the state that this step's action [B, ...] was chosen from, where the task says so.

        What is noted beside it is the action, if that is one choice.
        """
        if cue.write.any():
            self.dictionary.write(
                self._encoded(cue.key),
                self._agent.core.remembered(state).numpy(),
                cue.tag,
                action if action.ndim == 1 else np.full(len(action), NO_ACTION),
                cue.write,
            )

    def state(self) -> dict[str, Array]:
        """All that is remembered."""
        return self.dictionary.state()

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from a `state`."""
        self.dictionary.restore(arrays)
