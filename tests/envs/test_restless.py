"""Learning rates by volatility: fits on a grid against a plain likelihood, and learners whose rate is known."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs.bandit.analysis import baseline_trials
from prefrontal.envs.bandit.env import BanditSettings
from prefrontal.envs.bandit.restless import (
    BLOCK,
    INVERSE_TEMPERATURES,
    LAPSES,
    MODELS,
    RATES,
    blocks_of,
    fitted,
    volatility_tracking,
)
from prefrontal.envs.trials import Trials

SETTINGS = BanditSettings(arms="restless", trials=150)


def played(name, episodes=240) -> Trials:
    return baseline_trials(name, SETTINGS, episodes)


def plain(choice, reward, rate, inverse_temperature, lapse):
    """Log-likelihood of the choices of one episode."""
    values, total = [0.5, 0.5], 0.0
    for arm, paid in zip(choice.tolist(), reward.tolist(), strict=True):
        odds = np.exp(inverse_temperature * np.array(values))
        total += np.log((1 - lapse) * odds[arm] / odds.sum() + lapse / 2)
        values[arm] += rate * (paid - values[arm])
    return total


def test_the_grid_holds_the_likelihood_of_each_block():
    trials = played("rescorla_wagner")
    blocks = blocks_of(trials, SETTINGS)
    assert blocks.trials == len(blocks.volatile) * BLOCK * 150
    table = {name: trials[name].reshape(-1, 150) for name in ("choice", "reward", "volatile")}
    calm = np.flatnonzero(~table["volatile"][:, 0])[:BLOCK]
    for point in ((0, 3, 0), (11, 9, 2), (20, 15, 5)):
        wanted = sum(
            plain(
                table["choice"][e],
                table["reward"][e],
                RATES[point[0]],
                INVERSE_TEMPERATURES[point[1]],
                LAPSES[point[2]],
            )
            for e in calm
        )
        assert blocks.log_likelihood[(0, *point)] == pytest.approx(wanted, abs=1e-6)


def test_models_are_nested_and_pay_for_what_they_add():
    blocks = blocks_of(played("bayes_optimal"), SETTINGS)
    count = {"b": 1, "ab": 2, "be": 2, "abe": 3}
    likelihood = {}
    for model in MODELS:
        bic, rates = fitted(blocks, model)
        free = count[model]
        parameters = free * len(blocks.volatile) + 3 - free
        likelihood[model] = (parameters * np.log(blocks.trials) - bic) / 2
        assert rates.shape == blocks.volatile.shape
        assert set(rates) <= set(RATES)
    for smaller, larger in (("b", "ab"), ("b", "be"), ("ab", "abe"), ("be", "abe")):
        assert likelihood[smaller] <= likelihood[larger] + 1e-6
    assert likelihood["abe"] == pytest.approx(blocks.log_likelihood.reshape(len(blocks.volatile), -1).max(1).sum())


def test_a_fixed_rate_is_found_and_the_filter_follows_volatility():
    """The learner of the paper has one rate, .5; the filter that infers how fast the world changes has none."""
    fixed, filtered = (volatility_tracking(played(name), SETTINGS) for name in ("rescorla_wagner", "bayes_optimal"))
    assert fixed["learning_rate"]["low"] == pytest.approx(0.5, abs=0.04)
    assert fixed["learning_rate"]["high"] == pytest.approx(0.5, abs=0.04)
    assert min(fixed["bic"], key=fixed["bic"].__getitem__) == "b"
    assert filtered["learning_rate"]["ratio"] > 1.7
    assert min(filtered["bic"], key=filtered["bic"].__getitem__) == "ab"


def test_without_both_kinds_there_is_nothing_to_compare():
    trials = played("rescorla_wagner")
    calm = {name: column[~trials["volatile"]] for name, column in trials.items()}
    assert volatility_tracking(calm, SETTINGS) == {}
    few = {name: column[trials["episode"] < 5] for name, column in trials.items()}
    assert volatility_tracking(few, SETTINGS) == {}
