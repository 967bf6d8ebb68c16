"""The learner's process without Ray: calls that start in any order, and what their answers say."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from prefrontal.learner import remote
from prefrontal.learner.learner import NonFiniteLossError, Progress
from prefrontal.learner.turns import Turns
from prefrontal.models.flat import Published


@dataclass
class CountingLearner:
    """A learner whose parameters are its number of updates."""

    broadcast_every: int
    progress: Progress = field(default_factory=Progress)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    staged: list = field(default_factory=list)
    updated: list = field(default_factory=list)

    @property
    def config(self):
        return SimpleNamespace(broadcast_every=self.broadcast_every)

    def stage(self, trajectories):
        (trajectory,) = trajectories
        if trajectory == "torn":
            raise ValueError("cannot be joined")
        self.staged.append(trajectory)
        return trajectory

    def update(self, batch):
        if batch == "nan":
            raise NonFiniteLossError("not finite")
        self.updated.append(batch)
        self.progress = Progress(self.progress.updates + 1, 0)
        return {"batch": batch}

    def published(self):
        return Published(self.progress.updates, np.full(3, self.progress.updates, np.float32), 0)


@pytest.fixture
def learner_of(monkeypatch):
    def make(broadcast_every=1):
        monkeypatch.setattr(remote, "Learner", lambda *_: CountingLearner(broadcast_every))
        made = remote.RemoteLearner(None, None, 0, 0, "cpu", False)
        return made, made._learner

    return make


@pytest.mark.parametrize("broadcast_every", [1, 2, 10])
def test_updates_keep_their_order_whoever_starts_first(learner_of, broadcast_every):
    """10,000 calls in pairs of which the second starts first, as Ray may do it; every answer tells its own version."""
    learner, counting = learner_of(broadcast_every)
    count = 10_000
    with ThreadPoolExecutor(remote.PREFETCH) as pool:
        answers = {}
        for turn in range(0, count, 2):
            late = pool.submit(learner.update, turn + 1, turn + 1)
            answers[turn], answers[turn + 1] = learner.update(turn, turn), late.result()
    assert counting.updated == counting.staged == list(range(count))
    for turn, (answer, published) in answers.items():
        assert answer.metrics == {"batch": turn}
        assert answer.version == turn + 1
        assert answer.published == (published is not None) == (answer.version % broadcast_every == 0)
        if published is not None:
            assert published.version == answer.version
            assert (published.vector == answer.version).all()


def test_the_next_batch_is_staged_beside_an_update(learner_of, monkeypatch):
    learner, counting = learner_of()
    going_on = threading.Event()
    plain = counting.update

    def slow(batch):
        assert going_on.wait(60)
        return plain(batch)

    monkeypatch.setattr(counting, "update", slow)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(learner.update, turn, turn) for turn in range(2)]
        deadline = time.monotonic() + 60
        while counting.staged != [0, 1]:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert counting.updated == []
        going_on.set()
        assert [call.result()[0].version for call in calls] == [1, 2]


@pytest.mark.parametrize(("batch", "error"), [("torn", ValueError), ("nan", NonFiniteLossError)])
def test_a_failed_update_does_not_hold_up_the_next(learner_of, batch, error):
    learner, _ = learner_of()
    with pytest.raises(error):
        learner.update(0, batch)
    assert learner.update(1, "good")[0].version == 1


def test_a_call_that_never_began_is_skipped(learner_of):
    learner, _ = learner_of()
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(learner.update, 1, "second")
        time.sleep(0.05)
        assert not waiting.done()
        learner.skip(0)
        assert waiting.result(60)[0].version == 1


def test_turns_pass_in_order_of_their_numbers():
    turns, passed = Turns(), []

    def take(number):
        with turns.turn(number):
            passed.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in np.random.default_rng(0).permutation(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert passed == list(range(50))
