"""The gradient of an unroll: what an actor sends in place of a trajectory, where actors compute the gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .trajectory import Array, Trajectory


@dataclass(frozen=True)
class Gradient:
    """Of the learner's loss on T steps of B episodes, by the parameters that played them."""

    vector: Array
    """[P] float32, by the trained parameters in their order; of the mean over T x B."""
    metrics: Mapping[str, float]
    """What the learner would have measured of the unroll (`learner.objective`)."""
    env_steps: int
    """T * B."""
    params_version: int
    """Version of the parameters that acted."""
    actor_id: int
    """Who played."""


Result = Trajectory | Gradient
"""What an actor sends to the learner: either has a version and a number of environment steps."""
