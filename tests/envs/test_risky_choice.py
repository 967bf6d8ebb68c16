"""The safe and the risky lever: the task against its definition, the plan against brute force, planted behaviour."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.risky_choice.analysis import analyse, references, summarise
from prefrontal.envs.risky_choice.baselines import BASELINES
from prefrontal.envs.risky_choice.env import RiskyChoiceEnv, RiskyChoiceSettings
from prefrontal.envs.risky_choice.planning import chance_of_win, observer_reward, plan, risky_by_trial
from prefrontal.envs.trials import simulate
from prefrontal.envs.two_sides import FIXATE


def episodes(name, settings, count, seed=0):
    env = RiskyChoiceEnv(settings, count)
    return simulate(env, BASELINES[name](env), count, seed)[0]


def test_observers_reach_what_is_known_of_them():
    """The greedy one, which plans a single trial, is worth 1.384 with shares of .79 and .04 in a simulation."""
    settings = RiskyChoiceSettings()
    assert observer_reward(settings, greedy=True) == pytest.approx(1.384, abs=3e-3)
    assert risky_by_trial(settings, 0.5, greedy=True).mean() == pytest.approx(0.79, abs=5e-3)
    assert risky_by_trial(settings, 0.125, greedy=True).mean() == pytest.approx(0.04, abs=5e-3)
    assert observer_reward(settings) == pytest.approx(1.4312, abs=1e-4)


def test_the_observers_agree_with_beta_binomial_counts_where_p_is_uniform():
    settings = RiskyChoiceSettings(probabilities=(), forced=3, free=10)
    chance = chance_of_win(settings)
    assert all(chance[n, w] == pytest.approx((w + 1) / (n + 2), abs=1e-10) for n in range(13) for w in range(n + 1))
    assert observer_reward(settings) > observer_reward(settings, greedy=True)


@pytest.mark.parametrize("probabilities", [(0.125, 0.5), (0.1, 0.3, 0.35), (0.0, 1.0)])
def test_the_plan_is_the_best_of_all_that_can_be_done(probabilities):
    """Exact fractions, and play that may return from the safe lever at any time."""
    settings = RiskyChoiceSettings(probabilities=probabilities, forced=2, free=6)
    values = [Fraction(p).limit_denominator(1000) for p in probabilities]

    @cache
    def best(left, wins, losses):
        if not left:
            return Fraction(0)
        weights = [p**wins * (1 - p) ** losses for p in values]
        if not sum(weights):
            return Fraction(0)
        win = sum(w * p for w, p in zip(weights, values, strict=True)) / sum(weights)
        risky = win * (4 + best(left - 1, wins + 1, losses)) + (1 - win) * best(left - 1, wins, losses + 1)
        return max(risky, 1 + best(left - 1, wins, losses))

    value, _ = plan(settings)
    for pulls in range(2, 9):
        for wins in range(pulls + 1):
            possible = any(p**wins * (1 - p) ** (pulls - wins) for p in values)
            for left in range(1, 9 - pulls) if possible else ():
                assert value[left, pulls, wins] == pytest.approx(float(best(left, wins, pulls - wins)), abs=1e-12)
    mean = sum(p**w * (1 - p) ** (2 - w) * (1, 2, 1)[w] * best(6, w, 2 - w) for p in values for w in range(3)) / len(
        values
    )
    assert observer_reward(settings) == pytest.approx(float(mean) / 6, abs=1e-12)


@pytest.mark.parametrize("name", ["ideal", "greedy", "oracle", "random"])
def test_baselines_reach_their_closed_forms(name):
    settings = RiskyChoiceSettings()
    measures = summarise(episodes(name, settings, 6000), settings)
    known = {
        "ideal": observer_reward(settings),
        "greedy": observer_reward(settings, greedy=True),
        "oracle": 1.5,
        "random": (1 + 4 * 0.3125) / 2,
    }
    assert measures["reward_per_trial"] == pytest.approx(known[name], abs=0.03)  # the SE is below .01
    assert measures["invalid"] == 0
    if name in ("ideal", "greedy"):
        expected = references(settings)[name == "greedy"].values["risky"]
        assert measures["risky"] == pytest.approx(expected, abs=0.03)


def test_levers_pay_and_are_forced_as_they_should_be():
    settings = RiskyChoiceSettings(probabilities=(0.3,), forced=3, free=9)
    trials = episodes("random", settings, 4000)
    free, choice, reward = trials["free"], trials["choice"], trials["reward"]
    table = choice.reshape(4000, 15)
    assert (table[:, :6].sum(1) == 3).all(), "each lever as often"
    assert table[:, :6].mean(0) == pytest.approx(0.5, abs=0.04), "in random order"
    assert np.array_equal(free.reshape(4000, 15), np.tile(np.arange(15) >= 6, (4000, 1)))
    assert (reward[choice == 0] == 1).all()
    assert set(reward[choice == 1]) == {0, 4}
    assert (reward[choice == 1] > 0).mean() == pytest.approx(0.3, abs=0.012)
    assert (choice == trials["action"]).mean() == pytest.approx(0.5, abs=0.05), "sides are drawn"
    assert (trials["steps"] == 2).all()


def test_probabilities_are_drawn_from_the_list_or_from_all():
    trials = episodes("random", RiskyChoiceSettings(free=1), 6000)
    assert (trials["p"] == 0.5).mean() == pytest.approx(0.5, abs=0.03)
    p = episodes("random", RiskyChoiceSettings(probabilities=(), free=1), 6000)["p"]
    assert np.quantile(p, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)


def test_invalid_actions_cost_and_are_told():
    env = registry.make_vector("risky_choice", 6, penalty=2.0)
    obs, _ = env.reset(seed=0)
    assert (obs == [0, 0, 1]).all()
    obs, reward, *_, info = env.step(np.array([FIXATE, 0, 1, FIXATE, FIXATE, FIXATE]))
    assert reward.tolist() == [0, -2, -2, 0, 0, 0]
    assert not info["trial_done"].any()
    assert (obs[:, :2].sum(1) == 1).all()
    assert (obs[:, 2] == 0).all()
    there = obs[:, :2].argmax(1)
    action = np.where(np.arange(6) < 3, there, np.array([0, 0, 0, FIXATE, 1, 0]))
    action[4:] = 1 - there[4:]
    _, reward, *_, info = env.step(action)
    assert (reward[3:] == -2).all()
    assert (info["choice"] == -1).tolist() == [False] * 3 + [True] * 3
    assert info["fixated"].tolist() == [True, False, False, True, True, True]
    assert info["trial_done"].all()
    bare = registry.make_vector("risky_choice", 2, fixation=False)
    assert bare.single_action_space.n == 2
    assert bare.reset(seed=0)[0].shape == (2, 2)


def test_measures_of_planted_behaviour():
    settings = RiskyChoiceSettings(forced=1, free=3)
    choice = np.array([0, 1, 1, 1, 0, 1, 0, 0, -1, 1], dtype=np.int8)
    trials = {
        "trial": np.tile(np.arange(5, dtype=np.int32), 2),
        "free": np.tile(np.arange(5) >= 2, 2),
        "choice": choice,
        "reward": np.array([1, 4, 4, 0, 1, 4, 1, 1, -1, 0], dtype=np.float32),
        "p": np.repeat(np.float32([0.5, 0.125]), 5),
        "fixated": np.arange(10) != 0,
    }
    measures = summarise(trials, settings)
    assert measures["risky"] == pytest.approx({"p_0.125": 1 / 2, "p_0.5": 2 / 3})
    assert measures["reward_per_trial"] == pytest.approx((4 + 0 + 1 + 1 - 1 + 0) / 6)
    assert measures["invalid"] == pytest.approx(0.2)
    curves = analyse(trials, settings)["risky_by_trial"]
    assert curves["p_0.5"] == [1, 1, 0]
    assert curves["p_0.125"] == pytest.approx([0, np.nan, 1], nan_ok=True)


def test_episodes_too_long_to_plan_have_no_ideal_observer():
    settings = RiskyChoiceSettings(free=5000)
    assert [reference.name for reference in references(settings)] == ["oracle"]
    with pytest.raises(ValueError, match="free=5000"):
        plan(settings)
