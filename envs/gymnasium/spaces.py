"""Observations and actions of others in the form that agents take: arrays of one shape and type."""

from __future__ import annotations

import contextlib
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.spaces.utils import flatten, flatten_space

from ...conf.checking import ConfigError
from ..vector import Array, EnvironmentFaultError


class Observations:
    """Encodes observations of a space.

    A `Box` keeps its shape; 8-bit numbers, of which pictures are, stay so, all others become float32, and a picture
    [H, W] gets a third axis. Everything else (Discrete, MultiDiscrete, MultiBinary, Dict, Tuple, Text) becomes the
    vector that Gymnasium flattens it to: whole numbers from a set are one-hot.

    Args:
        name: of the environment, for messages.
        space: of its observations.

    Raises:
        ConfigError: for a space whose members have no fixed size.
    """

    def __init__(self, name: str, space: gymnasium.Space[Any]) -> None:
        self._name, self._given = name, space
        if isinstance(space, Box):
            picture = space.dtype == np.uint8
            shape = (*space.shape, 1) if picture and len(space.shape) == 2 else space.shape
            low, high = (np.broadcast_to(bound.reshape(shape), shape) for bound in (space.low, space.high))
            self.space = space if shape == space.shape and picture else _box(low, high, picture)
            return
        flat: gymnasium.Space[Any] | None = None
        with contextlib.suppress(NotImplementedError):
            flat = flatten_space(space)
        if not isinstance(flat, Box):
            raise ConfigError(
                f"task.id={name}: its observations are {space}, which have no fixed size. Those of Box, Discrete, "
                "MultiDiscrete, MultiBinary, and of Dict and Tuple of these are understood; a wrapper can turn them "
                "into one (task.wrappers=[my_package.my_module:MyWrapper])"
            )
        self.space = _box(flat.low, flat.high, picture=False)

    def encode(self, seen: Any) -> Array:
        """One observation as an array of `space`.

        Raises:
            EnvironmentFaultError: if it is not of the space that the environment says.
        """
        space, given = self.space, self._given
        try:
            if isinstance(given, Discrete):
                one_hot = np.zeros(space.shape, np.float32)
                one_hot[_place(seen, given)] = 1
                return one_hot
            values = np.asarray(seen) if isinstance(given, Box) else flatten(given, seen)
            return np.asarray(values, dtype=space.dtype).reshape(space.shape)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            text = " ".join(str(seen).split())
            raise EnvironmentFaultError(
                f"{self._name} returned an observation that is not one of its observation_space {given}: "
                f"{text[:100]} ({type(error).__name__}: {error})"
            ) from error


def _place(seen: Any, space: Discrete) -> int:
    place = int(seen) - int(space.start)
    if not 0 <= place < space.n:
        raise IndexError(f"{seen} is not from {space.start} to {space.start + space.n - 1}")
    return place


def _box(low: Array, high: Array, picture: bool) -> Box:
    dtype = np.uint8 if picture else np.float32
    with np.errstate(over="ignore"):  # the bounds of float64
        return Box(low.astype(dtype), high.astype(dtype), dtype=dtype)


class Actions:
    """What an agent chooses, as the environment takes it: counted from 0, and of a `MultiBinary` as so many choices.

    Args:
        name: of the environment, for messages.
        space: of its actions.

    Raises:
        ConfigError: for a space that no policy acts in.
    """

    def __init__(self, name: str, space: gymnasium.Space[Any]) -> None:
        self._start: Any = 0
        self._dtype = space.dtype
        if isinstance(space, Discrete):
            self.space: gymnasium.Space[Any] = Discrete(int(space.n))
            self._start = int(space.start)
        elif isinstance(space, MultiDiscrete):
            self.space, self._start = MultiDiscrete(space.nvec), space.start
        elif isinstance(space, MultiBinary):
            self.space = MultiDiscrete(np.full(space.shape, 2))
        elif isinstance(space, Box) and np.issubdtype(space.dtype, np.floating):
            self.space = space
        else:
            raise ConfigError(
                f"task.id={name}: its actions are {space}, and policies act in Discrete, MultiDiscrete, MultiBinary "
                "and Box (of floating point numbers); a wrapper can turn them into one of these "
                "(task.wrappers=[my_package.my_module:MyWrapper])"
            )
        dtype: type[np.generic] = np.float64 if self.space.shape else np.int32
        self.columns = dict.fromkeys(column_names("action", self.space.shape or ()), dtype)
        """Of the table of trials: `action`, or `action_0`, `action_1`, ..."""

    def decode(self, actions: Array) -> list[Any]:
        """[B, ...] as the environments' own, one a row."""
        if isinstance(self.space, Discrete):
            return [int(action) + self._start for action in actions]
        return list((actions + self._start).astype(self._dtype))

    def told(self, actions: Array) -> dict[str, Array]:
        """[B, ...] as columns [B]."""
        rows = actions.reshape(len(actions), -1)
        return {name: rows[:, i].astype(dtype) for i, (name, dtype) in enumerate(self.columns.items())}


def column_names(name: str, shape: tuple[int, ...]) -> list[str]:
    """`name` of a number, `name_0`, `name_1`, ... of an array."""
    return [f"{name}_{i}" for i in range(int(np.prod(shape)))] if shape else [name]
