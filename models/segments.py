"""Stretches between resets, as index arrays: how an unroll with resets inside runs on fused kernels.

`first` [T, B] cuts each column into segments. Segments of similar length (within a factor of two) are laid side by
side as the rows of one padded batch, so that a kernel that knows no resets computes them all at once, and less than
half of what it computes is padding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Bucket(NamedTuple):
    """N segments, padded to the same length L."""

    gather: Tensor
    """[L, N] index into the flattened [T * B] input of each entry (padding repeats the segment's last step)."""
    rows: Tensor
    """[N] the column b that each segment comes from."""
    carried: Tensor
    """[N] True where the segment goes on from the unroll's initial state (it starts at t = 0)."""


class Segments(NamedTuple):
    """All segments of an unroll."""

    buckets: list[Bucket]
    scatter: Tensor
    """[T * B] where step (t, b) stands in the buckets' flattened outputs, one bucket after the other."""


def segments_of(first: Tensor) -> Segments | None:
    """The segments of `first` [T, B], or None when nothing resets after t = 0."""
    if not bool(first[1:].any()):
        return None
    length, batch = first.shape
    device = first.device
    cut = first.clone()
    cut[0] = True
    columns, starts = cut.t().nonzero(as_tuple=True)  # ordered by column, then by time
    ends = torch.cat((starts[1:], starts.new_zeros(1)))
    ends[ends <= starts] = length  # the last segment of a column ends with the unroll
    lengths = ends - starts
    size_class = torch.ceil(torch.log2(lengths.float())).long()
    segment_of_step = (cut.t().flatten().cumsum(0) - 1).unflatten(0, (batch, length)).t()  # [T, B]
    place = torch.empty(len(starts), dtype=torch.long, device=device)  # flat position of a segment's first step
    stride = torch.empty_like(place)
    buckets, offset = [], 0
    for klass in size_class.unique().tolist():
        members = (size_class == klass).nonzero().squeeze(1)
        longest = int(lengths[members].max())
        steps = torch.arange(longest, device=device)[:, None]
        time = starts[members] + torch.minimum(steps, lengths[members] - 1)
        buckets.append(
            Bucket(gather=time * batch + columns[members], rows=columns[members], carried=starts[members] == 0)
        )
        place[members] = offset + torch.arange(len(members), device=device)
        stride[members] = len(members)
        offset += longest * len(members)
    age = torch.arange(length, device=device)[:, None] - starts[segment_of_step]
    scatter = place[segment_of_step] + age * stride[segment_of_step]
    return Segments(buckets, scatter.flatten())
