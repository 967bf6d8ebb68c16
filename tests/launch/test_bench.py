"""The benchmark: what it says of several measurements, in which order it takes them, and whom it races against."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from prefrontal.actors.settings import ActorsConfig
from prefrontal.launch.bench import jax_baseline
from prefrontal.launch.bench.measurements import Measurement, by_gradients, measured
from prefrontal.launch.bench.rate import Rate, row_of
from prefrontal.launch.config import TrainConfig
from prefrontal.learner.losses import actor_critic_loss
from prefrontal.models.agent import ModelConfig
from prefrontal.models.policy import discrete, make_policy
from program import call

TWO_STEP = {"name": "two_step"}


def rate(wall, cpu, name="all"):
    return Rate(name, wall, cpu, memory_mb=1.0, detail="")


def test_a_row_is_the_median_and_the_extremes():
    row = row_of([rate(30.0, 3.0), rate(10.0, 9.0), rate(20.0, 6.0)])
    assert (row.steps_per_second, row.steps_per_second_range) == (20.0, (10.0, 30.0))
    assert (row.steps_per_cpu_second, row.steps_per_cpu_second_range) == (6.0, (3.0, 9.0))
    assert row.device_memory_mb is None


def test_rows_are_measured_in_turn():
    order = []

    def named(name):
        def run(seconds):
            order.append((name, seconds))
            return rate(len(order), 1.0, name), {"turn": len(order)}

        return Measurement(name, run)

    rows, splits = measured([named("a"), named("b")], seconds=2.0, repeats=2)
    assert order == [("a", 2.0), ("b", 2.0), ("a", 2.0), ("b", 2.0)]
    assert [row.steps_per_second_range for row in rows] == [(1.0, 3.0), (2.0, 4.0)]
    assert splits == {"a": {"turn": 3}, "b": {"turn": 4}}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (TrainConfig(task={"name": "bandit"}), "task=two_step"),
        (TrainConfig(task=TWO_STEP, model=ModelConfig(core="gru")), "one plain LSTM"),
        (TrainConfig(task={**TWO_STEP, "trials": 50}), "one unroll long"),
        (TrainConfig(task=TWO_STEP), None),
    ],
)
def test_the_race_is_run_where_it_is_fair(monkeypatch, config, reason):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    said = jax_baseline.why_not(config)
    assert said is None if reason is None else reason in said
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install jax" in jax_baseline.why_not(config)


def test_gradients_by_actors_are_measured_where_they_can_be():
    algo = by_gradients(TrainConfig(task=TWO_STEP)).algo
    assert (algo.name, algo.gradients, algo.synchronous) == ("a2c", "actors", True)
    assert by_gradients(TrainConfig(task=TWO_STEP, actors=ActorsConfig(device="learner"))) is None


def test_the_table_of_a_small_machine(tmp_path):
    """Through the program without Ray and JAX: a row for each part, within 120 columns, the same in the file."""
    small = ["actors.envs=4", "algo.unroll_length=10", "bench.seconds=0.05", "bench.repeats=2"]
    output = call(tmp_path, "bench", *small, "bench.actor_counts=[]", "bench.jax=false")
    assert max(len(line) for line in output.splitlines() if "│" in line) <= 120
    result = json.loads((tmp_path / "bench.json").read_text())
    names = [row["name"] for row in result["rates"]]
    parts = [
        "environment alone",
        "acting alone",
        "learner alone",
        "learner alone",
        "IMPALA in one",
        "A2C, actors' grad",
    ]
    assert all(name.startswith(part) for name, part in zip(names, parts, strict=True))
    for row in result["rates"]:
        low, high = row["steps_per_cpu_second_range"]
        assert 0 < low <= row["steps_per_cpu_second"] <= high


def test_the_other_program_learns_from_the_same_loss():
    jax_program = pytest.importorskip("prefrontal.launch.bench.jax_program", reason="JAX is not installed")
    rng = np.random.default_rng(0)
    length, count, discount, value_weight, entropy_weight = 7, 3, 0.9, 0.05, 0.02
    outputs = rng.standard_normal((length, count, 3)).astype(np.float32)
    action = rng.integers(2, size=(length, count))
    reward = rng.integers(2, size=(length, count)).astype(np.float32)
    program = jax_program.Program(
        count, length, 4, True, 0.0, discount, 0.01, entropy_weight, value_weight, common=0.8, reward=0.9, reversal=0.0
    )
    target = np.zeros_like(reward)
    for t in reversed(range(length)):
        target[t] = reward[t] + discount * (target[t + 1] if t + 1 < length else 0)
    logits, value, returns = torch.from_numpy(outputs[..., :2]), torch.from_numpy(outputs[..., 2]), torch.tensor(target)
    taken = make_policy(discrete(2), 1).log_prob_and_entropy(logits, torch.from_numpy(action))
    ours = actor_critic_loss(*taken, returns - value, value, returns, value_weight, entropy_weight).total
    # Means of length x count float32 numbers of the size of a return.
    bound = 8 * np.finfo(np.float32).eps * length * count * max(1.0, float(np.square(target).max()))
    assert abs(float(jax_program.loss(program, outputs, action, reward)) - float(ours)) < bound
