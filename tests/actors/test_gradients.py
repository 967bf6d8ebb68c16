"""Gradients that actors compute from what they kept of acting: those of the learner on the joined trajectories."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from numerics import precision
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.launch.config import ConfigError, RunConfig, TrainConfig, train_config
from prefrontal.launch.engines.serial import SerialEngine
from prefrontal.learner.algorithm import AlgorithmConfig, ScheduledConfig
from prefrontal.learner.combined import combine
from prefrontal.learner.learner import Learner, NonFiniteLossError
from prefrontal.learner.objective import Objective
from prefrontal.models.agent import ModelConfig
from prefrontal.models.dnd import MemoryConfig

CPU = torch.device("cpu")
CONFIG = AlgorithmConfig(
    name="a2c",
    returns="gae",
    synchronous=True,
    unroll_length=30,
    gradients="actors",
    entropy_weight=ScheduledConfig(0.5, 0.0),
    value_weight=0.4,
)
MODELS = {
    "lstm": ModelConfig(hidden_sizes=(12,), learned_initial_state=True),
    "gru": ModelConfig(core="gru", hidden_sizes=(12,)),
    "stacked": ModelConfig(core="stacked_lstm", hidden_sizes=(8, 6), learned_initial_state=True),
    "actor_critic": ModelConfig(core="actor_critic_lstm", hidden_sizes=(8, 6), learned_initial_state=True),
    "rnn": ModelConfig(core="rnn", hidden_sizes=(12,), learned_initial_state=True),
    "rgu": ModelConfig(core="rgu", hidden_sizes=(12,), learned_initial_state=True),
    "feed_forward": ModelConfig(core="mlp", hidden_sizes=(12, 6)),
    "encoder": ModelConfig(hidden_sizes=(12,), encoder="mlp", encoder_sizes=(7,), layer_norm=True),
    "frozen_encoder": ModelConfig(hidden_sizes=(12,), encoder="mlp", encoder_sizes=(7,), encoder_frozen=True),
    "memory": ModelConfig(
        core="ep_lstm", hidden_sizes=(12,), learned_initial_state=True, memory=MemoryConfig(neighbours=3, key_size=4)
    ),
}


def workers_and_learner(model, config=CONFIG, total=10_000, truncate=True, task="faulty:TASK", more=None):
    """Two workers of different sizes, whose episodes end and are cut off inside an unroll."""
    objective = Objective(config, total)
    options = {"length": 7, "truncate": truncate} | (more or {})
    workers = [
        RolloutWorker(WorkerSpec(task, options, model, envs, 30, 0, actor_id, objective=objective))
        for actor_id, envs in enumerate((4, 6))
    ]
    learner = Learner(workers[0].agent.spec, config, total, seed=3, device="cpu")
    with torch.no_grad():
        for parameter in learner.agent.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter, dtype=torch.float32))
            parameter.copy_(parameter.float())  # what a broadcast in float32 carries exactly
    return workers, learner


@pytest.mark.parametrize("actions", ["box", "choices"])
def test_the_same_of_other_kinds_of_actions(actions):
    test_the_mean_of_the_actors_gradients_is_the_gradient_of_the_joined_batch(
        "lstm", "gae", "continuous:TASK", {"actions": actions}
    )


@pytest.mark.parametrize(
    ("name", "returns"), [*((name, "gae") for name in MODELS), ("lstm", "n_step"), ("lstm", "td0")]
)
def test_the_mean_of_the_actors_gradients_is_the_gradient_of_the_joined_batch(
    name, returns, task="faulty:TASK", options=None
):
    """In float64, up to the float32 in which a gradient travels: 2^-24 of each of its entries."""
    config = dataclasses.replace(CONFIG, returns=returns)
    with precision(torch.float64):
        torch.manual_seed(0)
        workers, learner = workers_and_learner(MODELS[name], config, task=task, more=options)
        for worker in workers:
            worker.load(*learner.published())
            worker.unroll()
        unrolls = [worker.unroll() for worker in workers]
        assert all(unroll.trajectory.last is not None for unroll in unrolls)
        metrics = learner.update(learner.stage([unroll.trajectory for unroll in unrolls]))
        trained = [parameter for parameter in learner.agent.parameters() if parameter.requires_grad]
        expected = torch.cat([parameter.grad.flatten() for parameter in trained])
        found = combine([unroll.result for unroll in unrolls], CPU)
    # One rounding to float32 of each part, of their weighted terms and of the sum.
    parts = np.abs([0.4 * unrolls[0].gradient.vector, 0.6 * unrolls[1].gradient.vector]).sum(0)
    bound = 4 * 2.0**-24 * parts + 1e-12
    assert (np.abs(found.gradient.numpy() - expected.numpy()) <= bound).all()
    assert expected.abs().max() > 1e-3
    for name in ("loss/total", "loss/policy", "loss/value", "loss/entropy", "learner/value"):
        assert found.metrics[name] == pytest.approx(metrics[name], abs=1e-10), name


def test_an_update_from_gradients_counts_clips_and_steps_as_one_from_trajectories():
    config = dataclasses.replace(CONFIG, max_grad_norm=0.01)
    found = []
    for pick in (lambda unroll: unroll.trajectory, lambda unroll: unroll.gradient):
        with precision(torch.float64):
            torch.manual_seed(0)
            workers, learner = workers_and_learner(MODELS["lstm"], config)
            for worker in workers:
                worker.load(*learner.published())
            metrics = learner.update(learner.stage([pick(worker.unroll()) for worker in workers]))
            found.append((learner.published(), metrics))
    (one, by_learner), (other, by_actors) = found
    assert (one.version, one.env_steps) == (other.version, other.env_steps) == (1, 300)
    assert by_actors.keys() == by_learner.keys()
    for name in ("learner/grad_norm", "learner/learning_rate", "learner/entropy_weight", "learner/lag_max"):
        assert by_actors[name] == pytest.approx(by_learner[name], rel=1e-6), name
    assert by_learner["learner/grad_norm"] > config.max_grad_norm
    assert not np.array_equal(one.vector, Learner(workers[0].agent.spec, config, 1, seed=3).parameters_vector())
    # RMSprop's first step is lr g / (sqrt(0.01 g²) + eps), whose slope in g is at most lr / eps, here 700.
    grad = np.abs(workers[0].unroll().gradient.vector).max()
    assert np.abs(one.vector - other.vector).max() <= 700 * 4 * 2.0**-24 * max(grad, config.max_grad_norm)


def test_schedules_go_by_the_steps_that_the_learner_had_trained_on():
    (worker, _), learner = workers_and_learner(MODELS["lstm"], total=1000)
    for env_steps, weight in ((0, 0.5), (500, 0.25), (2000, 0.0)):
        worker.load(1, learner.parameters_vector(), env_steps)
        told = worker.unroll().gradient.metrics
        expected = told["loss/policy"] + 0.4 * told["loss/value"] - weight * told["loss/entropy"]
        assert told["loss/total"] == pytest.approx(expected, rel=1e-5)


def test_a_gradient_that_is_not_finite_changes_nothing():
    workers, learner = workers_and_learner(MODELS["lstm"])
    for worker in workers:
        worker.load(*learner.published())
    gradients = [worker.unroll().gradient for worker in workers]
    gradients[1].vector[5] = np.nan
    before = learner.published()
    with pytest.raises(NonFiniteLossError, match="gradient norm nan"):
        learner.update(learner.stage(gradients))
    after = learner.published()
    assert np.array_equal(before.vector, after.vector)
    assert before[::2] == after[::2]


def test_gradients_of_different_networks_do_not_add_up():
    gradients = [workers_and_learner(MODELS[name])[0][0].unroll().gradient for name in ("lstm", "gru")]
    with pytest.raises(ValueError, match="must be of one network"):
        combine(gradients, CPU)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["algo=impala"], "gradients=actors needs algo=a2c or algo=a3c"),
        (["algo=a2c", "algo.reward_prediction=0.1"], "algo.reward_prediction"),
        (["algo=a3c", "actors.lag_updates=1"], "actors.lag_updates=0"),
        (["algo=a2c", "learner.bf16=true"], "learner.bf16=false"),
        (["algo=a2c", "task=psychlab_harlow", "cluster=none", "actors.device=learner"], "actors.device=host"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with initialize_config_module("prefrontal.conf", version_base=None), pytest.raises(ConfigError, match=message):
        train_config(compose("train", [*given, "algo.gradients=actors"]))


def config_of(env_steps=10**6, **changes):
    return TrainConfig(
        task={"name": "two_step"},
        cluster="none",
        run=RunConfig(env_steps=env_steps),
        model=ModelConfig(hidden_sizes=(12,)),
        algo=dataclasses.replace(CONFIG, **changes),
    )


@pytest.mark.parametrize("broadcast_every", [1, 3])
def test_a_run_goes_on_bit_for_bit(tmp_path, broadcast_every):
    """N updates, a checkpoint and N more against 2 N; the same run twice."""
    config = config_of(broadcast_every=broadcast_every)
    whole, again = SerialEngine(config, tmp_path, None), SerialEngine(config, tmp_path, None)
    for _ in range(3):
        whole.step()
        again.step()
    resumed = SerialEngine(config, tmp_path, again.checkpoint({}))
    for _ in range(3):
        expected, found = whole.step(), resumed.step()
        timeless = [name for name in expected.metrics if not name.endswith("_s")]
        assert [expected.metrics[name] for name in timeless] == [found.metrics[name] for name in timeless]
    assert np.array_equal(whole.parameters().vector, resumed.parameters().vector)
    assert whole.parameters().version == 6


def test_a_result_is_small():
    """As many numbers as there are parameters, whatever the unroll."""
    (worker, _), learner = workers_and_learner(MODELS["lstm"])
    assert worker.unroll().result.vector.shape == learner.parameters_vector().shape
