"""Vectors and several choices as actions, from the policy through the environment to the learner and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from continuous import ContinuousEnv, ContinuousSettings
from numerics import precision, replay_bound, replay_error
from prefrontal.actors.evaluation import evaluate
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.actors.video import film_episode
from prefrontal.envs.random_agent import RandomAgent
from prefrontal.envs.registry import make_single
from prefrontal.envs.trials import simulate
from prefrontal.launch.run.film import column_names, with_thoughts
from prefrontal.learner import snapshot
from prefrontal.learner.algorithm import AlgorithmConfig, ScheduledConfig
from prefrontal.learner.batch import make_batch
from prefrontal.learner.learner import Learner
from prefrontal.learner.reward_prediction import RewardPrediction
from prefrontal.models.agent import ModelConfig
from prefrontal.models.dnd import MemoryConfig
from prefrontal.models.flat import to_vector
from prefrontal.replay.trajectory import NO_ACTION

CPU = torch.device("cpu")
kinds = pytest.mark.parametrize("actions", ["box", "choices"])


def worker_of(actions, model=None, length=7, truncate=False, bound=1.0, **changes):
    settings = {"num_envs": 6, "unroll_length": 30, "seed": 3, "actor_id": 0} | changes
    options = {"actions": actions, "length": length, "truncate": truncate, "bound": bound}
    return RolloutWorker(WorkerSpec("continuous:TASK", options, model or ModelConfig(hidden_sizes=(12,)), **settings))


def lively(worker, seed=0):
    size = len(to_vector(worker.agent.parameters()))
    worker.load(1, 0.4 * np.random.default_rng(seed).standard_normal(size, dtype=np.float32))
    return worker


@kinds
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(),
        ModelConfig(core="gru", learned_initial_state=True, reward_by_action=True),
        ModelConfig(core="rgu"),
        ModelConfig(core="mlp", hidden_sizes=(16, 16)),
        ModelConfig(core="ep_lstm", memory=MemoryConfig(capacity=20)),
    ],
    ids=["lstm", "gru", "rgu", "mlp", "ep_lstm"],
)
def test_replay_identity(actions, model, dtype):
    """The learner, with the actor's parameters, finds the actor's log-probabilities, resets inside the unroll."""
    with precision(dtype):
        worker = lively(worker_of(actions, model, truncate=True))
        for _ in range(3):
            batch = make_batch([worker.unroll().trajectory], [], CPU)
            assert batch.first[1:].any()
            assert replay_error(worker.agent, batch) <= replay_bound(worker.agent, batch)
        shifted = dataclasses.replace(batch, prev_action=batch.prev_action.roll(1, dims=0))
        assert replay_error(worker.agent, shifted) > 10 * replay_bound(worker.agent, batch) or not model.see_action


@kinds
def test_what_was_drawn_is_recorded_and_fed_back_and_what_is_played_lies_in_the_space(actions):
    worker = lively(worker_of(actions))
    played = worker.unroll().trajectory
    shape = (6,) if actions == "box" else (3,)
    assert played.action.shape == (30, 6, *shape)
    assert played.prev_action.shape == (31, 6, *shape)
    assert played.action.dtype == (np.float32 if actions == "box" else np.int64)
    first = played.first[1:]
    nothing = 0 if actions == "box" else NO_ACTION
    assert np.array_equal(played.prev_action[1:], np.where(first[..., None], nothing, played.action))
    last = played.action[-1]
    if actions == "box":
        assert (np.abs(last) > 1).any(), "drawn outside of the bounds"
        last = np.clip(last, -1, 1).reshape(6, 3, 2)
        assert (np.abs(played.action) > 1).any()
    assert np.array_equal(worker.env.played, last)


@kinds
def test_state_and_restore_continue_bit_for_bit(actions):
    one, other = lively(worker_of(actions)), lively(worker_of(actions, seed=77))
    one.unroll()
    other.restore(*one.state())
    a, b = one.unroll().trajectory, other.unroll().trajectory
    for field in dataclasses.fields(a):
        if isinstance(x := getattr(a, field.name), np.ndarray):
            assert np.array_equal(x, getattr(b, field.name)), field.name


@kinds
def test_films_evaluations_and_checkpoints(actions):
    worker = lively(worker_of(actions))
    table = evaluate(worker, 20, 0.9).trials()
    assert set(table) >= {"reward", "value", "rpe"}
    film = film_episode(lively(worker_of(actions, num_envs=1, unroll_length=1)))
    columns = 6 if actions == "box" else 9
    assert film.policy.shape == (len(film.frames), columns)
    assert ((film.policy >= 0) & (film.policy <= 1)).all()
    names = column_names(worker_task(), None, worker.agent.spec.actions)
    assert len(names) == columns
    assert len(with_thoughts(film, names)) == len(film.frames)
    learner = Learner(worker.agent.spec, AlgorithmConfig(), 1000, 0, "cpu")
    assert snapshot.agent_of(snapshot.take(learner, {}, {})) == learner.spec
    with pytest.raises(ValueError, match="reward_prediction"):
        RewardPrediction(5, worker.agent.spec.actions)


def worker_task():
    from continuous import TASK

    return TASK


@kinds
def test_actions_outside_of_the_space_are_refused(actions):
    env = ContinuousEnv(ContinuousSettings(actions), 2)
    env.reset(seed=0)
    good = env.action_space.sample()
    env.step(good)
    bad = good.copy()
    bad[1] += 4
    for wrong in (bad, good[:, :2], good + np.nan if actions == "box" else good + 0.5):
        with pytest.raises(ValueError, match="actions lie in"):
            env.step(wrong)
    single = make_single("continuous:TASK", actions=actions)
    single.reset(seed=0)
    single.step(single.action_space.sample())
    with pytest.raises(ValueError, match="actions lie in"):
        single.step(bad[1])


@kinds
def test_a_random_agent_plays_all_over_the_space(actions):
    env = ContinuousEnv(ContinuousSettings(actions), 50)
    trials, _ = simulate(env, RandomAgent(env, ContinuousEnv), 500, seed=0)
    # Uniform in -1..1: 1/3 + target². Of choices: 1/2 + 1/3 + 1/4.
    expected = -(1 / 3 + ContinuousEnv.TARGET**2).sum() if actions == "box" else 13 / 12
    reward = trials["reward"]
    assert reward.mean() == pytest.approx(expected, abs=5 * reward.std() / np.sqrt(len(reward)))


def learned(actions, config, updates, **changes):
    torch.manual_seed(0)
    worker = worker_of(actions, ModelConfig(core="mlp", hidden_sizes=(8,), see_action=False), **changes)
    learner = Learner(worker.agent.spec, config, updates * 30 * 32, seed=0, device="cpu")
    for _ in range(updates):
        worker.load(*learner.published())
        learner.update(learner.stage([worker.unroll().trajectory]))
    worker.load(*learner.published())
    return worker


LEARNING = AlgorithmConfig(
    returns="gae",
    lambda_=1.0,
    discount=0.0,
    unroll_length=30,
    value_weight=0.5,
    learning_rate=ScheduledConfig(0.02, 0.0),
    entropy_weight=ScheduledConfig(0.0),
)


def test_a_gaussian_policy_finds_the_best_vector():
    """-|a - target|² is best at the target, and the less noise the better: the mean goes there and σ shrinks."""
    worker = learned("box", LEARNING, 100, num_envs=32, bound=4.0)
    greedy = mean_action(worker)
    assert np.abs(greedy - ContinuousEnv.TARGET.flatten()).max() < 0.1
    assert worker.agent.policy.log_std.max() < -0.5


def test_several_choices_are_learned_at_once():
    worker = learned("choices", LEARNING, 60, num_envs=32)
    played = worker.unroll().trajectory
    assert (played.action == ContinuousEnv.BEST).mean() > 0.95


def mean_action(worker):
    """The mean of the policy in what the worker sees."""
    played = worker.unroll().trajectory
    batch = make_batch([played], [], CPU)
    with torch.no_grad():
        parameters, _ = worker.agent.unroll(batch.seen, batch.initial_state)
    return parameters[..., :6].mean((0, 1)).numpy()
