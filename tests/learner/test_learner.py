"""The learner: truncation, exact resume, what an update does, what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numerics import round_off
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.conf.checking import checked
from prefrontal.learner import snapshot
from prefrontal.learner.algorithm import AlgorithmConfig, OptimizerConfig, ReplayConfig, ScheduledConfig
from prefrontal.learner.batch import DeviceError, resolve_device
from prefrontal.learner.checkpoint import Checkpoint
from prefrontal.learner.learner import Learner, NonFiniteLossError
from prefrontal.learner.objective import returns_of
from prefrontal.models.agent import ModelConfig, Seen

MODEL = ModelConfig(hidden_sizes=(12,))


def worker_for(task="bandit", options=None, model=MODEL, **changes):
    fields = {"num_envs": 8, "unroll_length": 20, "seed": 0, "actor_id": 0} | changes
    return RolloutWorker(WorkerSpec(task=task, task_options=options or {}, model=model, **fields))


def learner_for(worker, **changes):
    return Learner(worker.agent.spec, AlgorithmConfig(**changes), 100_000, seed=1, device="cpu")


def play_and_update(worker, learner, updates):
    metrics = {}
    for _ in range(updates):
        worker.load(learner.progress.updates, learner.parameters_vector())
        metrics = learner.update(learner.stage([worker.unroll().trajectory]))
    return metrics


@pytest.mark.parametrize("returns", ["vtrace", "gae", "n_step", "td0"])
def test_truncation_bootstraps_from_the_real_last_observation(returns):
    """The learner's next value at a truncation, against a separate evaluation of the whole cut episode."""
    worker = worker_for("faulty:TASK", {"length": 6, "truncate": True})
    learner = learner_for(worker, returns=returns)
    worker.load(0, learner.parameters_vector())
    played = worker.unroll().trajectory
    batch = learner.stage([played])
    with torch.no_grad():
        logits, value = learner.agent.unroll(batch.seen, batch.initial_state)
    log_rho = learner.agent.policy.log_prob(logits[:-1], batch.action) - batch.behaviour_logp
    target, _ = returns_of(learner.agent, batch, log_rho, value, learner.config)
    t, b = int(played.last.time[-1]), int(played.last.row[-1])
    start = int(np.flatnonzero(played.first[: t + 1, b])[-1])
    # The cut episode alone, with its last observation at the end.
    obs = np.concatenate([played.obs[start : t + 1, b], [[6.0]]])[:, None].astype(np.float32)
    action = np.concatenate([[-1], played.action[start : t + 1, b]])[:, None]
    reward = np.concatenate([[0], played.reward[start : t + 1, b]]).astype(np.float32)[:, None]
    first = np.zeros((len(obs), 1), dtype=bool)
    first[0] = True
    seen = Seen(*map(torch.from_numpy, (obs, action, reward, first)))

    def last_value(agent):
        return agent.unroll(seen, agent.initial_state(1))[1][-1, 0].detach()

    expected = played.reward[t, b] + 0.9 * last_value(learner.agent).item()
    (bound,) = round_off(learner.agent, lambda agent: [played.reward[t, b] + 0.9 * last_value(agent)])
    assert target[t, b].item() == pytest.approx(expected, abs=bound)


@pytest.mark.parametrize("returns", ["vtrace", "gae", "n_step", "td0"])
def test_a_scale_of_rewards_is_the_same_as_smaller_rewards(returns):
    """To the learner; the agent itself goes on to see rewards as they are, also in front of a last observation."""
    worker = worker_for("faulty:TASK", {"length": 6, "truncate": True})
    learner = learner_for(worker, returns=returns)
    worker.load(0, learner.parameters_vector())
    batch = learner.stage([worker.unroll().trajectory])
    log_rho, value = torch.zeros(20, 8), torch.randn(21, 8, generator=torch.manual_seed(1))
    scaled = dataclasses.replace(learner.config, reward_scale=0.25)
    smaller = dataclasses.replace(batch, reward=0.25 * batch.reward)
    # V of a real last observation sees the reward before it, which is not the same here: none is asked for.
    found = returns_of(learner.agent, dataclasses.replace(batch, last=None), log_rho, value, scaled)
    expected = returns_of(learner.agent, dataclasses.replace(smaller, last=None), log_rho, value, learner.config)
    assert batch.reward.abs().sum() > 0
    assert all(map(torch.equal, found, expected))


def test_an_update_moves_the_policy_towards_what_paid():
    worker = worker_for("faulty:TASK")
    learner = learner_for(worker, learning_rate=ScheduledConfig(5e-3), entropy_weight=ScheduledConfig(0.0))
    play_and_update(worker, learner, 150)
    worker.load(-2, learner.parameters_vector())
    assert worker.unroll().trajectory.action.mean() > 0.9


def test_the_reward_prediction_learns_what_each_action_pays():
    """The task pays the action's number, so that the prediction can be right; of an agent that acts at random."""
    worker = worker_for("faulty:TASK")
    learner = learner_for(
        worker, reward_prediction=1.0, learning_rate=ScheduledConfig(5e-3), entropy_weight=ScheduledConfig(10.0)
    )
    untrained = play_and_update(worker, learner, 1)["loss/reward_prediction"]
    assert untrained == pytest.approx(0.25, abs=0.1), "half of the actions pay 1, and nothing is predicted: ½ r²"
    assert play_and_update(worker, learner, 150)["loss/reward_prediction"] < 0.01
    trajectory = worker.unroll().trajectory
    batch = learner.stage([trajectory])
    output = learner.agent.outputs(batch.seen, batch.initial_state)[:-1]
    for action in (0, 1):
        told = learner._reward_prediction(output, torch.full_like(batch.action, action))
        assert told.mean().item() == pytest.approx(action, abs=0.1), "also of the action that was not taken"


def test_the_reward_prediction_teaches_the_core_and_leaves_the_heads_alone():
    """Gradients of the same batch with and without it."""
    worker = worker_for("faulty:TASK")
    trajectory, gradients = worker.unroll().trajectory, {}
    for weight in (0.0, 1.0):
        learner = learner_for(worker, reward_prediction=weight)
        if weight:
            torch.nn.init.ones_(learner._reward_prediction.head.weight)
        learner.update(learner.stage([trajectory]))
        gradients[weight] = {n: p.grad for n, p in learner.agent.named_parameters() if p.grad is not None}
    differ = {name for name, gradient in gradients[0.0].items() if not torch.equal(gradient, gradients[1.0][name])}
    assert differ == {name for name in gradients[0.0] if name.startswith("core.")}


@pytest.mark.parametrize("before", [0.0, 1.0])
def test_the_reward_prediction_may_be_switched_on_and_off_by_a_resume(before):
    worker = worker_for()
    learner = learner_for(worker, reward_prediction=before)
    play_and_update(worker, learner, 3)
    other = learner_for(worker, reward_prediction=1.0 - before)
    snapshot.restore(other, snapshot.take(learner, {}, {}))
    assert np.array_equal(other.parameters_vector(), learner.parameters_vector())
    metrics = play_and_update(worker, other, 3)
    assert ("loss/reward_prediction" in metrics) == (before == 0.0)
    assert other.progress.updates == 6


@pytest.mark.parametrize("reward_prediction", [0.0, 1.0])
@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_resume_continues_bit_for_bit(optimizer, reward_prediction):
    """N + resume + N updates are 2 N updates: parameters, counters and what is played."""
    config = {
        "optimizer": OptimizerConfig(name=optimizer),
        "replay": ReplayConfig(),
        "reward_prediction": reward_prediction,
    }

    def fresh():
        worker = worker_for()
        return worker, learner_for(worker, **config)

    straight_worker, straight = fresh()
    play_and_update(straight_worker, straight, 12)
    worker, learner = fresh()
    play_and_update(worker, learner, 6)
    checkpoint = snapshot.take(learner, {"note": "kept"}, worker.state()[0])
    scalars = worker.state()[1]
    worker, learner = fresh()
    worker.restore(snapshot.worker_arrays_of(checkpoint), scalars)
    snapshot.restore(learner, checkpoint)
    assert learner.progress.updates == 6
    play_and_update(worker, learner, 6)
    assert np.array_equal(learner.parameters_vector(), straight.parameters_vector())
    assert learner.progress == straight.progress


def test_resume_with_another_agent_says_what_differs():
    learner = learner_for(worker_for())
    checkpoint = snapshot.take(learner, {}, {})
    other = learner_for(worker_for(model=ModelConfig(core="gru", hidden_sizes=(12,))))
    with pytest.raises(snapshot.DifferentAgentError, match="core: lstm -> gru"):
        snapshot.restore(other, checkpoint)
    assert snapshot.agent_of(Checkpoint(checkpoint.tensors, checkpoint.scalars)) == learner.spec


def test_checkpoints_from_before_there_were_other_kinds_of_actions_are_read():
    learner = learner_for(worker_for())
    checkpoint = snapshot.take(learner, {}, {})
    saved = checkpoint.scalars["agent"]
    saved["num_actions"] = saved.pop("actions")["sizes"][0]
    assert snapshot.agent_of(checkpoint) == learner.spec


def test_nothing_changes_when_the_loss_is_not_finite():
    worker = worker_for()
    learner = learner_for(worker)
    before = learner.parameters_vector()
    trajectory = worker.unroll().trajectory
    broken = dataclasses.replace(trajectory, reward=np.full_like(trajectory.reward, np.nan))
    with pytest.raises(NonFiniteLossError, match="learning_rate"):
        learner.update(learner.stage([broken]))
    assert np.array_equal(before, learner.parameters_vector())
    assert learner.progress.updates == 0


def test_replayed_trajectories_join_but_are_not_counted():
    worker = worker_for()
    learner = learner_for(worker, replay=ReplayConfig(ratio=1.5, capacity=4))
    sizes = []
    for _ in range(5):
        batch = learner.stage([worker.unroll().trajectory])
        sizes.append(batch.action.shape[1])
        learner.update(batch)
    assert sizes == [8, 24, 16, 24, 16]  # the first has nothing to replay; then 2, 1, 2, 1
    assert learner.progress.env_steps == 5 * 160
    with pytest.raises(ValueError, match="vtrace"):
        AlgorithmConfig(returns="gae", replay=ReplayConfig(ratio=1.0))


def test_lag_is_counted_in_updates():
    worker = worker_for()
    learner = learner_for(worker)
    worker.load(0, learner.parameters_vector())
    old = [worker.unroll().trajectory for _ in range(3)]
    lags = [learner.update(learner.stage([trajectory]))["learner/lag_max"] for trajectory in old]
    assert lags == [0, 1, 2]


def test_schedules_follow_the_trained_environment_steps():
    worker = worker_for()
    learner = Learner(worker.agent.spec, AlgorithmConfig(learning_rate=ScheduledConfig(0.01, 0.0)), 1600, 0, "cpu")
    rates = [learner.update(learner.stage([worker.unroll().trajectory]))["learner/learning_rate"] for _ in range(12)]
    np.testing.assert_allclose(rates[:10], 0.01 * (1 - np.arange(10) / 10))
    assert rates[10:] == [0.0, 0.0]


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(DeviceError, match="choose one of: auto, cpu, cuda"):
        resolve_device("tpu")
    if not torch.cuda.is_available():
        assert resolve_device("auto").type == "cpu"
        with pytest.raises(DeviceError, match=r"learner\.device=auto"):
            resolve_device("cuda")


def test_settings_that_cannot_be_are_refused():
    for bad in ({"returns": "monte_carlo"}, {"unroll_length": 0}, {"discount": 1.5}, {"batch_unrolls": 0}):
        with pytest.raises(ValueError, match=rf"algo\.{next(iter(bad))}="):
            checked(AlgorithmConfig, bad, "algo")
