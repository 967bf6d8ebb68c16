"""PPO: its losses by brute force, its first gradient, its passes, exact resume, and that it learns."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numerics import IDENTITY, precision
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.launch.config import RunConfig, TrainConfig
from prefrontal.launch.engines.serial import SerialEngine
from prefrontal.learner.algorithm import AlgorithmConfig, OptimizerConfig, PPOConfig, ScheduledConfig
from prefrontal.learner.learner import Learner, NonFiniteLossError
from prefrontal.learner.ppo import clipped_regression, clipped_surrogate, passes
from prefrontal.models.agent import ModelConfig

CONFIG = AlgorithmConfig(
    name="ppo",
    returns="gae",
    synchronous=True,
    unroll_length=30,
    lambda_=0.95,
    value_weight=0.5,
    entropy_weight=ScheduledConfig(0.02),
    learning_rate=ScheduledConfig(3e-3),
    optimizer=OptimizerConfig(name="adam"),
    ppo=PPOConfig(epochs=3, minibatches=2),
)
MODELS = {
    "lstm": ModelConfig(hidden_sizes=(8,), learned_initial_state=True),
    "rgu": ModelConfig(core="rgu", hidden_sizes=(8,)),
    "mlp": ModelConfig(core="mlp", hidden_sizes=(8,)),
}


def changed(**ppo):
    return dataclasses.replace(CONFIG, ppo=dataclasses.replace(CONFIG.ppo, **ppo))


def worker_and_learner(config=CONFIG, model=MODELS["lstm"], task="faulty:TASK", options=None, total=10**6, envs=6):
    options = {"length": 7, "truncate": True} | (options or {})
    worker = RolloutWorker(WorkerSpec(task, options, model, envs, 30, 0, 0))
    return worker, Learner(worker.agent.spec, config, total, seed=3, device="cpu")


def a_batch(worker, learner):
    worker.load(*learner.published())
    worker.unroll()
    batch = learner.stage([worker.unroll().trajectory])
    assert batch.last is not None
    return batch


def test_the_surrogate_is_clipped_action_by_action():
    """The four cases of the paper's figure 1, each with its slope in the ratio."""
    for ratio, advantage, expected, slope in (
        (1.1, 2.0, -2.2, -2.0),
        (1.5, 2.0, -2.4, 0.0),
        (0.5, 2.0, -1.0, -2.0),
        (0.9, -2.0, 1.8, 2.0),
        (0.5, -2.0, 1.6, 0.0),
        (1.5, -2.0, 3.0, 2.0),
    ):
        log_ratio = torch.tensor(ratio, dtype=torch.double).log().requires_grad_()
        loss = clipped_surrogate(log_ratio, torch.tensor(advantage, dtype=torch.double), 0.2)
        assert loss.item() == pytest.approx(expected)
        loss.backward()
        assert log_ratio.grad.item() / ratio == pytest.approx(slope)


def test_the_losses_are_those_of_a_loop_over_all_elements():
    rng = np.random.default_rng(0)
    log_ratio, advantage, value, before, target = rng.standard_normal((5, 9, 4))
    surrogate = clipped_surrogate(torch.tensor(log_ratio), torch.tensor(advantage), 0.3).numpy()
    clipped = clipped_regression(*map(torch.tensor, (value, before, target)), 0.5).numpy()
    plain = clipped_regression(*map(torch.tensor, (value, before, target)), None).numpy()
    for place in np.ndindex(9, 4):
        ratio = np.exp(log_ratio[place])
        held = min(max(ratio, 0.7), 1.3)
        assert surrogate[place] == pytest.approx(-min(ratio * advantage[place], held * advantage[place]))
        near = min(max(value[place], before[place] - 0.5), before[place] + 0.5)
        errors = (target[place] - value[place]) ** 2, (target[place] - near) ** 2
        assert clipped[place] == pytest.approx(max(errors) / 2)
        assert plain[place] == pytest.approx(errors[0] / 2)


@pytest.mark.parametrize("minibatches", [1, 3])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize(
    ("task", "options"),
    [("faulty:TASK", {}), ("continuous:TASK", {}), ("continuous:TASK", {"actions": "choices"})],
    ids=["discrete", "box", "choices"],
)
def test_by_the_parameters_that_played_the_gradient_is_that_of_a2c(task, options, model, minibatches):
    """In float64: the ratio is 1, nothing is clipped, and the mean over minibatches is the whole batch's gradient."""
    with precision(torch.float64):
        config = changed(epochs=1, minibatches=minibatches, normalize_advantage=False, value_clip=0.1)
        worker, learner = worker_and_learner(config, model, task, options)
        with torch.no_grad():
            for parameter in learner.agent.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
                parameter.copy_(parameter.float())  # what a broadcast in float32 carries exactly
        batch = a_batch(worker, learner)
        trained = [p for p in learner.agent.parameters() if p.requires_grad]
        steps = passes(learner.agent, batch, config, 0.02, np.random.default_rng(0))
        found = []
        for measured in steps:  # without a step in between
            found.append(torch.autograd.grad(measured["loss/total"], trained))
            assert measured["learner/clip_share"] == 0
            assert measured["learner/kl"].item() == pytest.approx(0, abs=IDENTITY)
            assert measured["learner/rho"].item() == pytest.approx(1, abs=IDENTITY)
        assert len(found) == minibatches
        a2c = Learner(learner.spec, dataclasses.replace(config, ppo=PPOConfig()), 10**6, 3, "cpu")
        a2c.agent.load_state_dict(learner.agent.state_dict())
        a2c.update(batch)
        expected = [p.grad for p in a2c.agent.parameters() if p.requires_grad]
        for parts, whole in zip(zip(*found, strict=True), expected, strict=True):
            assert (torch.stack(parts).mean(0) - whole).abs().max() <= IDENTITY
        assert max(whole.abs().max() for whole in expected) > 1e-3


def test_advantages_are_normalized_within_a_minibatch():
    """Shifted and stretched rewards, which V does not know yet, leave the policy's gradient as it was."""
    with precision(torch.float64):
        worker, learner = worker_and_learner(config := changed(epochs=1, minibatches=1))
        batch = a_batch(worker, learner)
        losses = []
        for advantage in (1.0, 10.0):
            scaled = dataclasses.replace(batch, reward=advantage * batch.reward, last=None)
            silent = learner.agent.value
            with torch.no_grad():
                silent.weight.zero_()
            (measured,) = passes(learner.agent, scaled, config, 0.0, np.random.default_rng(0))
            losses.append(torch.autograd.grad(measured["loss/policy"], learner.agent.policy.weight)[0])
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-6, atol=0)
        assert losses[0].abs().max() > 1e-3


def test_each_pass_takes_every_sequence_once_in_an_order_of_its_own():
    worker, learner = worker_and_learner(config := changed(epochs=3, minibatches=4), envs=6)
    batch = a_batch(worker, learner)
    numbered = dataclasses.replace(batch, behaviour_logp=torch.arange(6.0).expand(30, 6).contiguous())
    taken = []
    rows = type(numbered).rows

    def noting(self, index):
        taken.append(index.tolist())
        return rows(self, index)

    type(numbered).rows = noting
    try:
        assert len(list(passes(learner.agent, numbered, config, 0.0, np.random.default_rng(0)))) == 12
    finally:
        type(numbered).rows = rows
    orders = [[row for part in taken[4 * i : 4 * i + 4] for row in part] for i in range(3)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert orders[0] != orders[1]
    assert sorted(len(part) for part in taken[:4]) == [1, 1, 2, 2]
    part = rows(batch, torch.tensor([4, 1]))
    assert torch.equal(part.obs, batch.obs[:, [4, 1]])
    assert torch.equal(part.initial_state[0], batch.initial_state[0][[4, 1]])


def test_a_policy_that_has_moved_enough_is_left_alone():
    """No further pass: with the smallest bound there is one, with none all."""
    found = {}
    for target_kl in (1e-9, 0.1, None):
        worker, learner = worker_and_learner(changed(epochs=5, minibatches=2, target_kl=target_kl))
        batch = a_batch(worker, learner)
        found[target_kl] = learner.update(batch)["learner/steps"]
    assert found[None] == 10
    assert found[1e-9] == 2
    assert found[1e-9] <= found[0.1] <= found[None]


def test_an_update_counts_once_and_tells_what_it_did():
    worker, learner = worker_and_learner()
    metrics = learner.update(a_batch(worker, learner))
    assert learner.progress.updates == 1
    assert learner.progress.env_steps == 180
    assert metrics["learner/steps"] == 6
    assert metrics["learner/kl"] > 0
    assert 0 <= metrics["learner/clip_share"] <= 1
    assert metrics["learner/lag_max"] == 0


def test_all_steps_are_made_or_none():
    """The second minibatch is not finite: what the first one changed is undone, the optimizer's state with it."""
    worker, learner = worker_and_learner(changed(epochs=1, minibatches=6, normalize_advantage=False))
    batch = a_batch(worker, learner)
    learner.update(batch)
    order = np.random.default_rng([3, 2, 1]).permutation(6)
    broken = dataclasses.replace(batch, behaviour_logp=batch.behaviour_logp.clone())
    broken.behaviour_logp[:, order[1]] = torch.nan
    before, _ = learner.state()
    with pytest.raises(NonFiniteLossError, match="update 2"):
        learner.update(broken)
    after, _ = learner.state()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert learner.progress.updates == 1


def engine_config():
    return TrainConfig(
        task={"name": "two_step"},
        cluster="none",
        run=RunConfig(env_steps=10**6),
        model=ModelConfig(hidden_sizes=(12,)),
        algo=dataclasses.replace(CONFIG, ppo=dataclasses.replace(CONFIG.ppo, target_kl=0.02, value_clip=0.2)),
    )


def test_a_run_goes_on_bit_for_bit(tmp_path):
    """N updates, a checkpoint and N more against 2 N."""
    whole, again = (SerialEngine(engine_config(), tmp_path, None) for _ in range(2))
    for _ in range(3):
        whole.step()
        again.step()
    resumed = SerialEngine(engine_config(), tmp_path, again.checkpoint({}))
    for _ in range(3):
        expected, found = whole.step(), resumed.step()
        timeless = [name for name in expected.metrics if not name.endswith("_s")]
        assert [expected.metrics[name] for name in timeless] == [found.metrics[name] for name in timeless]
    assert np.array_equal(whole.parameters().vector, resumed.parameters().vector)
    assert whole.parameters().version == 6


@pytest.mark.parametrize(
    "wrong",
    [{"synchronous": False}, {"returns": "vtrace"}, {"gradients": "actors"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"ppo\.epochs"):
        dataclasses.replace(CONFIG, **wrong)


def test_it_finds_the_best_vector_in_less_play_than_one_step_a_batch():
    """The continuous bandit of the tests, whose best action is known: 12 updates."""
    distance = {}
    for epochs in (0, 8):
        config = dataclasses.replace(
            changed(epochs=epochs, minibatches=4),
            discount=0.0,
            entropy_weight=ScheduledConfig(0.0),
            learning_rate=ScheduledConfig(0.004),
        )
        model = ModelConfig(core="mlp", hidden_sizes=(8,), see_action=False)
        worker, learner = worker_and_learner(config, model, "continuous:TASK", {"bound": 4.0}, envs=32)
        for _ in range(12):
            worker.load(*learner.published())
            learner.update(learner.stage([worker.unroll().trajectory]))
        worker.load(*learner.published())
        batch = learner.stage([worker.unroll().trajectory])
        with torch.no_grad():
            mean = learner.agent.unroll(batch.seen, batch.initial_state)[0][..., :6].mean((0, 1)).numpy()
        distance[epochs] = np.abs(mean - worker.env.TARGET.flatten()).max()
    assert distance[8] < 0.15
    assert distance[0] > 0.3
