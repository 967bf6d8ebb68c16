"""The replay buffer: the newest trajectories, drawn at random."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import numpy as np

Item = TypeVar("Item")


class ReplayBuffer(Generic[Item]):
    """Keeps the newest `capacity` items.

    Raises:
        ValueError: for a capacity below one.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a replay buffer holds at least one item, got capacity={capacity}")
        self._items: deque[Item] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> None:
        """Keep an item; the oldest one goes if the buffer is full."""
        self._items.append(item)

    def sample(self, count: int, rng: np.random.Generator) -> list[Item]:
        """`count` items drawn uniformly with replacement.

        Raises:
            ValueError: if the buffer is empty or `count` negative.
        """
        if count < 0:
            raise ValueError(f"cannot sample a negative number of items, got count={count}")
        if not self._items:
            raise ValueError("nothing to sample: the replay buffer is empty")
        return [self._items[i] for i in rng.integers(len(self._items), size=count)]
