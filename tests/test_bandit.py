"""Bandits against their definition; the classical and optimal agents against the computed regrets."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs.bandit.analysis import (
    COMPUTED,
    analyse,
    fit_learning_rate,
    regret_curve,
    summarise,
    transfer_figure,
)
from prefrontal.envs.bandit.baselines import BASELINES, bayes_optimal
from prefrontal.envs.bandit.env import BanditEnv, BanditSettings
from prefrontal.envs.bandit.indices import gittins_table, optimal_policy
from prefrontal.envs.trials import simulate


def played(agent, episodes=4000, **options):
    settings = BanditSettings(**options)
    env = BanditEnv(settings, 1000)
    trials, returns = simulate(env, BASELINES[agent](env), episodes, seed=5)
    return settings, trials, returns


@pytest.mark.parametrize("arms", COMPUTED)
@pytest.mark.parametrize("agent", ["thompson", "ucb", "bayes_optimal"])
def test_regret_of_the_baselines(arms, agent):
    """Within 4 standard errors of the values computed from 40,000 problems."""
    settings, trials, _ = played(agent, arms=arms)
    gaps = (trials["best"] - trials["chosen"]).reshape(4000, 100).sum(1)
    expected = dict(zip(("thompson", "ucb", "bayes_optimal"), COMPUTED[arms], strict=True))[agent]
    assert gaps.mean() == pytest.approx(expected, abs=4 * gaps.std() / np.sqrt(4000) + 0.02)
    assert summarise(trials, settings)["regret"] == pytest.approx(gaps.mean(), rel=1e-4)
    mean, half = regret_curve(trials, settings)
    assert mean[-1] == pytest.approx(gaps.mean(), rel=1e-4)
    assert (np.diff(mean) >= -1e-9).all()
    assert 0 < half[-1] < 0.5


def test_informative_bandit():
    settings, trials, returns = played("bayes_optimal", 500, arms="informative")
    assert returns.mean() == pytest.approx(20.55, abs=0.1)
    assert summarise(trials, settings)["return"] == pytest.approx(returns.mean(), rel=1e-5)
    env = BanditEnv(settings, 2000)
    env.reset(seed=0)
    _, paid, *_ = env.step(np.full(2000, 10))
    assert sorted(set(np.round(paid, 2).tolist())) == pytest.approx(np.arange(1, 11) / 10)
    target = np.rint(paid * 10).astype(int) - 1
    _, paid, *_ = env.step(target)
    assert (paid == 5).all()
    _, paid, *_ = env.step((target + 1) % 10)
    assert (paid == 1).all()


@pytest.mark.parametrize(
    ("arms", "check"),
    [
        ("independent", lambda p: abs(np.corrcoef(p.T)[0, 1]) < 0.06),
        ("uniform", lambda p: np.allclose(p.sum(1), 1) and abs(p[:, 0].var() - 1 / 12) < 0.005),
        ("easy", lambda p: set(np.round(p.ravel(), 4)) == {0.1, 0.9}),
        ("medium", lambda p: set(np.round(p.ravel(), 4)) == {0.25, 0.75}),
        ("hard", lambda p: set(np.round(p.ravel(), 4)) == {0.4, 0.6}),
        ("normalised", lambda p: np.allclose(p.sum(1), 1) and p[:, 0].var() < 0.06),
    ],
)
def test_arms_are_drawn_from_their_distribution(arms, check):
    env = BanditEnv(BanditSettings(arms=arms), 4000)
    env.reset(seed=1)
    assert check(np.round(env.means.astype(float), 6))
    assert env.means.mean() == pytest.approx(0.5, abs=0.02)


def test_rewards_follow_the_means_and_custom_arms_are_kept():
    env = BanditEnv(BanditSettings(arms="custom", probabilities=(0.2, 0.7, 0.5)), 500)
    env.reset(seed=0)
    paid = np.array([[env.step(np.full(500, arm))[1].mean() for _ in range(33)] for arm in range(3)])
    assert paid.mean(1) == pytest.approx([0.2, 0.7, 0.5], abs=0.02)
    assert len(BanditEnv(BanditSettings(num_arms=5), 3).reset(seed=0)[0]) == 3


def test_restless_arms_walk_at_two_speeds_and_stay_probabilities():
    settings = BanditSettings(arms="restless", volatility=(0.02, 0.2))
    env = BanditEnv(settings, 400)
    env.reset(seed=0)
    walk, volatile = [], None
    for _ in range(149):
        *_, info = env.step(np.zeros(400, dtype=int))
        walk.append(info["arm_1"])
        volatile = info["volatile"]
    walk = np.array(walk)
    assert walk.min() >= 0
    assert walk.max() <= 1
    steps = np.abs(np.diff(walk, axis=0)).mean(0)
    assert steps[~volatile].mean() == pytest.approx(0.02 * np.sqrt(2 / np.pi), rel=0.1)
    assert steps[volatile].mean() > 5 * steps[~volatile].mean()
    assert 0.4 < volatile.mean() < 0.6


def test_fitted_learning_rate_finds_the_rate_of_an_agent_that_has_one():
    settings, trials, _ = played("rescorla_wagner", 300, arms="restless", trials=100)
    for volatile in (False, True):
        assert fit_learning_rate(trials, settings, volatile) == pytest.approx(0.5, abs=0.08)
    assert set(analyse(trials, settings)) == {"regret_curve", "learning_rate"}


def test_gittins_index_against_known_values():
    """Long horizon limits and orderings: more successes raise it, a pull less of horizon lowers it to the mean."""
    table = gittins_table(100)
    assert table[0, 0] > table[0, 1]
    assert table[1, 0] > table[0, 0] > 0.5
    last = gittins_table(1)
    assert last[0, 0] == pytest.approx(0.5, abs=0.002)
    # Two pulls left, uniform prior: going on twice pays p + (2/3 or retire); indifference at lambda = 5/9.
    assert gittins_table(2)[0, 0] == pytest.approx(5 / 9, abs=0.003)


def test_optimal_policy_of_two_pulls_by_hand():
    policy = optimal_policy(2)
    assert policy[0][0, 0, 0] == 2
    assert policy[1][1, 1, 0] == 0, "after a success: stay"
    assert policy[1][1, 0, 0] == 1, "after a failure: the other arm"


def test_what_cannot_be_is_refused():
    for bad in ({"arms": "custom"}, {"arms": "easy", "num_arms": 3}, {"probabilities": (0.1, 0.2)}, {"trials": 0}):
        with pytest.raises(ValueError, match="bandit"):
            BanditSettings(**bad)
    with pytest.raises(ValueError, match="no Bayes-optimal agent"):
        bayes_optimal(BanditEnv(BanditSettings(arms="normalised"), 2))
    with pytest.raises(ValueError, match="rewards of 0 and 1"):
        BASELINES["thompson"](BanditEnv(BanditSettings(arms="informative"), 2))


def test_transfer_matrix_is_drawn():
    names = ["easy", "hard"]
    figure = transfer_figure({("easy", "hard"): 3.0, ("hard", "hard"): 2.0, ("easy", "easy"): 0.7}, names)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.7", "3.0", "-", "2.0"]
