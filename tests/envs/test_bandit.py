"""Bandits against their definition; the classical and optimal agents against the computed regrets."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.bandit.analysis import (
    COMPUTED,
    analyse,
    fit_learning_rate,
    references,
    regret_curve,
    summarise,
    transfer_matrix,
)
from prefrontal.envs.bandit.baselines import BASELINES, bayes_optimal
from prefrontal.envs.bandit.drawing import figures, transfer_figure
from prefrontal.envs.bandit.env import BanditEnv, BanditSettings
from prefrontal.envs.registry import make_single
from prefrontal.envs.trials import Evaluation, simulate


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
    expected = dict(zip(("oracle", "thompson", "ucb", "bayes_optimal"), COMPUTED[arms], strict=True))[agent]
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
    ("agent", "arms", "regret", "suboptimal"),
    [
        ("thompson", "uniform", 2.81, 11.8),
        ("bayes_optimal", "uniform", 1.24, 7.6),
        ("bayes_optimal", "easy", 0.63, 0.8),
        ("bayes_optimal", "medium", 0.99, 2.0),
        ("thompson", "hard", 4.07, 20.3),
        ("ucb1", "independent", 5.57, None),
        ("ucb1", "hard", 5.97, None),
        ("random", "normalised", 19.23, 50.0),
        ("random", "easy", 40.0, 50.0),
        ("oracle", "independent", 0.0, 0.0),
    ],
)
def test_suboptimal_pulls_and_the_simpler_agents(agent, arms, regret, suboptimal):
    settings, trials, returns = played(agent, arms=arms)
    gaps = (trials["best"] - trials["chosen"]).reshape(4000, 100).astype(float)
    measures = summarise(trials, settings)
    assert measures["regret"] == pytest.approx(regret, abs=4 * gaps.sum(1).std() / np.sqrt(4000) + 0.02)
    if suboptimal is not None:
        error = (gaps > 1e-6).sum(1).std() / np.sqrt(4000)
        assert measures["suboptimal_pulls"] == pytest.approx(suboptimal, abs=4 * error + 0.05)
    assert measures["return"] == pytest.approx(returns.mean(), rel=1e-5)


def test_gittins_index_plays_almost_optimally():
    """Regrets of two independent samples lie at most 4 standard errors apart."""
    gittins, best = (
        np.add.reduceat(trials["best"] - trials["chosen"], np.arange(0, 400_000, 100))
        for trials in (played(agent)[1] for agent in ("gittins", "bayes_optimal"))
    )
    error = np.hypot(gittins.std(), best.std()) / np.sqrt(4000)
    assert abs(gittins.mean() - best.mean()) < 4 * error
    assert gittins.mean() < COMPUTED["independent"][1] - 4 * gittins.std() / np.sqrt(4000)


def test_filter_is_best_where_arms_drift_and_its_learning_rate_follows_volatility():
    settings, trials, _ = played("bayes_optimal", 1000, arms="restless")
    regret = summarise(trials, settings)["regret"]
    for other in ("thompson", "ucb", "rescorla_wagner", "gittins"):
        assert regret < summarise(played(other, 1000, arms="restless")[1], settings)["regret"] - 1
    rates = analyse(trials, settings)["learning_rate"]
    assert rates["low_volatility"] + 0.2 < rates["high_volatility"]


def test_references_state_the_expected_reward_and_fall_back_on_simulation():
    best, *_ = references(BanditSettings(arms="uniform"))
    assert best.values == pytest.approx({"reward_per_trial": 0.75 - 0.0124, "regret": 1.24, "return": 73.76})
    settings, trials, _ = played("oracle", arms="normalised")
    assert summarise(trials, settings)["reward_per_trial"] == pytest.approx(COMPUTED["normalised"][0], abs=0.004)
    (best,) = references(BanditSettings(arms="informative"))
    assert best.values["return"] == pytest.approx(20.55, abs=0.1)
    assert [r.name for r in references(BanditSettings(trials=20))] == ["best possible", "Thompson", "UCB (chi = 1)"]
    assert [r.name for r in references(BanditSettings(trials=20, num_arms=4))] == ["Thompson", "UCB (chi = 1)"]


def test_measures_do_not_need_whole_episodes():
    settings, trials, _ = played("thompson", arms="easy")
    rng = np.random.default_rng(0)
    piece = {key: column[rng.permutation(len(column))[:40_000]] for key, column in trials.items()}
    whole, cut = summarise(trials, settings), summarise(piece, settings)
    assert cut["regret"] == pytest.approx(whole["regret"], rel=0.1)
    assert cut["return"] == pytest.approx(whole["return"], rel=0.02)
    few = {key: column[5:60] for key, column in trials.items()}  # no episode is complete
    assert np.isnan(analyse(few, settings)["regret_curve"]["mean"]).all()
    assert set(dict(figures([Evaluation(few, {})], settings))) == {"regret", "raster"}


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
    assert set(analyse(trials, settings)) == {"regret_curve", "reward_by_trial", "learning_rate", "by_block"}


def test_what_cannot_be_is_refused():
    for name, bad in (
        ("probabilities", {"arms": "custom"}),
        ("num_arms", {"arms": "easy", "num_arms": 3}),
        ("num_arms", {"num_arms": 2.5}),
        ("probabilities", {"probabilities": (0.1, 0.2)}),
        ("volatility", {"arms": "restless", "volatility": (np.inf, np.inf)}),
        ("trials", {"trials": 0}),
        ("trials", {"trials": 2**31}),
    ):
        with pytest.raises(ValueError, match=rf"task\.{name}="):
            registry.get("bandit").configure(bad)
    with pytest.raises(ValueError, match="no Bayes-optimal agent"):
        bayes_optimal(BanditEnv(BanditSettings(arms="normalised", num_arms=3), 2))
    with pytest.raises(ValueError, match="no Bayes-optimal agent"):
        bayes_optimal(BanditEnv(BanditSettings(trials=1000), 2))
    with pytest.raises(ValueError, match="up to 250 pulls"):
        played("gittins", 1000, trials=1000)
    with pytest.raises(ValueError, match="rewards of 0 and 1"):
        BASELINES["thompson"](BanditEnv(BanditSettings(arms="informative"), 2))


def test_long_episodes_leave_out_what_takes_too_long():
    trials = played("thompson", 20, trials=400)[1]
    drawn = dict(figures([Evaluation(trials, {})], BanditSettings(trials=400)))["regret"]
    titles = {line.get_label() for line in drawn.axes[0].lines}
    assert titles == {"Thompson", "UCB (chi = 1)", "Rescorla-Wagner", "network (95 % CI)"}


def test_a_player_is_told_what_was_paid_but_not_the_truth():
    env = make_single("bandit", "ansi", arms="informative")
    env.reset(seed=0)
    assert env.render() == "pull 1 of 5   " + " ".join(f"[{arm}]" for arm in range(1, 12)) + "   total 0"
    _, paid, *_ = env.step(10)
    assert f"<11> paid {paid:g}" in env.render()
    many = make_single("bandit", "rgb_array", num_arms=200)
    many.reset(seed=0)
    assert many.render().shape == (300, 400, 3)


def test_transfer_matrix():
    names = ["easy", "hard"]
    trials = {(name, other): played("bayes_optimal", arms=other)[1] for name in names for other in names}
    trials.pop(("hard", "easy"))
    regret = transfer_matrix(trials)
    assert regret["easy", "hard"] == pytest.approx(2.30, abs=0.25)
    assert regret["easy", "easy"] == pytest.approx(0.63, abs=0.08)
    figure = transfer_figure(regret | {("hard", "hard"): 2.04}, names)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.6", f"{regret['easy', 'hard']:.1f}", "-", "2.0"]
