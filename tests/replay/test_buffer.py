"""The replay buffer: what it keeps, how it draws, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.replay.buffer import ReplayBuffer
from scipy.stats import chisquare


def filled(capacity, items):
    buffer = ReplayBuffer(capacity)
    for item in items:
        buffer.add(item)
    return buffer


def test_it_keeps_the_newest():
    buffer = ReplayBuffer(3)
    lengths = []
    for item in range(7):
        buffer.add(item)
        lengths.append(len(buffer))
    assert lengths == [1, 2, 3, 3, 3, 3, 3]
    assert set(buffer.sample(500, np.random.default_rng(0))) == {4, 5, 6}


def test_a_buffer_that_is_not_full_draws_only_what_it_holds():
    assert set(filled(100, "ab").sample(200, np.random.default_rng(0))) == {"a", "b"}


def test_draws_are_uniform_wherever_the_ring_stands():
    for added in (8, 11, 16):
        drawn = np.array(filled(8, range(added)).sample(8000, np.random.default_rng(added)))
        counts = np.bincount(drawn - (added - 8), minlength=8)
        assert chisquare(counts).pvalue > 1e-3


def test_draws_repeat_with_the_generator_and_leave_the_buffer_alone():
    buffer = filled(5, range(5))
    first = buffer.sample(50, np.random.default_rng(3))
    assert buffer.sample(50, np.random.default_rng(3)) == first
    assert buffer.sample(50, np.random.default_rng(4)) != first
    assert len(buffer) == 5
    assert buffer.sample(0, np.random.default_rng(0)) == []


def test_items_are_handed_out_themselves_not_copies():
    item = {"reward": np.zeros(3)}
    assert filled(1, [item]).sample(1, np.random.default_rng(0))[0] is item


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="capacity=0"):
        ReplayBuffer(0)
    with pytest.raises(ValueError, match="the replay buffer is empty"):
        ReplayBuffer(3).sample(1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="count=-1"):
        filled(3, "a").sample(-1, np.random.default_rng(0))
