"""The episodic memory against a dictionary in plain Python, and its place in acting, learning and resuming."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from numerics import IDENTITY, precision, replay_bound, replay_error, replayed
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.conf.checking import checked
from prefrontal.learner.batch import make_batch
from prefrontal.models.agent import ModelConfig, Seen
from prefrontal.models.dnd import Dictionary, MemoryConfig
from prefrontal.models.flat import to_vector
from prefrontal.models.recall import inverse_kernel_mean

CPU = torch.device("cpu")
KEY, VALUE = 3, 2


class PlainDictionary:
    """One life, written from the definition with lists and loops."""

    def __init__(self, config):
        self.config, self.slots, self.inserted, self.clock = config, [None] * config.capacity, 0, 0

    def similarity(self, key, query):
        pairs = list(zip(key, query, strict=True))
        if self.config.kernel == "l1":
            return -sum(abs(a - b) for a, b in pairs)
        if self.config.kernel == "l2":
            return -math.sqrt(sum((a - b) ** 2 for a, b in pairs))
        norms = math.hypot(*key) * math.hypot(*query)
        return sum(a * b for a, b in pairs) / norms if norms else 0.0

    def ranked(self, query):
        sign = -1 if self.config.ties == "newest" else 1
        entries = [(place, entry) for place, entry in enumerate(self.slots) if entry is not None]
        rank = lambda item: (-round(self.similarity(item[1]["key"], query), 5), sign * item[1]["time"])  # noqa: E731
        return sorted(entries, key=rank)

    def write(self, key, value, tag):
        ranked = self.ranked(key)
        entry = {"key": key, "value": value, "tag": tag, "time": self.clock}
        self.clock += 1
        limit = self.config.replace_above
        if limit is not None and ranked and self.similarity(ranked[0][1]["key"], key) > limit:
            self.slots[ranked[0][0]] = entry
        else:
            self.slots[self.inserted % self.config.capacity] = entry
            self.inserted += 1

    def read(self, query):
        found = [entry for _, entry in self.ranked(query)[: self.config.neighbours]]
        limit = self.config.threshold
        return [e if limit is None or self.similarity(e["key"], query) >= limit else None for e in found]


def random_config(rng):
    kernel = str(rng.choice(["cosine", "l1", "l2"]))
    limits = [None, 0.9, 0.3] if kernel == "cosine" else [None, -0.5, -1.7]
    capacity = int(rng.integers(1, 9))
    return MemoryConfig(
        capacity=capacity,
        kernel=kernel,
        neighbours=int(rng.integers(1, min(capacity, 3) + 1)),
        ties=str(rng.choice(["newest", "oldest"])),
        threshold=limits[rng.integers(3)],
        replace_above=limits[rng.integers(3)],
    )


@pytest.mark.parametrize("block", range(10))
def test_against_a_dictionary_in_plain_python(block):
    """1,000 random sequences of writes, reads and resets on a small grid of keys: ties and overwrites are common."""
    for seed in range(100 * block, 100 * block + 100):
        rng = np.random.default_rng(seed)
        config, lives = random_config(rng), int(rng.integers(1, 5))
        memory = Dictionary(lives, config, KEY, VALUE)
        plain = [PlainDictionary(config) for _ in range(lives)]
        for step in range(30):
            clear = rng.random(lives) < 0.04
            memory.clear(clear)
            plain = [PlainDictionary(config) if gone else life for gone, life in zip(clear, plain, strict=True)]
            query = rng.integers(-1, 2, size=(lives, KEY)).astype(np.float32)
            ask = rng.random(lives) < 0.8
            got = memory.read(query, ask)
            for life in range(lives):
                expected = plain[life].read(query[life].tolist()) if ask[life] else []
                for place in range(config.neighbours):
                    entry = expected[place] if place < len(expected) else None
                    assert bool(got.found[life, place]) == (entry is not None), (seed, step)
                    assert int(got.tags[life, place]) == (entry["tag"] if entry else -1), (seed, step, config)
                    value = entry["value"] if entry else [0.0] * VALUE
                    assert got.values[life, place].tolist() == pytest.approx(value)
            key = rng.integers(-1, 2, size=(lives, KEY)).astype(np.float32)
            value = rng.standard_normal((lives, VALUE)).astype(np.float32)
            store = rng.random(lives) < 0.7
            tag = np.full(lives, step, dtype=np.int32)
            memory.write(key, value, tag, tag, store)
            for life in np.flatnonzero(store):
                plain[life].write(key[life].tolist(), value[life].tolist(), step)


def test_room_grows_with_the_entries_only():
    memory = Dictionary(2, MemoryConfig(capacity=100_000), KEY, VALUE)
    small = memory.bytes_per_life()
    rng, everywhere = np.random.default_rng(0), np.ones(2, dtype=bool)
    for step in range(100):
        key, value = rng.random((2, KEY), dtype=np.float32), rng.random((2, VALUE), dtype=np.float32)
        memory.write(key, value, np.full(2, step), np.full(2, step), everywhere)
    assert small < memory.bytes_per_life() < 100 * small


def test_neighbours_are_weighted_by_the_inverse_kernel():
    values = torch.tensor([[1.0], [3.0], [100.0]]).double()
    keys, query = torch.tensor([[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]).double(), torch.zeros(2).double()
    found = torch.tensor([True, True, False])
    near, far = 1 / 1.001, 1 / 4.001
    expected = (near * 1 + far * 3) / (near + far)
    assert inverse_kernel_mean("l2", values, found, keys, query).item() == pytest.approx(expected)
    assert inverse_kernel_mean("l2", values, found & False, keys, query).item() == 0


def test_settings_that_cannot_be_are_named():
    for settings, message in (
        ({"kernel": "dot"}, "kernel=dot: one of cosine, l1, l2"),
        ({"ties": "first"}, "ties=first: one of newest, oldest"),
        ({"neighbours": 0}, "neighbours=0: a whole number, at least 1"),
        ({"neighbours": 9, "capacity": 8}, "neighbours=9 are more than the memory holds"),
        ({"key_size": 4}, "neighbours of at least 2"),
    ):
        with pytest.raises(ValueError, match=rf"model\.memory\..*{message}"):
            checked(MemoryConfig, settings, "model.memory")


# At work ---------------------------------------------------------------------------------------------------------

MEMORIES = {
    "one_neighbour": MemoryConfig(capacity=20),
    "raw_value": MemoryConfig(capacity=20, squash=False, kernel="l2", ties="oldest"),
    "learned_keys": MemoryConfig(capacity=20, neighbours=3, key_size=2, kernel="l2"),
    "off": MemoryConfig(reinstate=False),
}


def worker(memory, task="faulty:TASK", options=None, **changes):
    model = ModelConfig(core="ep_lstm", hidden_sizes=(12,), learned_initial_state=True, memory=memory)
    settings = {"num_envs": 6, "unroll_length": 30, "seed": 3, "actor_id": 0} | changes
    made = RolloutWorker(WorkerSpec(task=task, task_options=options or {}, model=model, **settings))
    size = len(to_vector(made.agent.parameters()))
    made.load(1, 0.4 * np.random.default_rng(0).standard_normal(size, dtype=np.float32))
    return made


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES.keys())
def test_replay_identity_with_a_memory(memory, dtype):
    """With resets inside the unroll; a recall that is shifted by one step breaks it."""
    with precision(dtype):
        made = worker(memory, options={"length": 9})
        resets = 0
        for _ in range(4):
            batch = make_batch([made.unroll().trajectory], [], CPU)
            resets += int(batch.first[1:].sum())
            assert replay_error(made.agent, batch) <= replay_bound(made.agent, batch)
        assert resets > 50
        if memory.reinstate:
            shifted = tuple(component.roll(1, dims=0) for component in batch.recall)
            wrong = replay_error(made.agent, dataclasses.replace(batch, recall=shifted))
            assert wrong > 10 * replay_bound(made.agent, batch)
        else:
            assert batch.recall == ()


def test_a_learned_query_is_trained_through_the_record():
    made = worker(MEMORIES["learned_keys"])
    for _ in range(2):
        batch = make_batch([made.unroll().trajectory], [], CPU)
    replayed(made.agent, batch).sum().backward()
    assert made.agent.key_encoder.weight.grad.abs().sum() > 0


def test_what_is_recalled_is_a_cell_state_of_this_life():
    """In the two-step task with contexts: what a cue recalls is the state after the trial that it names."""
    with precision(torch.float64):
        made = worker(MemoryConfig(ties="oldest"), "episodic_two_step", num_envs=3, unroll_length=100)
        played = made.unroll()
        recall, info = played.trajectory.recall[0], played.info
        batch = make_batch([played.trajectory], [], CPU)
        (recalled,) = batch.recall
        cells, state = [], batch.initial_state
        for t in range(100):
            seen = Seen(batch.obs[t], batch.prev_action[t], batch.prev_reward[t], batch.first[t], (recalled[t],))
            _, state = made.agent.act(seen, state)
            cells.append(state[1].detach().numpy())
    assert info["recalled"][50:].all()
    assert not info["recalled"][:50].any()
    assert info["hit"][50:].mean() > 0.99
    for t in range(50, 100):
        for b in range(3):
            after_outcome = info["stored_trial"][t, b] + 1
            stored = cells[after_outcome][b]  # the memory keeps float32
            np.testing.assert_allclose(recall[t, b], stored, rtol=2.0**-23, atol=IDENTITY)


def test_truncated_episodes_are_evaluated_with_what_they_recall():
    made = worker(MEMORIES["one_neighbour"], options={"length": 5, "truncate": True})
    made.unroll()
    last = made.unroll().trajectory.last
    assert last.recall[0].shape == (len(last.time), 12)
    assert (np.abs(last.recall[0]).sum(1) > 0).all()


def test_resume_continues_the_memories_and_a_replacement_starts_empty():
    """A worker that is restored goes on bit for bit; one that replaces a dead one begins new lives."""
    one, other = worker(MemoryConfig(), "barcode_bandit"), worker(MemoryConfig(), "barcode_bandit", seed=9)
    for _ in range(5):
        one.unroll()
    other.restore(*one.state())
    for _ in range(5):
        a, b = one.unroll().trajectory, other.unroll().trajectory
        for field in dataclasses.fields(a):
            x, y = getattr(a, field.name), getattr(b, field.name)
            for left, right in zip(x, y, strict=True) if isinstance(x, tuple) else [(x, y)]:
                assert np.array_equal(left, right), field.name
    replacement = worker(MemoryConfig(), "barcode_bandit", generation=1)
    assert int(replacement.memory.dictionary.writes.sum()) == 0
    assert not replacement.unroll().info["recalled"][:10].any()
