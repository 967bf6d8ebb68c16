"""The volatility task: the task against its definition, the observer against a plain loop, planted learning rates."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.behaviour.fitting import fit
from prefrontal.envs.behaviour.rescorla_wagner import RescorlaWagner as Model
from prefrontal.envs.behaviour.sessions import sessions_of
from prefrontal.envs.trials import simulate
from prefrontal.envs.volatility import baselines
from prefrontal.envs.volatility.analysis import analyse, learning_rates, likelier_at_first, references, summarise
from prefrontal.envs.volatility.env import VolatilityEnv, VolatilitySettings

FIGURE = VolatilitySettings(order="figure")


def episodes(player, settings, count, seed=0):
    env = VolatilityEnv(settings, count)
    return simulate(env, player(env), count, seed)[0]


def by_episode(trials, name):
    return trials[name].reshape(trials["episode"].max() + 1, -1)


def test_the_order_of_the_figure():
    trials = episodes(baselines.Random, FIGURE, 40)
    p, block = by_episode(trials, "p_left"), by_episode(trials, "block")
    assert (block == np.repeat(range(4), 100)).all()
    assert (by_episode(trials, "volatile") == np.repeat([False, True, True, False], 100)).all()
    changes = np.flatnonzero(np.diff(p[0] > 0.5)) + 1
    assert changes.tolist() == [100, 120, 140, 160, 180, 200, 220, 240, 260, 280]
    better = np.where(by_episode(trials, "volatile"), 0.9, 0.75)
    assert np.maximum(p, 1 - p) == pytest.approx(better)
    assert 8 <= (p[:, 0] > 0.5).sum() <= 32  # of 40 coins; beyond with a probability below 1e-4


def test_random_blocks_are_drawn_as_told():
    """Rates of new blocks and of reversals, within four standard errors."""
    trials = episodes(baselines.Random, VolatilitySettings(block_trials=50, every=10), 600)
    block, volatile, left = (by_episode(trials, name) for name in ("block", "volatile", "p_left"))
    new, reversed_ = np.diff(block), np.diff(left > 0.5)
    assert set(np.unique(new)) == {0, 1}
    assert (np.diff(volatile.astype(int))[new == 1] != 0).all()
    assert new.mean() == pytest.approx(1 / 50, abs=4 * np.sqrt(0.02 / new.size))
    inside = volatile[:, 1:]
    assert not reversed_[~inside].any()
    assert reversed_[inside].mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / inside.sum()))
    assert volatile[:, 0].mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(600))


@pytest.mark.parametrize("player", [baselines.Random, baselines.Observer])
def test_sides_pay_as_they_should(player):
    trials = episodes(player, FIGURE, 100)
    pays = np.where(trials["choice"] == 0, trials["p_left"], 1 - trials["p_left"])
    for p in np.unique(pays):
        part = pays == p
        assert trials["reward"][part].mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / part.sum()))


@pytest.mark.parametrize("player", [baselines.Observer, baselines.FixedHazard])
def test_the_observer_is_bayes_filter(player):
    """Against a loop over whole histories of (hazard, p) with a transition matrix, in float64."""
    env = VolatilityEnv(FIGURE, 3)
    agent, rng = player(env), np.random.default_rng(0)
    states = [(h, v) for h in agent.hazards for v in agent.values]
    stays_h, stays_v = np.eye(len(agent.hazards)), np.eye(baselines.VALUES)
    switch = (1 - baselines.SWITCH) * stays_h + baselines.SWITCH / len(agent.hazards)
    belief = np.full(len(states), 1 / len(states))
    blocks = [[switch[i, j] * ((1 - h) * stays_v + h / baselines.VALUES) for j, h in enumerate(agent.hazards)]
              for i in range(len(agent.hazards))]  # fmt: skip
    transition = np.block(blocks)
    for _ in range(30):
        action, reward = rng.integers(2), float(rng.integers(2))
        likes = np.array([v if (action == 0) == (reward > 0) else 1 - v for _, v in states])
        belief = belief * likes
        belief = belief / belief.sum() @ transition
        agent.learn(np.full(3, action), np.full(3, reward), np.zeros((3, 2)))
        assert agent.belief[1].ravel() == pytest.approx(belief, rel=1e-10)
    assert agent.hazard[0] == pytest.approx(belief @ [h for h, _ in states], rel=1e-10)
    agent.begin(np.array([True, False, False]))
    assert agent.belief[0] == pytest.approx(1 / len(states))
    assert (agent.act(np.ones((3, 2)))[1:] == (belief @ [v for _, v in states] < 0.5)).all()


def test_what_observers_reach():
    """Fitted rates rise with volatility and fall again for who infers the hazard; less so where it is fixed."""
    ideal, fixed, oracle = (reference.values for reference in references(FIGURE))
    assert oracle["reward"]["stable"] == pytest.approx(0.75, abs=0.005)
    assert oracle["reward"]["volatile"] == pytest.approx(0.9, abs=0.005)
    assert oracle["reward_per_trial"] > ideal["reward_per_trial"] > fixed["reward_per_trial"] > 0.7
    assert ideal["learning_rate"]["volatile_to_stable"] > 1.8
    assert 1.2 < fixed["learning_rate"]["volatile_to_stable"] < 1.45
    assert ideal["learning_rate"]["stable_2"] < ideal["learning_rate"]["volatile_2"] / 1.5


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_planted_learning_rates_are_found(rate):
    """Of a Rescorla-Wagner player in the first block, where its value begins at 0.5: within four standard errors."""
    player = type("Player", (baselines.RescorlaWagner,), {"rate": rate, "inverse_temperature": 2.0})
    trials = episodes(player, FIGURE, 200)
    first = {name: column[trials["block"] == 0] for name, column in trials.items()}
    fitted = fit(Model(opposite=True), sessions_of({"stable_1": first}), starts=1)[0]
    assert learning_rates(trials, FIGURE)["stable_1"] == pytest.approx(fitted.parameters["learning_rate"])
    assert fitted.parameters["learning_rate"] == pytest.approx(rate, abs=4 * fitted.errors["learning_rate"])
    # The player chooses by the logit of 2 value - 1 times its temperature; so does the model.
    assert fitted.parameters["inverse_temperature"] == pytest.approx(2, abs=4 * fitted.errors["inverse_temperature"])


def test_opposite_options_learn_together():
    """The model's values add up to 1, and move as one."""
    learner = Model(opposite=True).learner(np.array([[0.3, 5.0]]))
    for choice, reward in ((0, 1.0), (1, 1.0), (1, 0.0)):
        learner.learn({"choice": np.array([choice]), "reward": np.array([reward])})
    left = 0.5
    for outcome in (1.0, 0.0, 1.0):
        left += 0.3 * (outcome - left)
    odds = np.exp(learner.log_policy()[0])
    assert np.log(odds[0] / odds[1]) == pytest.approx(5 * (2 * left - 1))


def test_measures_and_curves():
    trials = episodes(baselines.Oracle, FIGURE, 60)
    found = summarise(trials, FIGURE)
    assert set(found["reward"]) == {"stable", "volatile", "stable_1", "volatile_1", "volatile_2", "stable_2"}
    parts = [found["reward"][name] for name in ("stable_1", "volatile_1", "volatile_2", "stable_2")]
    assert np.mean(parts) == pytest.approx(found["reward_per_trial"])
    chosen, p = likelier_at_first(trials, FIGURE)
    assert ((p > 0.5) == (chosen == 1)).all()
    assert set(chosen) == {0, 1}
    assert p[[0, 100, 120, 399]] == pytest.approx([0.75, 0.1, 0.9, 0.75])
    random = VolatilitySettings()
    assert set(analyse(episodes(baselines.Random, random, 20), random)["learning_rate"]) == {
        "stable", "volatile", "volatile_to_stable",
    }  # fmt: skip
    assert np.isnan(summarise({}, FIGURE)["reward_per_trial"])
    assert analyse({}, FIGURE) == {}


@pytest.mark.parametrize("wrong", [{"stable": 0.4}, {"volatile": 1.1}, {"every": 0}, {"blocks": 0}, {"order": "paper"}])
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        registry.make_vector("volatility", 2, **wrong)
