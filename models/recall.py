"""What is recalled: the record of a query's nearest neighbours, and what the network makes of it.

The record is made where the agent acts, from its memory (`models/dnd.py`); the learner is given it, so that it needs no
memory of its own. With one neighbour, the published rule (Ritter et al. 2018), what is recalled is its value. With more
it is the values' mean, weighted by the inverse kernel `1 / (distance + 0.001)` (Pritzel et al. 2017), which the learner
computes again from its own query: this is how an encoder of queries is trained.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_SOFTENING = 1e-3


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


def inverse_kernel_mean(kernel: str, values: Tensor, found: Tensor, keys: Tensor, query: Tensor) -> Tensor:
    """Mean of values [..., k, H] weighted by `1 / (distance + 0.001)`; 0 where none was found.

    Args:
        kernel: as `MemoryConfig.kernel`.
        values: [..., k, H].
        found: [..., k] bool.
        keys: [..., k, K].
        query: [..., K], encoded like the keys.
    """
    weight = found / (distance(kernel, keys, query) + _SOFTENING)
    total = weight.sum(-1, keepdim=True)
    share = weight / torch.where(total > 0, total, torch.ones_like(total))
    return (share.unsqueeze(-1) * values).sum(-2)
