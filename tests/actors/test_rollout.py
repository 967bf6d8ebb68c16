"""The rollout worker: replaying in the learner gives what was played, episodes carry over, faults are named."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from numerics import precision, replay_bound, replay_error
from PIL import Image
from prefrontal.actors.evaluation import evaluate
from prefrontal.actors.rollout import EnvironmentFaultError, RolloutWorker, WorkerSpec
from prefrontal.actors.video import film_episode, save_gif
from prefrontal.learner.batch import make_batch
from prefrontal.models.agent import ModelConfig
from prefrontal.models.flat import to_vector
from prefrontal.replay.trajectory import NO_ACTION, join

CPU = torch.device("cpu")


def spec(task="harlow", options=None, **changes):
    model = changes.pop("model", ModelConfig(encoder="mlp", encoder_sizes=(16,)))
    settings = {"num_envs": 6, "unroll_length": 30, "seed": 3, "actor_id": 0} | changes
    return WorkerSpec(task=task, task_options=options or {}, model=model, **settings)


def lively(worker, seed=0):
    """Random parameters, so that policy and state are far from trivial."""
    size = len(to_vector(worker.agent.parameters()))
    worker.load(1, 0.4 * np.random.default_rng(seed).standard_normal(size, dtype=np.float32))
    return worker


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(),
        ModelConfig(core="gru", learned_initial_state=True),
        ModelConfig(core="stacked_lstm", hidden_sizes=(16, 12), learned_initial_state=True),
        ModelConfig(core="actor_critic_lstm", hidden_sizes=(16, 12), learned_initial_state=True),
        ModelConfig(encoder="mlp", encoder_sizes=(16,)),
        ModelConfig(core="rnn", learned_initial_state=True),
        ModelConfig(core="rgu", learned_initial_state=True),
        ModelConfig(core="mlp", hidden_sizes=(16, 16)),
    ],
    ids=["lstm", "gru", "stacked", "actor_critic", "mlp", "rnn", "rgu", "feed_forward"],
)
def test_replay_identity_with_resets_inside_the_unroll(model, dtype):
    """The learner, with the actor's parameters, finds the actor's log-probabilities."""
    with precision(dtype):
        worker = lively(RolloutWorker(spec("faulty:TASK", model=model)))
        resets = 0
        for _ in range(4):
            batch = make_batch([worker.unroll().trajectory], [], CPU)
            resets += int(batch.first[1:].sum())
            assert replay_error(worker.agent, batch) <= replay_bound(worker.agent, batch)
        assert resets > 50
        shifted = dataclasses.replace(batch, prev_action=batch.prev_action.roll(1, dims=0))
        assert replay_error(worker.agent, shifted) > 10 * replay_bound(worker.agent, batch)


def test_trajectories_are_continuous_and_reset_where_episodes_start():
    worker = lively(RolloutWorker(spec("faulty:TASK", {"length": 5})))
    previous = worker.unroll().trajectory
    for _ in range(5):
        now = worker.unroll().trajectory
        for name in ("obs", "first", "prev_action", "prev_reward"):
            assert np.array_equal(getattr(now, name)[0], getattr(previous, name)[-1]), name
        first = now.first
        assert (now.prev_action[first] == NO_ACTION).all()
        assert (now.prev_reward[first] == 0).all()
        later = ~first[1:]
        assert np.array_equal(now.prev_action[1:][later], now.action[later])
        assert np.array_equal(now.prev_reward[1:][later], now.reward[later])
        assert np.array_equal(now.discount == 0, first[1:])
        previous = now


def test_truncation_keeps_the_discount_and_records_the_real_last_observation():
    worker = lively(RolloutWorker(spec("faulty:TASK", {"length": 5, "truncate": True})))
    played = worker.unroll().trajectory
    assert (played.discount == 1).all()
    assert played.last is not None
    where = set(zip(played.last.time.tolist(), played.last.row.tolist(), strict=True))
    assert where == set(zip(*np.nonzero(played.first[1:]), strict=True))
    assert (played.last.obs == 5).all(), "the next episode's first observation must not stand in for the last one"


def test_action_noise_follows_the_policy():
    """Frequencies of sampled actions against their recorded probabilities."""
    worker = lively(RolloutWorker(spec("bandit", num_envs=256, unroll_length=100, model=ModelConfig())), seed=4)
    played = worker.unroll().trajectory
    probability_of_one = np.where(played.action == 1, np.exp(played.behaviour_logp), 1 - np.exp(played.behaviour_logp))
    deviation = (played.action - probability_of_one).sum() / np.sqrt(
        (probability_of_one * (1 - probability_of_one)).sum()
    )
    assert abs(deviation) < 4


def test_workers_differ_by_actor_and_generation_and_repeat_by_seed():
    def played(**changes):
        return lively(RolloutWorker(spec("bandit", model=ModelConfig(), **changes))).unroll().trajectory.reward

    assert np.array_equal(played(), played())
    for changes in ({"actor_id": 1}, {"generation": 1}, {"seed": 4}):
        assert not np.array_equal(played(), played(**changes))


def test_state_and_restore_continue_bit_for_bit():
    one, other = lively(RolloutWorker(spec())), lively(RolloutWorker(spec(seed=77)))
    for _ in range(3):
        one.unroll()
    arrays, scalars = one.state()
    other.restore(arrays, scalars)
    for _ in range(3):
        a, b = one.unroll(), other.unroll()
        for field in dataclasses.fields(a.trajectory):
            x, y = getattr(a.trajectory, field.name), getattr(b.trajectory, field.name)
            if isinstance(x, np.ndarray):
                assert np.array_equal(x, y), field.name
        assert np.array_equal(a.report.returns, b.report.returns)


def test_report_counts_what_happened():
    worker = lively(RolloutWorker(spec("faulty:TASK", {"length": 5})))
    unroll = worker.unroll()
    assert unroll.report.env_steps == 180
    assert len(unroll.report.returns) == unroll.trajectory.first[1:].sum()
    assert set(unroll.report.lengths.tolist()) <= {3, 4, 5}


def test_joined_trajectories_stand_side_by_side():
    parts = [
        lively(RolloutWorker(spec("faulty:TASK", {"truncate": True}, actor_id=i))).unroll().trajectory for i in range(3)
    ]
    joined = join(parts)
    assert joined.batch_size == 18
    assert np.array_equal(joined.obs[:, 6:12], parts[1].obs)
    last = joined.last
    assert np.array_equal(joined.first[last.time + 1, last.row], np.ones(len(last.time), dtype=bool))
    with pytest.raises(ValueError, match="one unroll length"):
        join([parts[0], lively(RolloutWorker(spec("faulty:TASK", unroll_length=31))).unroll().trajectory])


def test_only_the_spec_is_pickled():
    """An environment that cannot be pickled is no obstacle: it is built where it is played."""
    worker = RolloutWorker(pickle.loads(pickle.dumps(spec("faulty:TASK"))))
    with pytest.raises(TypeError):
        pickle.dumps(worker.env)
    worker.unroll()


@pytest.mark.parametrize(
    ("fault", "message"), [("nan", "observation that is not finite"), ("shape", r"shape \(6, 2\)")]
)
def test_nonsense_from_an_environment_is_named(fault, message):
    worker = RolloutWorker(spec("faulty:TASK", {"fault": fault, "at_step": 10}))
    with pytest.raises(EnvironmentFaultError, match=message):
        worker.unroll()


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_evaluation_records_values_and_prediction_errors(scale):
    """Both in units of reward, whatever the unit in which the agent was trained."""
    told = []
    for scale_of_one in (1.0, scale):
        worker = lively(RolloutWorker(spec("two_step", {"trials": 10}, model=ModelConfig(), num_envs=4)))
        told.append(evaluate(worker, 9, 0.5, scale_of_one).trials())
    plain, trials = told
    assert np.array_equal(trials["value"], plain["value"] / scale)
    assert len(trials["trial"]) == 90
    assert np.array_equal(trials["trial"], np.tile(np.arange(10), 9))
    last = trials["trial"] == 9
    roundings = 8 * np.finfo(np.float32).eps * np.abs(trials["value"]).max()  # of sums of three numbers of this size
    np.testing.assert_allclose(trials["rpe"][last], (trials["reward"] - trials["value"])[last], rtol=0, atol=roundings)
    inner = np.flatnonzero(~last)
    expected = trials["reward"][inner] + 0.5 * trials["value"][inner + 1] - trials["value"][inner]
    np.testing.assert_allclose(trials["rpe"][inner], expected, rtol=0, atol=roundings)


def test_greedy_evaluation_takes_the_likeliest_action():
    worker = lively(RolloutWorker(spec("bandit", model=ModelConfig(), greedy=True)))
    played = worker.unroll().trajectory
    unit = np.finfo(np.float32).eps
    assert (np.exp(played.behaviour_logp) >= 0.5 - 8 * unit).all(), "of two actions, up to the rounding of the softmax"


def test_video_of_an_episode(tmp_path):
    """One frame a step, from the first to the last before the episode's end."""
    worker = RolloutWorker(spec("faulty:TASK", {"length": 7}, num_envs=1, unroll_length=1))
    start = int(worker.env._age[0])
    frames = film_episode(worker).frames
    assert [int(frame[0, 0, 0]) for frame in frames] == [10 * age for age in range(start, 7)]
    save_gif(frames, tmp_path / "episode.gif", 4)
    with Image.open(tmp_path / "episode.gif") as movie:
        assert movie.n_frames == len(frames)
    with pytest.raises(ValueError, match="num_envs=1"):
        film_episode(RolloutWorker(spec()))
