"""The policy of failures: which count, how many are allowed, how long to wait before a replacement."""

from __future__ import annotations

import logging

from ray.exceptions import ActorUnavailableError, RayActorError, RayError

from .nodes import alive_nodes, answers
from .settings import ActorsConfig, ActorsFailedError

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 30.0


def went_with_its_node(node: str, error: RayError | None) -> bool:
    """Whether machine or network failed, for which nothing that an actor plays is to blame.

    Args:
        node: Ray's id of where it ran; empty if that is not known.
        error: how it failed; None: it hangs.
    """
    if error is not None and not isinstance(error, RayActorError):
        return False
    if isinstance(error, ActorUnavailableError) or "node has died" in str(error):
        return True
    return bool(node) and not answers(node)


class Restarts:
    """The restart budget of a run, and the back-off of each actor.

    Attributes:
        count: replacements so far that count.
    """

    def __init__(self, config: ActorsConfig) -> None:
        self._config = config
        self.count = 0
        self._in_a_row: dict[int, int] = {}
        self._accused: dict[int, str] = {}

    def charge(self, actor_id: int, node: str, error: RayError | None, reason: str) -> float:
        """Count a failure; the seconds to wait before the replacement.

        Args:
            actor_id: of the actor that failed.
            node: where it ran; should that turn out to have died, the failure is taken back.
            error: how it failed; None: it hangs.
            reason: what to say when the budget is spent, with the actor's own traceback.

        Raises:
            ActorsFailedError: when the budget is spent.
        """
        if self.count >= self._config.max_restarts:
            raise ActorsFailedError(
                f"{self.count} restarts were made, which is the budget (actors.max_restarts); the last failure:\n"
                f"{reason}"
            )
        self.count += 1
        self._accused.pop(actor_id, None)
        if isinstance(error, RayActorError) and node:
            self._accused[actor_id] = node
        failures = self._in_a_row.get(actor_id, 0)
        self._in_a_row[actor_id] = failures + 1
        return float(min(LONGEST_WAIT_S, self._config.backoff_s * 2**failures))

    def succeeded(self, actor_id: int) -> None:
        """The actor delivers: its next failure is the first in a row."""
        self._in_a_row.pop(actor_id, None)

    def acquit(self) -> None:
        """Give back to the budget what was taken for actors whose node, as is known now, went with them."""
        alive = alive_nodes() if self._accused else set()
        for actor_id, node in list(self._accused.items()):
            if node not in alive:
                del self._accused[actor_id]
                self.succeeded(actor_id)
                self.count -= 1
                log.warning("actor %d had gone with its node", actor_id)
