"""Supervision on a real Ray: killed processes, raising, hanging and failing environments, the budget, the bound."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest
import ray
from prefrontal.actors.pool import ActorPool
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.actors.settings import ActorsConfig, ActorsFailedError
from prefrontal.conf.checking import checked
from prefrontal.models.agent import ModelConfig
from prefrontal.models.flat import Published, to_vector

MODEL = ModelConfig(hidden_sizes=(8,))


def specs(count=1, **options):
    return [
        WorkerSpec("faulty:TASK", options, MODEL, num_envs=4, unroll_length=10, seed=0, actor_id=i)
        for i in range(count)
    ]


def config(**changes):
    return ActorsConfig(**({"timeout_s": 30.0, "start_timeout_s": 240.0, "backoff_s": 0.05, "cpus": 0.5} | changes))


@pytest.fixture
def pool_of(ray_session):
    pools = []

    def make(pool_specs, pool_config):
        pool = ActorPool(pool_specs, pool_config)
        pools.append(pool)
        agent = RolloutWorker(replace(pool_specs[0], task_options={})).agent
        pool.broadcast(7, Published(7, to_vector(agent.parameters()), 0))
        pool.begin()
        return pool

    yield make
    for pool in pools:
        pool.close()


def collect(pool, count, feed=True, limit_s=240):
    """The next `count` unrolls. The limit is there for a pool that stands still, not for a slow machine."""
    finished, deadline = [], time.monotonic() + limit_s
    while len(finished) < count:
        assert time.monotonic() < deadline, f"only {len(finished)} of {count} unrolls; last: {pool.last_failure}"
        ready, _ = ray.wait(pool.waitables(), timeout=0.1) if pool.waitables() else ([], [])
        for unroll in pool.collect(ready):
            finished.append(unroll)
            if feed:
                pool.feed(unroll)
        if not ready:
            time.sleep(0.01)
    return finished


def test_unrolls_arrive_with_the_broadcast_parameters_and_a_killed_process_is_replaced(pool_of):
    pool = pool_of(specs(2), config())
    finished = collect(pool, 1)
    while {unroll.actor_id for unroll in finished} != {0, 1}:
        finished += collect(pool, 1)
    assert {unroll.report.params_version for unroll in finished} == {7}
    trajectory = ray.get(finished[-1].result)
    assert trajectory.obs.shape == (11, 4, 1)
    assert pool.restarts == 0
    victim, _ = ray.get(pool.handles()[0].ready.remote())
    os.kill(victim, signal.SIGKILL)
    while not any(unroll.generation == 1 and unroll.actor_id == 0 for unroll in collect(pool, 4)):
        assert pool.restarts <= 1
    assert pool.restarts == 1
    assert ray.get(pool.handles()[0].ready.remote())[0] != victim


def test_calls_in_flight_are_bounded(pool_of):
    """An actor whose unrolls nobody takes plays `in_flight` of them and stops."""
    pool = pool_of(specs(), config(in_flight=3))
    finished = collect(pool, 3, feed=False)
    assert pool.waitables() == []
    time.sleep(0.3)
    assert pool.delivered == 3
    pool.feed(finished[0])
    collect(pool, 1, feed=False)
    assert pool.waitables() == []


@pytest.mark.timeout(900)  # six processes start one after the other, each of which may take a minute under load
def test_a_fault_that_happens_once_costs_one_restart(pool_of, tmp_path):
    """One after the other: each ends an actor, and the one in its place meets the next."""
    faults = ["constructor", "raise", "nan", "shape", "die"]
    pool = pool_of(specs(fault="+".join(faults), marker=str(tmp_path / "struck"), at_step=15), config())
    finished = collect(pool, 1)
    while finished[-1].generation < len(faults):
        finished += collect(pool, 1)
    collect(pool, 6)
    # Those that raise have answered before; whose process dies may take an answer on its way along.
    assert {unroll.generation for unroll in finished} - {faults.index("die")} == {1, 2, 3, len(faults)}
    assert pool.restarts == len(faults)


def test_a_hanging_environment_is_replaced(pool_of, tmp_path):
    options = {"fault": "hang", "marker": str(tmp_path / "struck"), "at_step": 15}
    pool = pool_of(specs(**options), config(timeout_s=10.0))
    collect(pool, 6)
    assert pool.restarts == 1
    assert "hangs: no unroll within 10 s" in pool.last_failure


def test_an_actor_on_a_node_that_does_not_answer_costs_nothing(pool_of, tmp_path, monkeypatch):
    silent = [{**node, "NodeManagerPort": 1} for node in ray.nodes()]
    monkeypatch.setattr(ray, "nodes", lambda: silent)
    options = {"fault": "hang", "marker": str(tmp_path / "struck"), "at_step": 15}
    pool = pool_of(specs(**options), config(timeout_s=10.0, max_restarts=0))
    assert collect(pool, 6)[-1].generation == 1
    assert pool.restarts == 0


def test_a_spent_budget_ends_with_the_environments_own_traceback(pool_of):
    pool = pool_of(specs(fault="raise", at_step=15), config(max_restarts=1))
    with pytest.raises(ActorsFailedError, match=r"actors\.max_restarts") as caught:
        collect(pool, 50)
    assert pool.restarts == 1
    last = str(caught.value).strip().splitlines()[-1]
    assert last == "ValueError: the maze has no exit"


def test_a_constructor_that_always_fails_ends_the_same_way(pool_of):
    pool = pool_of(specs(fault="constructor"), config(max_restarts=0))
    with pytest.raises(ActorsFailedError, match="the arena could not be built"):
        collect(pool, 1)


def test_settings_are_checked():
    for bad in ({"num": 0}, {"envs": 0}, {"timeout_s": 0.0}, {"max_restarts": -1}):
        with pytest.raises(ValueError, match=rf"actors\.{next(iter(bad))}="):
            checked(ActorsConfig, bad, "actors")
