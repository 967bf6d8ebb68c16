"""One place in the pool, whoever fills it at the moment: a process, its calls, and since when it is waited for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import ray

from ..replay.trajectory import Array
from .rollout import UnrollReport, WorkerSpec


@dataclass(frozen=True)
class Finished:
    """An unroll that an actor has delivered."""

    report: UnrollReport
    info: Mapping[str, Array] | None
    """The task's truth (see `rollout.Unroll.info`), if it was asked for."""
    result: ray.ObjectRef
    """What the learner is given."""
    actor_id: int
    generation: int
    node: str
    """Ray's id of the node that holds the result."""


@dataclass(frozen=True)
class _Call:
    told: ray.ObjectRef
    result: ray.ObjectRef


class Slot:
    """Starts processes of one spec, calls them and takes what they deliver; decides nothing.

    Attributes:
        spec: of the process that fills it.
        handle: its Ray actor, None where nobody fills the slot.
        since: when the process was started, or when the oldest call became the oldest.
        node: Ray's id of the node where it runs, or ran last; empty while it starts.
        asked: unrolls that were asked for in this place so far.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.handle: Any = None
        self.since = 0.0
        self.node = ""
        self.asked = 0
        self._starting: ray.ObjectRef | None = None
        self._calls: deque[_Call] = deque()
        self._version = -1

    @property
    def starts(self) -> bool:
        """A process was started and does not stand yet."""
        return self._starting is not None

    @property
    def plays(self) -> bool:
        """At least one call is under way."""
        return bool(self._calls)

    @property
    def waitable(self) -> ray.ObjectRef | None:
        """What to wait for: the start, or the oldest unroll."""
        return self._starting or (self._calls[0].told if self._calls else None)

    def launch(self, start: Callable[[WorkerSpec], Any]) -> None:
        """Start a process."""
        self.handle = start(self.spec)
        self._starting = self.handle.ready.remote()
        self.since = time.monotonic()
        self.node = ""
        self._version = -1

    def stand(self) -> None:
        """The start is ready. Raises a `RayError` if it failed."""
        _, self.node = ray.get(self._starting)
        self._starting = None

    def forget_version(self) -> None:
        """Whatever parameters the process holds, the next call sends them."""
        self._version = -1

    def call(self, version: int, published: Any, with_info: bool) -> None:
        """Ask for one more unroll with these parameters, which are sent if the process does not hold them."""
        sent = published if version != self._version else None
        told, result = self.handle.unroll.remote(version, sent, with_info)
        self._version = version
        self.asked += 1
        if not self._calls:
            self.since = time.monotonic()
        self._calls.append(_Call(told, result))

    def take(self) -> Finished:
        """The oldest unroll, which is ready. Raises a `RayError` if it failed."""
        call = self._calls.popleft()
        report, info = ray.get(call.told)
        self.since = time.monotonic()
        return Finished(report, info, call.result, self.spec.actor_id, self.spec.generation, self.node)

    def close(self) -> ray.ObjectRef | None:
        """Ask a process that stands to close its environment, after the calls that it has; ready when that is done."""
        return None if self.handle is None or self.starts else self.handle.close.remote()

    def vacate(self) -> None:
        """Kill the process; who fills the slot next is of the next generation."""
        self.kill()
        self.spec = replace(self.spec, generation=self.spec.generation + 1)

    def kill(self) -> None:
        """End the process and forget its calls."""
        if self.handle is not None:
            ray.kill(self.handle)
        self.handle = self._starting = None
        self._calls.clear()
