"""Supervision of the rollout actors: bounded calls in flight, replacement of what died or hangs, a restart budget.

The driver owns one pool. It asks `waitables` what to wait for, tells `collect` what became ready, and answers each
finished unroll with `feed` when the learner has taken it, so that at most `in_flight` unrolls of an actor exist at any
time, running or waiting. Any failure (a killed process, an exception of the environment, a failing constructor, no
unroll within the timeout) replaces the actor after a back-off; past the budget the pool raises with the actor's own
traceback.

Nodes of a cluster come and go, and so does the network between them. An actor that went with its node, or whose node
does not answer, is replaced outside the budget, when there is room for it; with `actors.auto` the pool also grows with
the cluster. Room is what the cluster's CPUs allow.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import ObjectStoreFullError, OutOfDiskError, RayError, RayTaskError

from .nodes import room_for
from .remote import RolloutActor
from .restarts import Restarts, went_with_its_node
from .rollout import WorkerSpec
from .settings import ActorsConfig
from .slot import Finished, Slot

log = logging.getLogger(__name__)

ROOM_EVERY_S = 1.0
"""How often the cluster is asked for its size."""


CLOSE_S = 5.0
"""How long the actors have to end what they play and close their environments. One that hangs is killed."""


class ActorPool:
    """Supervised rollout actors.

    Args:
        specs: one for each actor; with `config.auto` more are made like the first as the cluster grows.
        config: timeouts, budget, back-off.
        start: makes the Ray actor of a spec, if not `RolloutActor` (the benchmark's producers have no environment).
        info_every: of so many unrolls of an actor one comes with the task's truth.
    """

    def __init__(
        self,
        specs: Sequence[WorkerSpec],
        config: ActorsConfig,
        start: Callable[[WorkerSpec], Any] | None = None,
        info_every: int = 1,
    ) -> None:
        self._config = config
        self._start = start or self._start_rollouts
        self._slots = [Slot(spec) for spec in specs]
        self._restart_at: dict[int, float] = {}
        self._restarts = Restarts(config)
        self._info_every = info_every
        self._room = len(self._slots)
        self._room_at = 0.0
        self._params: tuple[int, Any] = (-1, None)
        self.delivered = 0
        """Unrolls delivered so far."""
        self.last_failure = ""

    # Parameters and calls ----------------------------------------------------------------------------------

    def broadcast(self, version: int, published: Any) -> None:
        """Calls from now on act with these parameters (a `Published` of that version, or a reference to one)."""
        self._params = (version, published)

    def forget_versions(self) -> None:
        """Versions are counted anew: what the actors hold is not what their number says."""
        for slot in self._slots:
            slot.forget_version()

    def begin(self) -> None:
        """Start all processes. They begin to play as soon as they stand."""
        for slot in self._slots:
            slot.launch(self._start)

    def feed(self, finished: Finished) -> None:
        """The learner has taken this unroll: let the actor that made it play another one."""
        slot = self._slots[finished.actor_id]
        if slot.spec.generation == finished.generation and slot.handle is not None:
            self._call(slot)

    def waitables(self) -> list[ray.ObjectRef]:
        """What to wait for: the start or the oldest unroll of each actor."""
        refs = [slot.waitable for slot in self._slots]
        return [ref for ref in refs if ref is not None]

    def collect(self, ready: Iterable[ray.ObjectRef]) -> list[Finished]:
        """Take in what became ready, and see to the actors that are overdue or due for their replacement.

        Raises:
            ActorsFailedError: when the restart budget is spent.
            ObjectStoreFullError, OutOfDiskError: when there is no room for what the actors play.
        """
        done = set(ready)
        finished = []
        for slot in self._slots:
            if slot.waitable in done:
                if slot.starts:
                    self._started(slot)
                elif (unroll := self._take(slot)) is not None:
                    finished.append(unroll)
        self._supervise()
        return finished

    def handles(self) -> list[Any]:
        """The Ray actors, by actor id; None where one is about to be replaced."""
        return [slot.handle for slot in self._slots]

    @property
    def restarts(self) -> int:
        """Replacements so far that count."""
        return self._restarts.count

    @property
    def playing(self) -> int:
        """Actors that stand at present."""
        return sum(slot.handle is not None and not slot.starts for slot in self._slots)

    def close(self) -> None:
        """End all processes, those that stand with their environments closed, if they answer in time."""
        closing = [ref for slot in self._slots if (ref := slot.close()) is not None]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=CLOSE_S)
        for slot in self._slots:
            slot.kill()

    # Inside ------------------------------------------------------------------------------------------------

    def _start_rollouts(self, spec: WorkerSpec) -> Any:
        # No restarts by Ray itself: a restarted process must get its calls from the pool, with fresh parameters.
        placed = RolloutActor.options(
            num_cpus=self._config.cpus, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        return placed.remote(spec, list(sys.path))

    def _call(self, slot: Slot) -> None:
        slot.call(*self._params, with_info=(slot.asked + slot.spec.actor_id) % self._info_every == 0)

    def _started(self, slot: Slot) -> None:
        try:
            slot.stand()
        except RayError as error:
            self._fail(slot, "could not start", error)
            return
        for _ in range(self._config.in_flight):
            self._call(slot)

    def _take(self, slot: Slot) -> Finished | None:
        try:
            finished = slot.take()
        except (ObjectStoreFullError, OutOfDiskError):
            raise  # another actor would fill it again
        except RayError as error:
            self._fail(slot, "failed", error)
            return None
        self._restarts.succeeded(slot.spec.actor_id)
        self.delivered += 1
        return finished

    def _supervise(self) -> None:
        now = time.monotonic()
        if now - self._room_at > ROOM_EVERY_S:
            self._room_at, self._room = now, room_for(self._config.cpus)
            self._restarts.acquit()
            if self._config.auto and self._room > len(self._slots):
                self._grow(self._room - len(self._slots))
        launched = sum(slot.handle is not None for slot in self._slots)
        for slot in self._slots:
            restart_at = self._restart_at.get(slot.spec.actor_id)
            if restart_at is not None:
                if now >= restart_at and launched < self._room:
                    del self._restart_at[slot.spec.actor_id]
                    slot.launch(self._start)
                    launched += 1
            elif slot.starts and launched > self._room:
                self._replace_after(slot, self._config.backoff_s)  # it waits for a node that went
                launched -= 1
            elif slot.starts and now - slot.since > self._config.start_timeout_s:
                self._fail(slot, f"did not start within {self._config.start_timeout_s:g} s", None)
            elif slot.plays and now - slot.since > self._config.timeout_s:
                self._fail(slot, f"hangs: no unroll within {self._config.timeout_s:g} s", None)

    def _grow(self, count: int) -> None:
        pattern = self._slots[0].spec
        for actor_id in range(len(self._slots), len(self._slots) + count):
            self._slots.append(Slot(replace(pattern, actor_id=actor_id, generation=0)))
            self._restart_at[actor_id] = 0.0
        log.warning("the cluster has grown: %d more actor(s)", count)

    def _fail(self, slot: Slot, what: str, error: RayError | None) -> None:
        actor = f"actor {slot.spec.actor_id} ({slot.spec.task})"
        # An exception of the environment arrives as its own traceback; a dead process as Ray's account of its end.
        text = str(error).strip() if error is not None else ""
        self.last_failure = f"{actor} {what}" + (f":\n{text}" if text else "")
        if went_with_its_node(slot.node, error):
            self._room_at = 0.0
            self._replace_after(slot, self._config.backoff_s)
            log.warning("%s went with its node, or was cut off; it is replaced when there is room", actor)
            return
        slot.kill()
        wait_s = self._restarts.charge(slot.spec.actor_id, slot.node, error, self.last_failure)
        self._replace_after(slot, wait_s)
        last_line = text.splitlines()[-1] if isinstance(error, RayTaskError) and text else what
        log.warning("%s %s; restart %d in %.1f s", actor, last_line, self.restarts, wait_s)

    def _replace_after(self, slot: Slot, wait_s: float) -> None:
        slot.vacate()
        self._restart_at[slot.spec.actor_id] = time.monotonic() + wait_s
