"""The differentiable neural dictionary (DND): an agent's episodic memory, batched over lives.

It lives where the agent acts (Pritzel et al. 2017; Ritter et al. 2018). A life stores keys with values (cell states,
without gradients) in a ring: past its capacity the oldest entry is overwritten. A query returns its nearest
neighbours. What was returned is recorded (`Recall`) and the learner is given the record, so that it needs no memory of
its own. With one neighbour, the published rule, what is recalled is its value. With more it is the values' mean,
weighted by the inverse kernel `1 / (distance + 0.001)`, which the learner computes again from its own query: this is
how an encoder of queries is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

KERNELS = ("cosine", "l1", "l2")
TIES = ("newest", "oldest")
_ROUNDING = 32 * torch.finfo(torch.float32).eps
"""Similarities that differ by less than this, relatively, are equal: rounding must not decide between equal keys."""
_SOFTENING = 1e-3


@dataclass(frozen=True)
class MemoryConfig:
    """Settings of the memory (`conf/model/ep_lstm.yaml`).

    Raises:
        ValueError: for a value that cannot be.
    """

    capacity: int = 1000
    kernel: str = "cosine"
    neighbours: int = 1
    key_size: int = 0
    """Width of a learned linear encoding of keys and queries; 0: as the task gives them."""
    ties: str = "newest"
    threshold: float | None = None
    """Recall only entries at least so similar to the query."""
    replace_above: float | None = None
    """Write over the most similar entry where it is more similar than this, instead of into the ring."""
    squash: bool = True
    """tanh of what is recalled."""
    reinstate: bool = True
    """False: the reinstatement gate is held at 0 and no memory is kept (the incremental agent)."""

    def __post_init__(self) -> None:
        for name, value, choices in (("kernel", self.kernel, KERNELS), ("ties", self.ties, TIES)):
            if value not in choices:
                raise ValueError(f"model.memory.{name}={value} is not known; choose one of: {', '.join(choices)}")
        if not 1 <= self.neighbours <= self.capacity:
            raise ValueError(
                f"model.memory.neighbours must lie between 1 and the capacity ({self.capacity}), got {self.neighbours}"
            )
        if self.key_size and self.neighbours == 1:
            raise ValueError(
                "model.memory.key_size needs model.memory.neighbours of at least 2: the value of a single neighbour "
                "does not depend on the query, so that an encoder of it would never be trained"
            )


class Recall(NamedTuple):
    """What a query returned: k neighbours, the most similar first. With k = 1 only `values` is kept."""

    values: Tensor
    """[..., k, H], 0 where nothing was found; with k = 1 [..., H]."""
    found: Tensor
    """[..., k] bool"""
    keys: Tensor
    """[..., k, K]"""
    query: Tensor
    """[..., Q] as the task gave it."""


def distance(kernel: str, keys: Tensor, query: Tensor) -> Tensor:
    """Between keys [..., n, K] and a query [..., K]: 1 - cosine, sum of differences, or squared Euclidean."""
    query = query.unsqueeze(-2)
    if kernel == "cosine":
        return 1 - torch.cosine_similarity(keys, query, dim=-1)
    if kernel == "l1":
        return (keys - query).abs().sum(-1)
    return (keys - query).square().sum(-1)


def similarity(kernel: str, keys: Tensor, query: Tensor) -> Tensor:
    """What thresholds are compared with: the cosine, or the negative L1 or Euclidean distance."""
    between = distance(kernel, keys, query)
    return 1 - between if kernel == "cosine" else -between if kernel == "l1" else -between.sqrt()


def inverse_kernel_mean(kernel: str, values: Tensor, found: Tensor, keys: Tensor, query: Tensor) -> Tensor:
    """Mean of values [..., k, H] weighted by `1 / (distance + 0.001)`; 0 where none was found.

    Args:
        kernel: see `KERNELS`.
        values: [..., k, H].
        found: [..., k] bool.
        keys: [..., k, K].
        query: [..., K], encoded like the keys.
    """
    weight = found / (distance(kernel, keys, query) + _SOFTENING)
    total = weight.sum(-1, keepdim=True)
    share = weight / torch.where(total > 0, total, torch.ones_like(total))
    return (share.unsqueeze(-1) * values).sum(-2)


class Neighbours(NamedTuple):
    """The k nearest entries of each life."""

    values: Tensor
    """[B, k, H]"""
    found: Tensor
    """[B, k] bool; where False the other columns are 0 (tags: -1)."""
    keys: Tensor
    """[B, k, K]"""
    tags: Tensor
    """[B, k] int32, what the task called the entries."""


class Dictionary:
    """B lives' memories. Room is taken as it is needed, up to the capacity.

    Args:
        lives: B.
        config: see `MemoryConfig`.
        key_size: K.
        value_size: H.
    """

    def __init__(self, lives: int, config: MemoryConfig, key_size: int, value_size: int) -> None:
        self.config = config
        self.lives = lives
        room = min(config.capacity, 16)
        self._keys = torch.zeros(lives, room, key_size + 1)
        """Keys (of length 1 for the cosine), and a last column that is taken off the score: what the kernel wants, or
        infinity where no entry is."""
        self._keys[..., -1] = torch.inf
        self._values = torch.zeros(lives, room, value_size)
        self._notes = torch.full((lives, room, 2), -1, dtype=torch.int32)
        """Tag and choice of each entry."""
        self._written = torch.full((lives, room), -1, dtype=torch.int32)
        """When each entry was written, counted in the writes of its life."""
        self.writes = torch.zeros(lives, dtype=torch.int32)
        """How often each life has written."""
        self._entries = torch.zeros(lives, dtype=torch.long)
        """Entries that came into the ring (overwritten ones count; replaced ones do not)."""
        self._used = 0
        """The longest ring of all lives."""
        self._asked = torch.zeros(lives, key_size)
        self._answer = torch.zeros(lives, config.neighbours, dtype=torch.long)
        self._found = torch.zeros(lives, config.neighbours, dtype=torch.bool)
        self._changed = torch.ones(lives, dtype=torch.bool)
        """The last query of each life, its answer, and whether the life has changed since."""
        self._rows = torch.arange(lives)

    def clear(self, which: Tensor) -> None:
        """Empty the memories of `which` [B]."""
        self._keys[which, :, -1] = torch.inf
        self.writes[which] = 0
        self._entries[which] = 0
        self._changed |= which
        self._used = min(int(self._entries.max()), self.config.capacity)

    def read(self, query: Tensor, which: Tensor) -> Neighbours:
        """The nearest entries to `query` [B, K] in the lives of `which` [B]; elsewhere nothing is found."""
        stale = which & (self._changed | (query != self._asked).any(1))
        if stale.all():
            self._answer, self._found = self._nearest(query, slice(None))
            self._asked = query.clone()
            self._changed = ~stale
        elif stale.any():
            rows = stale.nonzero().squeeze(1)
            self._answer[rows], self._found[rows] = self._nearest(query[rows], rows)
            self._asked[rows] = query[rows]
            self._changed &= ~stale
        found = self._found & which[:, None]
        place = self._flat(self._rows[:, None], self._answer)
        shape = self._answer.shape
        keys = self._keys.flatten(0, 1).index_select(0, place).unflatten(0, shape)[..., :-1]
        values = self._values.flatten(0, 1).index_select(0, place).unflatten(0, shape)
        tags = self._notes.flatten(0, 1).index_select(0, place).unflatten(0, shape)[..., 0]
        return Neighbours(values * found[..., None], found, keys * found[..., None], torch.where(found, tags, -1))

    def write(self, key: Tensor, value: Tensor, tag: Tensor, choice: Tensor, which: Tensor) -> None:
        """Store `value` [B, H] under `key` [B, K] in the lives of `which` [B].

        `tag` [B] (what the entry is about) and `choice` [B] (the action taken from the state) go with it.
        """
        lives = which.nonzero().squeeze(1)
        if not len(lives):
            return
        key = key[lives]
        place = self._entries[lives] % self.config.capacity
        new = torch.ones(len(lives), dtype=torch.bool)
        if self.config.replace_above is not None and self._used:
            nearest = self._nearest(key, lives)[0][:, 0]
            alike = similarity(self.config.kernel, self._keys[lives, nearest, None, :-1], key).squeeze(1)
            new = (self._entries[lives] == 0) | (alike <= self.config.replace_above)
            place = torch.where(new, place, nearest)
        self._make_room(int(place.max()) + 1)
        penalty = key.new_zeros(len(lives), 1)
        if self.config.kernel == "cosine":
            key = torch.nn.functional.normalize(key)
        elif self.config.kernel == "l2":
            penalty = key.square().sum(1, keepdim=True)
        flat = self._flat(lives, place)
        self._keys.flatten(0, 1).index_copy_(0, flat, torch.cat((key, penalty), dim=1))
        self._values.flatten(0, 1).index_copy_(0, flat, value[lives])
        self._notes.flatten(0, 1).index_copy_(0, flat, torch.stack((tag[lives], choice[lives].int()), dim=1))
        self._written.flatten().index_copy_(0, flat, self.writes[lives])
        self.writes[lives] += 1
        self._entries[lives] += new
        self._changed |= which
        self._used = min(int(self._entries.max()), self.config.capacity)

    def _flat(self, lives: Tensor, places: Tensor) -> Tensor:
        """Row of an entry in the tables with lives and places as one axis."""
        return (lives * self._keys.shape[1] + places).flatten()

    def _nearest(self, query: Tensor, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Places [b, k] of the nearest entries, nearest first, and whether they count as found [b, k]."""
        k, used = self.config.neighbours, self._used
        if not used:
            return torch.zeros(len(query), k, dtype=torch.long), torch.zeros(len(query), k, dtype=torch.bool)
        keys, written = self._keys[rows, :used], self._written[rows, :used]
        # Scores have the order of the kernel, up to what is the same for all entries of a life.
        if self.config.kernel == "l1":
            score = -distance("l1", keys[..., :-1], query) - keys[..., -1]
        else:
            scaled = 2 * query if self.config.kernel == "l2" else query
            asked = torch.cat((scaled, query.new_full((len(query), 1), -1)), dim=1)
            score = torch.bmm(keys, asked.unsqueeze(2)).squeeze(2)
        order = written if self.config.ties == "newest" else -written
        places, found = [], []
        for _ in range(k):
            best = score.amax(1, keepdim=True)
            tied = score >= best - _ROUNDING * best.abs()
            place = torch.where(tied, order, torch.iinfo(torch.int32).min).argmax(1, keepdim=True)
            places.append(place)
            found.append(best > -torch.inf)
            if len(places) < k:
                score = score.scatter(1, place, -torch.inf)
        nearest, there = torch.cat(places, dim=1), torch.cat(found, dim=1)
        if self.config.threshold is not None:
            chosen = keys.gather(1, nearest[..., None].expand(-1, -1, keys.shape[2]))[..., :-1]
            there &= similarity(self.config.kernel, chosen, query) >= self.config.threshold
        return nearest, there

    def _make_room(self, needed: int) -> None:
        room = self._keys.shape[1]
        if needed <= room:
            return
        more = min(self.config.capacity, max(needed, 2 * room)) - room

        def longer(table: Tensor) -> Tensor:
            return torch.cat((table, table.new_zeros(table.shape[0], more, *table.shape[2:])), dim=1)

        self._keys, self._values = longer(self._keys), longer(self._values)
        self._keys[:, room:, -1] = torch.inf
        self._notes, self._written = longer(self._notes), longer(self._written)

    def contents(self, life: int) -> dict[str, NDArray[Any]]:
        """What one life holds, in the order of writing: `keys` [N, K], `values` [N, H], `tags` [N], `choices` [N].

        With the cosine, keys have length 1.
        """
        filled = self._keys[life, :, -1].isfinite().nonzero().squeeze(1)
        order = filled[self._written[life, filled].argsort()]
        tables = {
            "keys": self._keys[life, order, :-1],
            "values": self._values[life, order],
            "tags": self._notes[life, order, 0],
            "choices": self._notes[life, order, 1],
        }
        return {name: table.numpy() for name, table in tables.items()}

    def bytes_per_life(self) -> int:
        """Memory that one life takes at present."""
        tables = (self._keys, self._values, self._notes, self._written)
        return sum(table.element_size() * table[0].numel() for table in tables)

    # Exact resume ------------------------------------------------------------------------------------------

    _SAVED = ("_keys", "_values", "_notes", "_written", "writes", "_entries")

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the memories hold."""
        return {name.strip("_"): getattr(self, name).numpy().copy() for name in self._SAVED}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a `state` of a dictionary with the same settings."""
        for name in self._SAVED:
            setattr(self, name, torch.from_numpy(arrays[name.strip("_")].copy()))
        self._used = min(int(self._entries.max()), self.config.capacity)
        self._changed = torch.ones(self.lives, dtype=torch.bool)
