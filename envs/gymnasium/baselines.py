"""Agents to hold a network against in any environment: random."""

from __future__ import annotations

from ..random_agent import RandomAgent
from ..vector import VectorTask


class Random(RandomAgent[VectorTask]):
    """Takes each action equally often."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, VectorTask)


BASELINES = {"random": Random}
