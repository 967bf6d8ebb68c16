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
from typing import NamedTuple

import numpy as np
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
        self.keys = torch.zeros(lives, room, key_size)
        self.values = torch.zeros(lives, room, value_size)
        self.tags = torch.full((lives, room), -1, dtype=torch.int32)
        self.choices = torch.full((lives, room), -1, dtype=torch.int32)
        self.written = torch.full((lives, room), -1)
        """When each entry was written, counted in the writes of its life; -1: empty."""
        self.writes = torch.zeros(lives, dtype=torch.long)
        """How often each life has written."""
        self._entries = torch.zeros(lives, dtype=torch.long)
        """Entries that came into the ring (overwritten ones count; replaced ones do not)."""
        self._used = 0
        """The longest ring of all lives."""
        self._norms = torch.zeros(lives, room)
        self._asked = torch.zeros(lives, key_size)
        self._answer = torch.zeros(lives, config.neighbours, dtype=torch.long)
        self._found = torch.zeros(lives, config.neighbours, dtype=torch.bool)
        self._changed = torch.ones(lives, dtype=torch.bool)

    def clear(self, which: Tensor) -> None:
        """Empty the memories of `which` [B]."""
        self.written[which] = -1
        self.writes[which] = 0
        self._entries[which] = 0
        self._changed |= which
        self._used = min(int(self._entries.max()), self.config.capacity)

    def read(self, query: Tensor, which: Tensor) -> Neighbours:
        """The nearest entries to `query` [B, K] in the lives of `which` [B]; elsewhere nothing is found."""
        stale = which & (self._changed | (query != self._asked).any(1))
        if stale.any():
            rows = slice(None) if stale.all() else stale.nonzero().squeeze(1)
            self._answer[rows], self._found[rows] = self._nearest(query[rows], rows)
            self._asked[rows] = query[rows]
            self._changed &= ~stale
        found = self._found & which[:, None]
        lives = torch.arange(self.lives)[:, None]
        return Neighbours(
            values=self.values[lives, self._answer] * found[..., None],
            found=found,
            keys=self.keys[lives, self._answer] * found[..., None],
            tags=torch.where(found, self.tags[lives, self._answer], -1),
        )

    def write(self, key: Tensor, value: Tensor, tag: Tensor, choice: Tensor, which: Tensor) -> None:
        """Store `value` [B, H] under `key` [B, K] in the lives of `which` [B].

        `tag` [B] (what the entry is about) and `choice` [B] (the action taken from the state) go with it.
        """
        lives = which.nonzero().squeeze(1)
        if not len(lives):
            return
        key, value = key[lives], value[lives]
        place = self._entries[lives] % self.config.capacity
        new = torch.ones(len(lives), dtype=torch.bool)
        if self.config.replace_above is not None and self._used:
            nearest, _ = self._nearest(key, lives)
            candidates = self.keys[lives, nearest[:, 0]]
            alike = similarity(self.config.kernel, candidates.unsqueeze(1), key).squeeze(1)
            new = (self._entries[lives] == 0) | (alike <= self.config.replace_above)
            place = torch.where(new, place, nearest[:, 0])
        self._make_room(int(place.max()) + 1)
        self.keys[lives, place] = key
        self.values[lives, place] = value
        self.tags[lives, place] = tag[lives]
        self.choices[lives, place] = choice[lives].int()
        self.written[lives, place] = self.writes[lives]
        self._norms[lives, place] = key.norm(dim=1) if self.config.kernel == "cosine" else key.square().sum(1)
        self.writes[lives] += 1
        self._entries[lives] += new
        self._changed[lives] = True
        self._used = min(int(self._entries.max()), self.config.capacity)

    def _nearest(self, query: Tensor, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Places [b, k] of the nearest entries, nearest first, and whether they count as found [b, k]."""
        k, used = self.config.neighbours, self._used
        if not used:
            return torch.zeros(len(query), k, dtype=torch.long), torch.zeros(len(query), k, dtype=torch.bool)
        keys, written, norms = self.keys[rows, :used], self.written[rows, :used], self._norms[rows, :used]
        filled = written >= 0
        if self.config.kernel == "l1":
            score = -distance("l1", keys, query)
        else:
            score = torch.bmm(keys, query.unsqueeze(2)).squeeze(2)
            # Both orders are those of the kernel, up to what is the same for all entries of a life.
            score = score / norms.clamp_min(1e-12) if self.config.kernel == "cosine" else 2 * score - norms
        score = score.masked_fill(~filled, -torch.inf)
        order = written if self.config.ties == "newest" else -written
        places = torch.empty(len(query), k, dtype=torch.long)
        found = torch.empty(len(query), k, dtype=torch.bool)
        for neighbour in range(k):
            best = score.amax(1, keepdim=True)
            tied = score >= best - _ROUNDING * best.abs()
            place = torch.where(tied, order, torch.iinfo(torch.long).min).argmax(1)
            places[:, neighbour], found[:, neighbour] = place, best.squeeze(1) > -torch.inf
            if neighbour + 1 < k:
                score = score.scatter(1, place[:, None], -torch.inf)
        if self.config.threshold is not None:
            chosen = keys.gather(1, places[..., None].expand(-1, -1, keys.shape[2]))
            found &= similarity(self.config.kernel, chosen, query) >= self.config.threshold
        return places, found

    def _make_room(self, needed: int) -> None:
        room = self.keys.shape[1]
        if needed <= room:
            return
        more = min(self.config.capacity, max(needed, 2 * room)) - room

        def longer(table: Tensor, fill: float) -> Tensor:
            return torch.cat((table, table.new_full((table.shape[0], more, *table.shape[2:]), fill)), dim=1)

        self.keys, self.values, self._norms = longer(self.keys, 0), longer(self.values, 0), longer(self._norms, 0)
        self.tags, self.choices = longer(self.tags, -1), longer(self.choices, -1)
        self.written = longer(self.written, -1)

    # Exact resume ------------------------------------------------------------------------------------------

    _SAVED = ("keys", "values", "tags", "choices", "written", "writes", "_entries", "_norms")

    def contents(self, life: int) -> dict[str, NDArray[np.generic]]:
        """What one life holds, in the order of writing: `keys` [N, K], `values` [N, H], `tags` [N], `choices` [N]."""
        order = self.written[life].argsort(stable=True)
        order = order[self.written[life][order] >= 0]
        return {name: getattr(self, name)[life][order].numpy() for name in ("keys", "values", "tags", "choices")}

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All that the memories hold."""
        return {name.strip("_"): getattr(self, name).numpy().copy() for name in self._SAVED}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a `state` of a dictionary with the same settings."""
        for name in self._SAVED:
            setattr(self, name, torch.from_numpy(arrays[name.strip("_")].copy()))
        self._used = min(int(self._entries.max()), self.config.capacity)
        self._changed = torch.ones(self.lives, dtype=torch.bool)

    def bytes_per_life(self) -> int:
        """Memory that one life takes at present."""
        tables = (self.keys, self.values, self.tags, self.choices, self.written, self._norms)
        return sum(table.element_size() * table[0].numel() for table in tables)
