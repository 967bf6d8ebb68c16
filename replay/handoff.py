"""The bounded hand-off from actors to the learner: oldest first, with the two waits that tell which side is slow.

Holds whatever stands for a trajectory (under Ray a reference, in one process the thing itself). Its bound is kept by
whoever fills it: an actor gets its next call only when its trajectory has been taken.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handoff(Generic[Item]):
    """A queue of finished trajectories.

    Attributes:
        learner_waited_s: seconds in which the learner could have worked but had too few trajectories.
        data_waited_s: seconds that trajectories lay finished before the learner took them, summed over trajectories.
        taken: trajectories taken so far.
    """

    def __init__(self, batch_size: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._items: deque[tuple[float, Item]] = deque()
        self._batch_size = batch_size
        self._clock = clock
        self._idle_since: float | None = None
        self.learner_waited_s = 0.0
        self.data_waited_s = 0.0
        self.taken = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Add a finished trajectory."""
        self._items.append((self._clock(), item))

    def learner_idle(self) -> None:
        """The learner has nothing to do from now on."""
        if self._idle_since is None:
            self._idle_since = self._clock()

    def take(self) -> list[Item] | None:
        """A batch of the oldest trajectories, or None if there are too few."""
        if len(self._items) < self._batch_size:
            return None
        now = self._clock()
        if self._idle_since is not None:
            self.learner_waited_s += now - self._idle_since
            self._idle_since = None
        batch = []
        for _ in range(self._batch_size):
            since, item = self._items.popleft()
            self.data_waited_s += now - since
            batch.append(item)
        self.taken += len(batch)
        return batch

    def clear(self) -> list[Item]:
        """Take out all that lies here; it counts as not taken."""
        items = [item for _, item in self._items]
        self._items.clear()
        return items
