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
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import (
    ActorUnavailableError,
    ObjectStoreFullError,
    OutOfDiskError,
    RayActorError,
    RayError,
    RayTaskError,
)

from .remote import RolloutActor
from .rollout import UnrollReport, WorkerSpec
from .settings import ActorsConfig, ActorsFailedError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """An unroll that an actor has delivered."""

    report: UnrollReport
    trajectory: ray.ObjectRef
    info: ray.ObjectRef
    actor_id: int
    generation: int
    node: str
    """Ray's id of the node that holds trajectory and info."""


@dataclass
class _Call:
    report: ray.ObjectRef
    trajectory: ray.ObjectRef
    info: ray.ObjectRef


@dataclass
class _Slot:
    """One place in the pool, whoever fills it at the moment."""

    spec: WorkerSpec
    handle: Any = None
    starting: ray.ObjectRef | None = None
    calls: deque[_Call] = field(default_factory=deque)
    since: float = 0.0
    """When the process was started, or when the oldest call became the oldest."""
    node: str = ""
    """Ray's id of the node where it runs, or ran last; empty while it starts."""
    accused_on: str = ""
    """Node of its last failure, which was counted; it may turn out that the node went."""
    failures_in_a_row: int = 0
    restart_at: float | None = None
    params_version: int = -1


ROOM_EVERY_S = 1.0
"""How often the cluster is asked for its size."""


def room_for(cpus: float) -> int:
    """Actors of so many CPUs each that the cluster could hold if nothing else ran on it."""
    total = ray.cluster_resources().get("CPU", 0.0)
    return int((total + 1e-6) / cpus) if cpus else sys.maxsize


def _alive_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


ANSWER_WITHIN_S = 1.0


def _answers(node_id: str) -> bool:
    """Whether a node is reached. Ray itself takes a minute to declare one dead that has become silent."""
    for node in ray.nodes():
        if node["NodeID"] == node_id and node["Alive"]:
            try:
                address = (node["NodeManagerAddress"], node["NodeManagerPort"])
                socket.create_connection(address, timeout=ANSWER_WITHIN_S).close()
            except OSError:
                return False
            return True
    return False


class ActorPool:
    """Supervised rollout actors.

    Args:
        specs: one for each actor; with `config.auto` more are made like the first as the cluster grows.
        config: timeouts, budget, back-off.
        start: makes the Ray actor of a spec, if not `RolloutActor` (the benchmark's producers have no environment).
    """

    def __init__(
        self, specs: Sequence[WorkerSpec], config: ActorsConfig, start: Callable[[WorkerSpec], Any] | None = None
    ) -> None:
        self._config = config
        self._start = start or self._start_rollouts
        self._slots = [_Slot(spec) for spec in specs]
        self._room = len(self._slots)
        self._room_at = 0.0
        self._params: tuple[int, Any] = (-1, None)
        self.restarts = 0
        """Replacements so far."""
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
            slot.params_version = -1

    def begin(self) -> None:
        """Start all processes. They begin to play as soon as they stand."""
        for slot in self._slots:
            self._launch(slot)

    def feed(self, finished: Finished) -> None:
        """The learner has taken this unroll: let the actor that made it play another one."""
        slot = self._slots[finished.actor_id]
        if slot.spec.generation == finished.generation and slot.handle is not None:
            self._call(slot)

    def waitables(self) -> list[ray.ObjectRef]:
        """What to wait for: the start or the oldest unroll of each actor."""
        refs = [slot.starting or (slot.calls[0].report if slot.calls else None) for slot in self._slots]
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
            if slot.starting is not None and slot.starting in done:
                self._started(slot)
            elif slot.calls and slot.calls[0].report in done:
                unroll = self._take(slot)
                if unroll is not None:
                    finished.append(unroll)
        self._supervise()
        return finished

    def handles(self) -> list[Any]:
        """The Ray actors, by actor id; None where one is about to be replaced."""
        return [slot.handle for slot in self._slots]

    @property
    def playing(self) -> int:
        """Actors that stand at present."""
        return sum(slot.handle is not None and slot.starting is None for slot in self._slots)

    def close(self) -> None:
        """End all processes."""
        for slot in self._slots:
            self._kill(slot)

    # Inside ------------------------------------------------------------------------------------------------

    def _start_rollouts(self, spec: WorkerSpec) -> Any:
        # No restarts by Ray itself: a restarted process must get its calls from the pool, with fresh parameters.
        placed = RolloutActor.options(
            num_cpus=self._config.cpus, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        return placed.remote(spec, list(sys.path))

    def _launch(self, slot: _Slot) -> None:
        slot.handle = self._start(slot.spec)
        slot.starting = slot.handle.ready.remote()
        slot.since = time.monotonic()
        slot.node = ""
        slot.restart_at = None
        slot.params_version = -1

    def _started(self, slot: _Slot) -> None:
        try:
            _, slot.node = ray.get(slot.starting)
        except RayError as error:
            self._fail(slot, "could not start", error)
            return
        slot.starting = None
        for _ in range(self._config.in_flight):
            self._call(slot)

    def _call(self, slot: _Slot) -> None:
        version, published = self._params
        sent = published if version != slot.params_version else None
        report, trajectory, info = slot.handle.unroll.options(num_returns=3).remote(version, sent)
        slot.params_version = version
        if not slot.calls:
            slot.since = time.monotonic()
        slot.calls.append(_Call(report, trajectory, info))

    def _take(self, slot: _Slot) -> Finished | None:
        call = slot.calls.popleft()
        try:
            report = ray.get(call.report)
        except (ObjectStoreFullError, OutOfDiskError):
            raise  # another actor would fill it again
        except RayError as error:
            self._fail(slot, "failed", error)
            return None
        slot.since = time.monotonic()
        slot.failures_in_a_row = 0
        self.delivered += 1
        return Finished(report, call.trajectory, call.info, slot.spec.actor_id, slot.spec.generation, slot.node)

    def _supervise(self) -> None:
        now = time.monotonic()
        if now - self._room_at > ROOM_EVERY_S:
            self._room_at, self._room = now, room_for(self._config.cpus)
            self._acquit()
            if self._config.auto and self._room > len(self._slots):
                self._grow(self._room - len(self._slots))
        launched = sum(slot.handle is not None for slot in self._slots)
        for slot in self._slots:
            if slot.restart_at is not None:
                if now >= slot.restart_at and launched < self._room:
                    self._launch(slot)
                    launched += 1
            elif slot.starting is not None and launched > self._room:
                self._kill(slot)  # it waits for a node that went
                launched -= 1
                self._replace_after(slot, self._config.backoff_s)
            elif slot.starting is not None and now - slot.since > self._config.start_timeout_s:
                self._fail(slot, f"did not start within {self._config.start_timeout_s:g} s", None)
            elif slot.calls and now - slot.since > self._config.timeout_s:
                self._fail(slot, f"hangs: no unroll within {self._config.timeout_s:g} s", None)

    def _acquit(self) -> None:
        """Give back to the budget what was taken for actors whose node, as is known now, went with them."""
        accused = [slot for slot in self._slots if slot.accused_on]
        alive = _alive_nodes() if accused else set()
        for slot in accused:
            if slot.accused_on not in alive:
                slot.accused_on = ""
                slot.failures_in_a_row = 0
                self.restarts -= 1
                log.warning("actor %d had gone with its node", slot.spec.actor_id)

    def _grow(self, count: int) -> None:
        pattern = self._slots[0].spec
        for actor_id in range(len(self._slots), len(self._slots) + count):
            self._slots.append(_Slot(replace(pattern, actor_id=actor_id, generation=0), restart_at=0.0))
        log.warning("the cluster has grown: %d more actor(s)", count)

    @staticmethod
    def _went_with_its_node(slot: _Slot, error: RayError | None) -> bool:
        """Whether machine or network failed, for which nothing that it plays is to blame. No error: it hangs."""
        if error is not None and not isinstance(error, RayActorError):
            return False
        if isinstance(error, ActorUnavailableError) or "node has died" in str(error):
            return True
        return bool(slot.node) and not _answers(slot.node)

    def _fail(self, slot: _Slot, what: str, error: RayError | None) -> None:
        actor = f"actor {slot.spec.actor_id} ({slot.spec.task})"
        # An exception of the environment arrives as its own traceback; a dead process as Ray's account of its end.
        text = str(error).strip() if error is not None else ""
        reason = f"{actor} {what}" + (f":\n{text}" if text else "")
        self.last_failure = reason
        with_its_node = self._went_with_its_node(slot, error)
        self._kill(slot)
        if with_its_node:
            self._room_at = 0.0
            self._replace_after(slot, self._config.backoff_s)
            log.warning("%s went with its node, or was cut off; it is replaced when there is room", actor)
            return
        if self.restarts >= self._config.max_restarts:
            raise ActorsFailedError(
                f"{self.restarts} restarts were made, which is the budget (actors.max_restarts); the last failure:\n"
                f"{reason}"
            )
        self.restarts += 1
        slot.accused_on = slot.node if isinstance(error, RayActorError) else ""
        wait_s = min(30.0, self._config.backoff_s * 2**slot.failures_in_a_row)
        slot.failures_in_a_row += 1
        self._replace_after(slot, wait_s)
        last_line = text.splitlines()[-1] if isinstance(error, RayTaskError) and text else what
        log.warning("%s %s; restart %d in %.1f s", actor, last_line, self.restarts, wait_s)

    @staticmethod
    def _replace_after(slot: _Slot, wait_s: float) -> None:
        slot.spec = replace(slot.spec, generation=slot.spec.generation + 1)
        slot.restart_at = time.monotonic() + wait_s

    @staticmethod
    def _kill(slot: _Slot) -> None:
        if slot.handle is not None:
            ray.kill(slot.handle)
        slot.handle = slot.starting = None
        slot.calls.clear()
