"""What an engine is: it makes updates, moving trajectories from workers to a learner. What may happen on the way.

`serial.SerialEngine` does it in one process, `distributed.RayEngine` with processes; a training drives either through
`Engine`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...actors.rollout import UnrollReport
from ...learner.checkpoint import Checkpoint
from ...models.flat import Published
from ...replay.trajectory import Array


class Interrupted(Exception):  # noqa: N818  # not an error: the user's wish
    """The training was asked to stop while it waited for an update."""


class StoreFullError(RuntimeError):
    """The trajectories on their way fit neither into Ray's object store nor onto the disk where it spills."""


class LearnerFailedError(RuntimeError):
    """The learner's process died, hangs or could not start."""


class LearnerReplaced(Exception):  # noqa: N818  # not an error: the training goes on
    """The learner's process died or hung; another one stands in its place.

    Attributes:
        checkpoint: where the new one goes on from, None for the start of the run. Updates after it are lost.
    """

    def __init__(self, reason: str, checkpoint: Checkpoint | None) -> None:
        super().__init__(reason)
        self.checkpoint = checkpoint


WINDOW = 8
"""Unrolls whose trials the training curves are computed from."""


@dataclass(frozen=True)
class Update:
    """What one update tells."""

    metrics: Mapping[str, float]
    """See `docs/metrics.md`."""
    reports: Sequence[UnrollReport]
    """Of the fresh trajectories in it."""


@dataclass(frozen=True)
class Counters:
    """Totals since the engine started, from which rates are computed."""

    learner_waited_s: float
    """The learner had nothing to do."""
    data_waited_s: float
    """Finished trajectories lay before the learner took them (summed over trajectories)."""
    taken: int
    """Trajectories that the learner took."""
    actors: int
    """Actors that play at present."""
    restarts: int
    """Actors that were replaced."""
    learner_restarts: int
    """Learners that were replaced."""


class Engine(Protocol):
    """What drives a training: one call of `step` is one update."""

    def step(self) -> Update:
        """Make one update.

        Raises:
            Interrupted: if a stop was asked for.
            LearnerReplaced: if the learner failed and another one stands.
        """

    def counters(self) -> Counters:
        """Totals so far."""

    def window(self) -> list[Mapping[str, Array]]:
        """The task's truth of the last few unrolls, see `RolloutWorker.unroll`."""

    def parameters(self) -> Published:
        """Version and parameters as they are now."""

    def checkpoint(self, extra: Mapping[str, Any]) -> Checkpoint:
        """The state as it is now, a copy; `extra` is plain JSON that joins it. Raises `LearnerReplaced` as `step`."""

    def close(self) -> None:
        """End all processes."""
