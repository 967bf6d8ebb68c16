"""The differentiable neural dictionary (DND): an agent's episodic memory, batched over lives.

It lives where the agent acts (Pritzel et al. 2017; Ritter et al. 2018). A life stores keys with values (cell states,
without gradients) in a ring: past its capacity the oldest entry is overwritten. A query returns its nearest
neighbours. This is the store, in NumPy; what the network makes of the neighbours is `models/recall.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..conf.settings import Count, CountOrZero, Number, settings

Array = NDArray[Any]

_ROUNDING = 32 * np.finfo(np.float32).eps
"""Similarities that differ by less than this, relatively, are equal: rounding must not decide between equal keys."""
_SHORTEST = 1e-8
"""Product of lengths below which vectors have no direction, and no cosine."""


@settings
class MemoryConfig:
    """Settings of the memory (`conf/model/ep_lstm.yaml`).

    Raises:
        ValueError: for a value that cannot be.
    """

    capacity: Count = 1000
    kernel: Literal["cosine", "l1", "l2"] = "cosine"
    neighbours: Count = 1
    key_size: CountOrZero = 0
    """Width of a learned linear encoding of keys and queries; 0: as the task gives them."""
    ties: Literal["newest", "oldest"] = "newest"
    threshold: Number | None = None
    """Recall only entries at least so similar to the query."""
    replace_above: Number | None = None
    """Write over the most similar entry where it is more similar than this, instead of into the ring."""
    squash: bool = True
    """tanh of what is recalled."""
    reinstate: bool = True
    """False: the reinstatement gate is held at 0 and no memory is kept (the incremental agent)."""

    def __post_init__(self) -> None:
        if self.neighbours > self.capacity:
            raise ValueError(f"neighbours={self.neighbours} are more than the memory holds, capacity={self.capacity}")
        if self.key_size and self.neighbours == 1:
            raise ValueError(
                f"key_size={self.key_size} needs model.memory.neighbours of at least 2: the value of a single "
                "neighbour does not depend on the query, so that an encoder of it would never be trained"
            )


def similarity(kernel: str, keys: Array, query: Array) -> Array:
    """What thresholds are compared with, of keys [b, n, K] and a query [b, K]: the cosine, or the negative L1 or
    Euclidean distance."""
    query = query[:, None]
    if kernel == "cosine":
        lengths = np.linalg.norm(keys, axis=-1) * np.linalg.norm(query, axis=-1)
        cosine: Array = (keys * query).sum(-1) / np.maximum(lengths, _SHORTEST)
        return cosine
    apart: Array = np.linalg.norm(keys - query, ord=1 if kernel == "l1" else 2, axis=-1)
    return -apart


class Neighbours(NamedTuple):
    """The k nearest entries of each life."""

    values: Array
    """[B, k, H]"""
    found: Array
    """[B, k] bool; where False the other columns are 0 (tags: -1)."""
    keys: Array
    """[B, k, K]"""
    tags: Array
    """[B, k] int32, what the task called the entries."""


class Dictionary:
    """B lives' memories, in NumPy. Room is taken as it is needed, up to the capacity.

    Args:
        lives: B.
        config: see `MemoryConfig`.
        key_size: K.
        value_size: H.
    """

    def __init__(self, lives: int, config: MemoryConfig, key_size: int, value_size: int) -> None:
        self.config = config
        self.lives = lives
        self._keys = np.zeros((lives, key_size + 1, 0), dtype=np.float32)
        """Keys (of length 1 for the cosine), entries last, so that a query is compared with all of them in one product;
        the last row is taken off the score: what the kernel wants, or infinity where no entry is."""
        self._values = np.zeros((lives, 0, value_size), dtype=np.float32)
        self._notes = np.zeros((lives, 0, 2), dtype=np.int32)
        """Tag and choice of each entry."""
        self._written = np.zeros((lives, 0), dtype=np.int64)
        """When each entry was written, counted in the writes of its life."""
        self.writes = np.zeros(lives, dtype=np.int64)
        """How often each life has written."""
        self._entries = np.zeros(lives, dtype=np.int64)
        """Entries that came into the ring (overwritten ones count; replaced ones do not)."""
        self._asked = np.zeros((lives, key_size), dtype=np.float32)
        self._answer = np.zeros((lives, config.neighbours), dtype=np.int64)
        self._found = np.zeros((lives, config.neighbours), dtype=bool)
        self._changed = np.ones(lives, dtype=bool)
        """The last query of each life, its answer, and whether the life has changed since."""
        self._rows = np.arange(lives)
        self._make_room(min(16, config.capacity))

    def clear(self, which: Array) -> None:
        """Empty the memories of `which` [B]."""
        self._keys[which, -1] = np.inf
        self.writes[which] = 0
        self._entries[which] = 0
        self._changed |= which

    def read(self, query: Array, which: Array) -> Neighbours:
        """The nearest entries to `query` [B, K] in the lives of `which` [B]; elsewhere nothing is found."""
        stale = which & (self._changed | (query != self._asked).any(1))
        if stale.any():
            rows = slice(None) if stale.all() else np.flatnonzero(stale)
            self._answer[rows], self._found[rows] = self._nearest(query[rows], rows)
            self._asked[rows] = query[rows]
            self._changed &= ~stale
        found = self._found & which[:, None]
        lives, place = self._rows[:, None], self._answer
        return Neighbours(
            values=self._values[lives, place] * found[..., None],
            found=found,
            keys=np.where(found[..., None], self._keys[lives, :-1, place], np.float32(0)),
            tags=np.where(found, self._notes[lives, place, 0], np.int32(-1)),
        )

    def write(self, key: Array, value: Array, tag: Array, choice: Array, which: Array) -> None:
        """Store `value` [B, H] under `key` [B, K] in the lives of `which` [B].

        `tag` [B] (what the entry is about) and `choice` [B] (the action taken from the state) go with it.
        """
        lives = np.flatnonzero(which)
        if not lives.size:
            return
        key = key[lives]
        place = self._entries[lives] % self.config.capacity
        new = np.ones(len(lives), dtype=bool)
        if self.config.replace_above is not None:
            nearest = self._nearest(key, lives)[0][:, 0]
            alike = similarity(self.config.kernel, self._keys[lives, :-1, nearest][:, None], key)[:, 0]
            new = (self._entries[lives] == 0) | (alike <= self.config.replace_above)
            place = np.where(new, place, nearest)
        self._make_room(int(place.max()) + 1)
        penalty = np.float32(0)
        if self.config.kernel == "cosine":
            key = key / np.maximum(np.linalg.norm(key, axis=1, keepdims=True), 1e-12)
        elif self.config.kernel == "l2":
            penalty = np.square(key).sum(1)
        self._keys[lives, :-1, place] = key
        self._keys[lives, -1, place] = penalty
        self._values[lives, place] = value[lives]
        self._notes[lives, place, 0] = tag[lives]
        self._notes[lives, place, 1] = choice[lives]
        self._written[lives, place] = self.writes[lives]
        self.writes[lives] += 1
        self._entries[lives] += new
        self._changed |= which

    def _nearest(self, query: Array, rows: Array | slice) -> tuple[Array, Array]:
        """Places [b, k] of the nearest entries, nearest first, and whether they count as found [b, k]."""
        used = min(max(1, int(self._entries.max())), self.config.capacity)
        keys, written = self._keys[rows, :, :used], self._written[rows, :used]
        # Scores have the order of the kernel, up to what is the same for all entries of a life.
        if self.config.kernel == "l1":
            score = -np.abs(keys[:, :-1] - query[:, :, None]).sum(1) - keys[:, -1]
        else:
            scaled = 2 * query if self.config.kernel == "l2" else query
            asked = np.concatenate((scaled, np.full((len(query), 1), -1, dtype=np.float32)), axis=1)
            score = np.matmul(asked[:, None], keys)[:, 0]
        lives = np.arange(len(query))
        places = np.empty((len(query), self.config.neighbours), dtype=np.int64)
        found = np.empty(places.shape, dtype=bool)
        for neighbour in range(self.config.neighbours):
            best = score.max(1, keepdims=True)
            tied = score >= best - _ROUNDING * np.abs(best)
            life, place = np.divmod(np.flatnonzero(tied), used)
            if len(place) > len(query):
                age = written[life, place] if self.config.ties == "newest" else -written[life, place]
                order = np.lexsort((age, life))
                place = place[order][np.flatnonzero(np.diff(life[order], append=-1))]  # the last one of each life
            places[:, neighbour], found[:, neighbour] = place, best[:, 0] > -np.inf
            score[lives, place] = -np.inf
        if self.config.threshold is not None:
            chosen = np.take_along_axis(keys[:, :-1], places[:, None], axis=2).swapaxes(1, 2)
            found &= similarity(self.config.kernel, chosen, query) >= self.config.threshold
        return places, found

    def _make_room(self, needed: int) -> None:
        room = self._written.shape[1]
        if needed <= room:
            return
        more = min(self.config.capacity, max(needed, 2 * room)) - room
        self._keys = np.pad(self._keys, ((0, 0), (0, 0), (0, more)))
        self._keys[:, -1, room:] = np.inf
        self._values = np.pad(self._values, ((0, 0), (0, more), (0, 0)))
        self._notes = np.pad(self._notes, ((0, 0), (0, more), (0, 0)))
        self._written = np.pad(self._written, ((0, 0), (0, more)))

    def contents(self, life: int) -> dict[str, Array]:
        """What one life holds, in the order of writing: `keys` [N, K], `values` [N, H], `tags` [N], `choices` [N].

        With the cosine, keys have length 1.
        """
        filled = np.flatnonzero(np.isfinite(self._keys[life, -1]))
        order = filled[self._written[life, filled].argsort()]
        return {
            "keys": self._keys[life, :-1, order],
            "values": self._values[life, order],
            "tags": self._notes[life, order, 0],
            "choices": self._notes[life, order, 1],
        }

    def bytes_per_life(self) -> int:
        """Memory that one life takes at present."""
        return sum(table[0].nbytes for table in (self._keys, self._values, self._notes, self._written))

    # Exact resume ------------------------------------------------------------------------------------------

    _SAVED = ("_keys", "_values", "_notes", "_written", "writes", "_entries")

    def state(self) -> dict[str, Array]:
        """All that the memories hold."""
        return {name.strip("_"): getattr(self, name).copy() for name in self._SAVED}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from a `state` of a dictionary with the same settings."""
        for name in self._SAVED:
            setattr(self, name, arrays[name.strip("_")].copy())
        self._changed = np.ones(self.lives, dtype=bool)
