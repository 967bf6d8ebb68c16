"""Work of several threads in the order of its numbers, whatever order the threads come in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets the turns 0, 1, 2, ... through one after the other; every number must come, once."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._next = 0

    @contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """Wait until all turns before `number` have ended; the turn ends with the block, by an exception too."""
        with self._condition:
            self._condition.wait_for(lambda: self._next == number)
        try:
            yield
        finally:
            with self._condition:
                self._next += 1
                self._condition.notify_all()

    def skip(self, number: int) -> None:
        """A turn in which nothing is done."""
        with self.turn(number):
            return
