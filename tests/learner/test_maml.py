"""MAML: steps of adaptation and the meta-gradient against plain loops and finite differences; the trust region."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numerics import IDENTITY, precision
from prefrontal.actors.adapting import AdaptingWorker
from prefrontal.actors.rollout import WorkerSpec
from prefrontal.learner.adaptation import Adaptation, Part, advantages
from prefrontal.learner.algorithm import AlgorithmConfig, MAMLConfig, PPOConfig
from prefrontal.learner.batch import make_batch
from prefrontal.learner.learner import Learner
from prefrontal.learner.linear_baseline import features, fitted_values
from prefrontal.learner.maml import MetaUpdate, parts_of
from prefrontal.learner.trpo import _hessian_product, conjugate_gradient, flat, trust_region_step
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen
from prefrontal.models.policy import Actions, discrete
from torch.func import functional_call

H, M, K, OBS = 5, 3, 4, 2
BOX = Actions("box", (2,))
CORES = {
    "mlp": ModelConfig(core="mlp", hidden_sizes=(6, 5), see_action=False, see_reward=False),
    "rnn": ModelConfig(core="rnn", hidden_sizes=(5,), learned_initial_state=True),
    "lstm": ModelConfig(core="lstm", hidden_sizes=(4,)),
    "gru": ModelConfig(core="gru", hidden_sizes=(4,)),
    "rgu": ModelConfig(core="rgu", hidden_sizes=(4,)),
    "stacked_lstm": ModelConfig(core="stacked_lstm", hidden_sizes=(4, 3)),
    "rnn_without_recurrence": ModelConfig(core="rnn_without_recurrence", hidden_sizes=(6, 5)),
}
KINDS = [("mlp", BOX), ("mlp", discrete(3)), ("rnn", BOX), ("lstm", discrete(3)), ("gru", BOX), ("rgu", BOX)]
KINDS += [("stacked_lstm", BOX), ("rnn_without_recurrence", BOX)]
kinds = pytest.mark.parametrize(("core", "actions"), KINDS, ids=[f"{core} {actions.kind}" for core, actions in KINDS])


@pytest.fixture(autouse=True)
def exact():
    with precision(torch.float64):
        yield


def agent_of(core, actions=BOX, seed=0):
    torch.manual_seed(seed)
    agent = Agent(AgentSpec((OBS,), actions, CORES[core]))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return agent


def random_parts(agent, count, seed=1):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    def action():
        if agent.spec.actions.kind == "box":
            return normal(H, M, K, 2)
        return torch.randint(3, (H, M, K), generator=generator)

    return [
        Part(normal(H, M, K, OBS), action(), normal(H, M, K), action(), normal(H, M, K), normal(H, M, K))
        for _ in range(count)
    ]


def plain_policies(agent, config, parameters, parts, fresh):
    """By a loop over tasks and autograd, step by step; [part][task] policies [H, K, P], and the adapted parameters."""
    adaptation = Adaptation(agent, config)
    found, ends = [[] for _ in parts], []
    for task in range(M):
        now, state = dict(parameters), None
        for k, part in enumerate(parts):
            own = Part(*(tensor[:, task] for tensor in part))
            policy, state = functional_call(adaptation._run, now, (*own[:3], None if fresh[k] else state))
            found[k].append(policy)
            if k + 1 == len(parts):
                break
            log_prob = agent.policy.log_prob(policy, own.action)
            weight = (log_prob - own.log_prob).exp() if config.inner == "ratio" else log_prob
            names = sorted(adaptation.adapted)
            values = [now[name] for name in names]
            gradients = torch.autograd.grad(
                -(weight * own.advantage).mean(), values, create_graph=True, allow_unused=True, materialize_grads=True
            )
            if not config.second_order:
                gradients = [gradient.detach() for gradient in gradients]
            now |= {name: now[name] - config.rate * g for name, g in zip(names, gradients, strict=True)}
        ends.append(now)
    return found, ends


def loss_of(policies, agent, part):
    return -(agent.policy.log_prob(policies, part.action).exp() * part.advantage).mean()


@kinds
@pytest.mark.parametrize(
    "options",
    [{}, {"second_order": False}, {"inner": "ratio"}, {"adapted": "heads"}],
    ids=["second order", "first order", "ratio", "heads"],
)
@pytest.mark.parametrize("fresh", [(True, True, True), (True, False, False)], ids=["by episode", "by life"])
def test_policies_and_meta_gradients_equal_those_of_a_plain_loop(core, actions, options, fresh):
    agent = agent_of(core, actions)
    config = MAMLConfig(steps=2, rate=0.2, **options)
    adaptation = Adaptation(agent, config)
    parts = random_parts(agent, 3)
    parameters = {name: p.detach().clone().requires_grad_() for name, p in adaptation.trained.items()}
    found = adaptation.policies(parameters, parts, fresh)
    plain, _ = plain_policies(agent, config, parameters, parts, fresh)
    for one, other in zip(found, plain, strict=True):
        assert (one - torch.stack(other, 1)).abs().max() < IDENTITY
    values = list(parameters.values())
    one = torch.autograd.grad(loss_of(found[-1], agent, parts[-1]), values, allow_unused=True, materialize_grads=True)
    other = torch.autograd.grad(
        loss_of(torch.stack(plain[-1], 1), agent, parts[-1]), values, allow_unused=True, materialize_grads=True
    )
    assert max((a - b).abs().max() for a, b in zip(one, other, strict=True)) < IDENTITY
    assert sum(gradient.abs().sum() for gradient in one) > 1e-3


@kinds
def test_second_order_meta_gradients_equal_finite_differences(core, actions):
    """Central differences along random directions; the first-order gradient is another one."""
    agent = agent_of(core, actions)
    parts, fresh = random_parts(agent, 2), (True, True)
    found = {}
    for second_order in (True, False):
        adaptation = Adaptation(agent, MAMLConfig(steps=1, rate=0.5, second_order=second_order))
        values = {name: p.detach().clone().requires_grad_() for name, p in adaptation.trained.items()}

        def loss(parameters, adaptation=adaptation):
            return loss_of(adaptation.policies(parameters, parts, fresh)[-1], agent, parts[-1])

        found[second_order] = torch.autograd.grad(
            loss(values), list(values.values()), allow_unused=True, materialize_grads=True
        )
    generator, step = torch.Generator().manual_seed(3), 1e-5
    wrong = []
    for _ in range(5):
        way = {name: torch.randn(p.shape, generator=generator) for name, p in values.items()}

        def moved(size, way=way):
            return float(loss({name: p.detach() + size * way[name] for name, p in values.items()}))

        slope = (moved(step) - moved(-step)) / (2 * step)
        # The error of central differences is about step² times the third derivative, and rounding / step.
        exact = {
            order: float(sum((g * w).sum() for g, w in zip(found[order], way.values(), strict=True))) for order in found
        }
        assert exact[True] == pytest.approx(slope, abs=1e-7)
        wrong.append(abs(exact[False] - slope))
    assert max(wrong) > 1e-4


@kinds
def test_what_an_actor_adapts_is_what_the_learner_repeats(core, actions):
    """Step by step with parameters of its own for each task against the function of all phases."""
    agent = agent_of(core, actions)
    adaptation = Adaptation(agent, MAMLConfig(steps=2, rate=0.2))
    parts = random_parts(agent, 3)
    for fresh in ((True, True, True), (True, False, False)):
        found = adaptation.policies(adaptation.trained, parts, fresh)
        parameters, before = adaptation.shared(M), None
        for k, part in enumerate(parts):
            state = None if fresh[k] else before
            entering = state
            for t in range(H):
                seen = Seen(part.obs[t], part.prev_action[t], part.prev_reward[t], None)
                policy, state = adaptation.act(parameters, seen, state)
                assert (policy - found[k][t]).abs().max() < IDENTITY
            parameters, before = adaptation.step(parameters, part, entering), state


def test_which_parameters_adapt():
    agent = agent_of("lstm")
    recurrent = {"agent.core.layer.rnn.weight_hh_l0", "agent.core.layer.rnn.bias_hh_l0"}
    head = {"agent.policy.weight", "agent.policy.bias", "agent.policy.log_std"}
    everything = {name for name in Adaptation(agent, MAMLConfig(steps=1)).trained if "value" not in name}
    assert Adaptation(agent, MAMLConfig(steps=1)).adapted == everything
    assert Adaptation(agent, MAMLConfig(steps=1, adapted="heads")).adapted == head
    assert Adaptation(agent, MAMLConfig(steps=1, adapted="not_recurrent")).adapted == everything - recurrent
    for core, sizes in (("ep_lstm", (4,)), ("actor_critic_lstm", (4, 3))):
        with pytest.raises(ValueError, match=f"core '{core}' has an episodic memory or a critic"):
            Adaptation(
                Agent(AgentSpec((OBS,), BOX, ModelConfig(core=core, hidden_sizes=sizes), 2)), MAMLConfig(steps=1)
            )
    with pytest.raises(ValueError, match="core 'mlp' has no recurrent weights"):
        Adaptation(agent_of("mlp"), MAMLConfig(steps=1, adapted="not_recurrent"))
    held = Adaptation(agent, MAMLConfig(steps=1, adapted="not_recurrent"))
    after = held.step(held.shared(M), random_parts(agent, 1)[0], None)
    for name, parameter in held.trained.items():
        moved = (after[name] - parameter).abs().amax(tuple(range(1, parameter.ndim + 1)))
        assert (moved > 0).all() == (name in held.adapted), name
        assert (moved == 0).all() == (name not in held.adapted), name


# Baseline and advantages ---------------------------------------------------------------------------------------


def test_linear_baseline_solves_the_normal_equations():
    generator = torch.Generator().manual_seed(0)
    obs, returns = torch.randn(30, 2, 6, 3, generator=generator), torch.randn(30, 2, 6, generator=generator)
    found = fitted_values(obs, returns)
    for task in range(2):
        flat, time = obs[:, task].reshape(-1, 3).numpy(), np.repeat(np.arange(30), 6)[:, None] / 100
        table = np.concatenate([flat, flat**2, time, time**2, time**3, np.ones_like(time)], 1)
        ridge = np.concatenate([table, np.sqrt(1e-5) * np.eye(table.shape[1])])
        target = np.concatenate([returns[:, task].reshape(-1).numpy(), np.zeros(table.shape[1])])
        weights = np.linalg.lstsq(ridge, target, rcond=None)[0]
        # The normal equations square the condition number of the table, here below 10^4.
        assert np.abs(table @ weights - found[:, task].reshape(-1).numpy()).max() < 1e-6
    assert features(obs).shape == (2, 180, 10)


def test_linear_baseline_of_observations_that_do_not_vary():
    returns = torch.arange(20.0).view(20, 1, 1).expand(20, 2, 3) ** 2
    assert (fitted_values(torch.ones(20, 2, 3, 4), returns) - returns).abs().max() < 0.01 * 19**2, "time explains them"
    with pytest.raises(RuntimeError, match="not finite"):
        fitted_values(torch.full((20, 2, 3, 4), torch.nan), returns)


def test_advantages_by_their_definition():
    """Sums of temporal differences by plain loops; nothing is expected after the last step; mean 0, deviation 1."""
    generator = torch.Generator().manual_seed(0)
    obs, reward = torch.randn(12, 2, 4, 3, generator=generator), torch.randn(12, 2, 4, generator=generator)
    config = AlgorithmConfig(discount=0.9, lambda_=0.7)
    found = advantages(obs, reward, config)
    returns = torch.stack([sum(0.9 ** (u - t) * reward[u] for u in range(t, 12)) for t in range(12)])
    value = torch.cat((fitted_values(obs, returns), torch.zeros(1, 2, 4)))
    delta = reward + 0.9 * value[1:] - value[:-1]
    plain = torch.stack([sum(0.63 ** (u - t) * delta[u] for u in range(t, 12)) for t in range(12)])
    for task in range(2):
        own = plain[:, task]
        expected = (own - own.mean()) / own.std(correction=0)
        assert (expected - found[:, task]).abs().max() < 1e-6


# The trust region ----------------------------------------------------------------------------------------------


def test_conjugate_gradients_solve_and_say_what_is_left():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(12, 12, generator=generator)
    matrix, target = root @ root.T + torch.eye(12), torch.randn(12, generator=generator)
    for steps in (3, 50):
        found, left = conjugate_gradient(lambda v: matrix @ v, target, steps, tolerance=1e-20)
        assert (target - matrix @ found - left).norm() < 1e-9
    assert left.norm() < 1e-9
    assert (found - torch.linalg.solve(matrix, target)).norm() < 1e-8


def test_a_step_on_a_quadratic_reaches_the_bound_of_its_kl():
    """Loss b'x, KL ½ x'Ax: the step is -sqrt(2 δ / b'A⁻¹b) A⁻¹b, on the bound; the first one inside counts."""
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(6, 6, generator=generator)
    matrix, slope = root @ root.T + torch.eye(6), torch.randn(6, generator=generator)
    start = [torch.zeros(2, 2).requires_grad_(), torch.zeros(2).requires_grad_()]

    def evaluate(parameters):
        x = torch.cat([p.reshape(-1) for p in parameters])
        return slope @ x, x

    step = trust_region_step(evaluate, lambda x, _: 0.5 * x @ matrix @ x, start, 0.01, 0.0, 30, 15, 0.8)
    natural = torch.linalg.solve(matrix, slope)
    full = -torch.sqrt(0.02 / (slope @ natural)) * natural
    moved = torch.cat([p.reshape(-1) for p in step.parameters])
    assert step.backtracks <= 1, "on the bound, by rounding within it or not"
    assert (moved - 0.8**step.backtracks * full).norm() < 1e-8
    assert float(step.kl) == pytest.approx(0.01 * 0.64**step.backtracks)
    assert all((p == 0).all() for p in start)


def test_the_hessian_can_be_measured_elsewhere_than_the_step():
    """Where the policy is twice as steep, the Hessian is four times as large and the step half as long."""
    start = [torch.zeros(3).requires_grad_()]
    steps = [
        trust_region_step(
            lambda ps: (ps[0].sum(), ps[0]),
            lambda x, played: 0.5 * (x - played).square().sum(),
            start,
            *(0.01, 0.0, 5, 15, 0.8),
            sampled=lambda ps, steep=steep: steep * ps[0],
        )
        for steep in (0.9, 1.8)
    ]
    one, other = (step.parameters[0] for step in steps)
    assert steps[1].backtracks == 0
    assert (one / 0.8 ** steps[0].backtracks - 2 * other).abs().max() < IDENTITY
    assert float(steps[1].kl) == pytest.approx(0.01 / 1.8**2)


def test_a_step_that_helps_nowhere_is_not_made():
    start = [torch.ones(3).requires_grad_()]
    step = trust_region_step(
        lambda ps: (0 * ps[0].sum(), ps[0]), lambda p, _: (p - 1).square().sum(), start, 0.01, 0.0, 5, 4, 0.8
    )
    assert torch.equal(step.parameters[0], start[0])
    assert step.loss_after == step.loss_before


@kinds
def test_products_with_the_hessian_equal_second_derivatives_of_the_kl(core, actions):
    """Through a step of adaptation: Jᵀ F J v against the derivative of the whole gradient, in float64."""
    agent = agent_of(core, actions)
    adaptation = Adaptation(agent, MAMLConfig(steps=1, rate=0.3))
    parts, names = random_parts(agent, 2), list(adaptation.trained)
    parameters = [adaptation.trained[name].detach().clone().requires_grad_() for name in names]
    policy = adaptation.policies(dict(zip(names, parameters, strict=True)), parts, (True, True))[-1]

    def divergence(new, played):
        return agent.policy.kl(new, played).mean()

    def gradients(outputs, **options):
        return torch.autograd.grad(outputs, parameters, allow_unused=True, materialize_grads=True, **options)

    product = _hessian_product(policy, divergence, parameters, 0.1)
    slope = flat(gradients(divergence(policy, policy.detach()), create_graph=True))
    assert slope.abs().max() < IDENTITY, "the policy that played is where the KL is least"
    generator = torch.Generator().manual_seed(2)
    for _ in range(3):
        vector = torch.randn(slope.shape, generator=generator)
        expected = flat(gradients(slope @ vector, retain_graph=True)) + 0.1 * vector
        assert (product(vector) - expected).abs().max() < IDENTITY


def worker_of(model, episodes=1, steps=1, task="navigation_2d", rows=12, options=None, **maml):
    if options is None:
        options = {"episodes": episodes, "steps": 20 if task == "navigation_2d" else 10}
    length = 20 if task == "navigation_2d" else 10
    algo = AlgorithmConfig(
        name="maml",
        returns="gae",
        synchronous=True,
        unroll_length=length,
        discount=0.99,
        maml=MAMLConfig(**{"steps": steps, "episodes": 4} | maml),
        ppo=PPOConfig(epochs=3),
    )
    spec = WorkerSpec(task, options, model, rows, algo.played_steps, 0, 0, adaptation=algo)
    with precision(torch.float32):
        return AdaptingWorker(spec), algo


MODELS = {
    name: dataclasses.replace(model, hidden_sizes=tuple(8 for _ in model.hidden_sizes)) for name, model in CORES.items()
}


@pytest.mark.parametrize("core", list(CORES))
@pytest.mark.parametrize(("episodes", "steps"), [(1, 1), (1, 3), (2, 1), (4, 3)])
@pytest.mark.parametrize("task", ["navigation_2d", "tabular_mdp"])
def test_the_learner_finds_the_probabilities_of_what_actors_played(core, episodes, steps, task):
    """Ratio 1 in every phase: adaptation in the actor and in the learner are the same function."""
    with precision(torch.float32):
        worker, algo = worker_of(MODELS[core], episodes, steps, task)
        played = worker.unroll().trajectory
        parts, fresh = parts_of(make_batch([played], [], torch.device("cpu")), algo)
        assert fresh == [True, *[episodes == 1] * steps]
        adaptation = Adaptation(worker.agent, algo.maml)
        policies = adaptation.policies(adaptation.trained, parts, fresh)
        for part, policy in zip(parts, policies, strict=True):
            assert (worker.agent.policy.log_prob(policy, part.action) - part.log_prob).abs().max() < 1e-4
        last = policies[-1][:, :, 0]
        assert (last[:, 0] - last[:, 1]).abs().max() > 1e-3, "each task has its own policy"


def test_rows_of_a_task_share_what_is_hidden_through_all_phases():
    with precision(torch.float32):
        worker, _ = worker_of(MODELS["mlp"], steps=2)
        for _ in range(2):
            info = worker.unroll().info
            goals = np.stack((info["goal_x"], info["goal_y"]), -1).reshape(3, 20, 3, 4, 2)
            assert (goals == goals[:1, :1, :, :1]).all()
            assert len(np.unique(goals)) == 6
            assert (info["adaptation"] == np.repeat(np.arange(3), 20)[:, None]).all()
            first = info["first"]
            assert first[::20].all()
            assert first.sum() == first[::20].size
        assert not np.array_equal(goals, worker.unroll().info["goal_x"])


def test_wrong_sizes_and_tasks_are_told():
    with precision(torch.float32):
        with pytest.raises(ValueError, match=r"13 episodes side by side .* no whole number of tasks"):
            worker_of(MODELS["mlp"], rows=13)
        with pytest.raises(ValueError, match=r"algo=maml needs a task that hides something .*navigation_2d"):
            worker_of(MODELS["mlp"], task="harlow", options={})


def learner_of(worker, algo, **maml):
    algo = dataclasses.replace(algo, maml=dataclasses.replace(algo.maml, **maml))
    learner = Learner(worker.agent.spec, algo, 10**6, seed=0, device="cpu")
    worker.load(*learner.published())
    return learner


@pytest.mark.parametrize(("core", "hessian_tasks"), [("mlp", None), ("mlp", 3), ("gru", None)])
def test_an_update_stays_within_its_kl_and_improves_the_surrogate(core, hessian_tasks):
    with precision(torch.float32):
        worker, algo = worker_of(MODELS[core], rows=32)
        learner = learner_of(worker, algo, hessian_tasks=hessian_tasks)
        for _ in range(3):
            worker.load(*learner.published())
            batch = learner.stage([worker.unroll().trajectory])
            meta = MetaUpdate(learner.agent, batch, learner.config)
            before = [p.detach().clone() for p in meta._trained.values()]
            old, played = meta.surrogate(before)
            metrics = learner.update(batch)
            new, policy = meta.surrogate([p.detach() for p in meta._trained.values()])
            kl = meta.divergence(policy, played)
            assert 0 < kl < 0.01
            assert float(kl) == pytest.approx(metrics["learner/kl"], rel=1e-3)
            assert float(old - new) == pytest.approx(metrics["maml/improvement"], rel=1e-3, abs=1e-6)
            assert old > new
            assert metrics["maml/cg_residual"] < 0.5
            rewards = batch.reward.unflatten(0, (2, 20)).sum(1).mean(1)
            assert [metrics["maml/return_0"], metrics["maml/return_1"]] == pytest.approx(rewards.tolist())


def test_ppo_as_the_outer_step_improves_the_surrogate_with_the_optimizer():
    with precision(torch.float32):
        worker, algo = worker_of(MODELS["mlp"], rows=32)
        learner = learner_of(worker, algo, outer="ppo", inner="ratio", inner_kl=5e-4)
        batch = learner.stage([worker.unroll().trajectory])
        meta = MetaUpdate(learner.agent, batch, learner.config)
        old, _ = meta.surrogate(list(meta._trained.values()))
        metrics = learner.update(batch)
        new, _ = meta.surrogate(list(meta._trained.values()))
        assert new < old
        assert metrics["learner/steps"] == 3 * 4, "passes x minibatches"
        assert metrics["maml/inner_kl"] > 0


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="synchronous=true"):
        AlgorithmConfig(returns="gae", maml=MAMLConfig(steps=1))
    with pytest.raises(ValueError, match=r"maml\.outer=ppo needs ppo\.epochs"):
        AlgorithmConfig(returns="gae", synchronous=True, maml=MAMLConfig(steps=1, outer="ppo"))
