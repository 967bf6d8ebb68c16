"""The engine on a real Ray while its processes are killed or stopped: order, versions and parameters stay true."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import ray
from prefrontal.actors.settings import ActorsConfig
from prefrontal.launch.config import LearnerConfig, RunConfig, TrainConfig
from prefrontal.launch.engines.distributed import RayEngine
from prefrontal.launch.engines.learner_process import LearnerProcess
from prefrontal.launch.engines.protocol import LearnerFailedError, LearnerReplaced
from prefrontal.learner.algorithm import AlgorithmConfig
from prefrontal.learner.remote import PREFETCH
from prefrontal.models.agent import ModelConfig
from processes import processes

ACTORS = 2
IN_FLIGHT = 2


@pytest.fixture
def engine_of(ray_session, tmp_path):
    engines = []

    def make(algo=None, learner=None, checkpoint=None):
        config = TrainConfig(
            task={"name": "two_step", "trials": 4},
            run=RunConfig(env_steps=10**9),
            model=ModelConfig(hidden_sizes=(4,)),
            algo=AlgorithmConfig(**{"unroll_length": 4, "batch_unrolls": 2} | (algo or {})),
            actors=ActorsConfig(num=ACTORS, envs=2, cpus=0.5, in_flight=IN_FLIGHT, backoff_s=0.05),
            learner=LearnerConfig(**learner or {}),
        )
        engines.append(RayEngine(config, tmp_path, checkpoint, lambda: False))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def steps(engine, count):
    """So many updates, those before and after another learner's beginning told apart."""
    updates, replaced = [], 0
    while len(updates) < count:
        try:
            updates.append(engine.step())
        except LearnerReplaced:
            replaced += 1
    return updates, replaced


A2C = {"name": "a2c", "returns": "gae", "synchronous": True}
GRADIENTS = {**A2C, "gradients": "actors"}


@pytest.mark.parametrize(
    ("algo", "count"),
    [({"broadcast_every": 2}, 600), (A2C, 150), (GRADIENTS, 150)],
    ids=["every second", "a2c", "gradients from the actors"],
)
def test_versions_stay_true_while_an_actor_and_the_learner_are_killed(engine_of, algo, count):
    engine = engine_of(algo)
    every = algo.get("broadcast_every", 1)
    first, _ = steps(engine, count // 3)
    assert engine.parameters().version >= len(first)  # more may be given
    os.kill(ray.get(engine._pool.handles()[0].ready.remote())[0], signal.SIGKILL)
    second, _ = steps(engine, count // 3)
    engine._checkpoints.save(engine.checkpoint({}))
    saved = engine._checkpoints.newest()[0].scalars["updates"]
    assert saved >= len(first) + len(second)
    os.kill(processes("RemoteLearner")[-1], signal.SIGKILL)
    third, replaced = steps(engine, count // 3)
    assert replaced == 1
    assert engine.counters().restarts == engine.counters().learner_restarts == 1
    versions = [report.params_version for update in first + second + third for report in update.reports]
    assert min(versions) >= 0, "an actor played what nobody had published"
    # Published are every so-maniest update, and what a learner begins with.
    assert {version for version in versions if version % every} <= {saved}
    # At most so many unrolls are on their way: those that actors play or that wait, and those of the updates given.
    # Each update takes two, so by Little's law they wait for half as many updates on average, whichever actor is slow.
    on_their_way = ACTORS * IN_FLIGHT + 2 * PREFETCH
    assert np.mean([update.metrics["learner/lag_mean"] for update in first]) <= on_their_way / 2 + every
    # Nor are the newest parameters learnt from older than what was on its way allows, beside what the old learner
    # had still answered.
    newest = max(report.params_version for update in third for report in update.reports)
    assert saved + len(third) - PREFETCH - on_their_way / 2 - 1 - every <= newest <= saved + len(third)
    if algo.get("synchronous"):
        # The parameters are those of their label: on policy, every importance ratio is 1.
        assert {update.metrics["learner/lag_max"] for update in first + second + third} == {0.0}
        assert all(abs(update.metrics["learner/rho"] - 1) < 1e-5 for update in first + second + third)


def steps_until_replaced(engine):
    while True:
        engine.step()


def test_a_learner_that_hangs_is_replaced_and_its_replacement_too(engine_of, monkeypatch):
    engine = engine_of(learner={"timeout_s": 20.0, "max_restarts": 2})
    steps(engine, 5)
    begin, struck = LearnerProcess.begin, []

    def dies_once(self, *arguments):
        if not struck:
            struck.append(self)
            ray.kill(self._handle)
        return begin(self, *arguments)

    monkeypatch.setattr(LearnerProcess, "begin", dies_once)
    os.kill(processes("RemoteLearner")[-1], signal.SIGSTOP)
    with pytest.raises(LearnerReplaced) as replaced:
        steps_until_replaced(engine)
    assert r"hangs: no update was made within 20 s (learner.timeout_s)" in str(replaced.value.__cause__)
    assert engine.counters().learner_restarts == 2
    steps(engine, 5)
    os.kill(processes("RemoteLearner")[-1], signal.SIGKILL)
    with pytest.raises(LearnerFailedError, match=r"learner\.max_restarts"):
        steps_until_replaced(engine)


def test_gradients_over_ray_repeat_bit_for_bit_and_resume_exactly(engine_of):
    """Twice the same run, and N + resume + N against 2 N, each in processes of its own."""
    whole = engine_of(GRADIENTS)
    steps(whole, 3)
    half = whole.checkpoint({})
    steps(whole, 3)
    for again, missing in ((engine_of(GRADIENTS), 6), (engine_of(GRADIENTS, checkpoint=half), 3)):
        steps(again, missing)
        assert again.parameters().version == whole.parameters().version == 6
        assert np.array_equal(again.parameters().vector, whole.parameters().vector)
