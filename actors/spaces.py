"""From Gymnasium's action spaces to what a policy has to know of them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from ..models.policy import Actions


def actions_of(space: gymnasium.Space[Any]) -> Actions:
    """The actions of a space. Those of a `MultiDiscrete` or a `Box` of any shape are flat, one vector an action.

    Raises:
        ValueError: for a space that no policy acts in.
    """
    if isinstance(space, Discrete) and int(space.start) == 0:
        return Actions("discrete", (int(space.n),))
    if isinstance(space, MultiDiscrete) and not np.any(space.start):
        return Actions("multi_discrete", tuple(space.nvec.flatten().tolist()))
    if isinstance(space, Box) and np.issubdtype(space.dtype, np.floating):
        return Actions("box", (int(np.prod(space.shape)),))
    raise ValueError(
        f"no policy acts in {space}: an action space is Discrete or MultiDiscrete, counted from 0, or a Box of "
        "floating point numbers; a wrapper (gymnasium.ActionWrapper) makes one of another"
    )
