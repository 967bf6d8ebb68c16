"""The two-step task against its definition, its ideal observer against the computed values, its measures."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.trials import simulate
from prefrontal.envs.two_step.analysis import CELLS, analyse, anova, lag_regression, summarise
from prefrontal.envs.two_step.baselines import BASELINES, posterior
from prefrontal.envs.two_step.env import FIXATE, TwoStepEnv, TwoStepSettings
from prefrontal.envs.two_step.prediction_errors import arrival_regression, rpe_regression


def played(name="random", episodes=2000, **options):
    settings = TwoStepSettings(**options)
    env = TwoStepEnv(settings, 1000)
    trials, returns = simulate(env, BASELINES[name](env), episodes, seed=3)
    return settings, trials, returns


@pytest.mark.parametrize("options", [{}, {"common": 0.6, "reward": 0.7, "reversal": 0.2}, {"steps_per_trial": 2}])
def test_frequencies_are_those_of_the_definition(options):
    """Transitions, rewards in each state, reversals and the first good state, each within 4 standard errors."""
    settings, trials, _ = played(**options)

    def check(observed, probability):
        error = np.sqrt(probability * (1 - probability) / len(observed))
        assert abs(observed.mean() - probability) < 4 * error

    check(trials["common"], settings.common)
    in_good = trials["state"] == trials["good_state"]
    check(trials["reward"][in_good], settings.reward)
    check(trials["reward"][~in_good], 1 - settings.reward)
    inside = trials["trial"][1:] > 0
    check((trials["good_state"][1:] != trials["good_state"][:-1])[inside], settings.reversal)
    check(trials["good_state"][trials["trial"] == 0], 0.5)
    assert np.array_equal(trials["common"], trials["choice"] == trials["state"])


@pytest.mark.parametrize(
    ("options", "reward", "bars"),
    [
        ({}, 0.705, (1.0, 0.66, 0.66, 1.0)),
        ({"common": 0.9, "reversal": 0.1}, 0.703, (1.0, 0.0, 0.0, 1.0)),
        ({"common": 0.75, "reversal": 0.0, "trials": 10}, 0.669, (1.0, 0.5, 0.5, 1.0)),
        ({"steps_per_trial": 3}, 0.705, (1.0, 0.66, 0.66, 1.0)),
    ],
)
def test_ideal_observer_reaches_the_computed_values(options, reward, bars):
    settings, trials, _ = played("ideal_observer", 4000, **options)
    measures = summarise(trials, settings)
    tolerance = 0.012 if settings.trials == 10 else 0.004
    assert measures["reward_per_trial"] == pytest.approx(reward, abs=tolerance)
    assert list(measures["stay_probability"].values()) == pytest.approx(bars, abs=0.05)


def test_posterior_is_bayes_rule():
    settings = TwoStepSettings(reversal=0.1)
    belief = posterior(np.array([0.3]), np.array([1]), np.array([1.0]), settings)
    seen = 0.3 * 0.9 / (0.3 * 0.9 + 0.7 * 0.1)
    assert belief[0] == pytest.approx(seen * 0.9 + (1 - seen) * 0.1)


def test_stages_show_what_they_should():
    env = TwoStepEnv(TwoStepSettings(steps_per_trial=3, trials=2), 1)
    obs, _ = env.reset(seed=0)
    assert obs.tolist() == [[0, 0, 0, 1]]
    obs, reward, *_ = env.step(np.array([0]))
    assert (obs.tolist(), reward[0]) == ([[1, 0, 0, 0]], -1), "a fixation elsewhere costs 1"
    obs, reward, *_, info = env.step(np.array([1]))
    assert reward[0] == 0
    assert obs[0, 1 + info["state"][0]] == 1
    obs, reward, terminated, _, info = env.step(np.array([FIXATE]))
    assert info["trial_done"][0]
    assert reward[0] in (-1, 0), "fixating in the second stage costs 1"
    assert not terminated[0]


def test_one_step_observation_is_the_last_outcome_state():
    env = TwoStepEnv(TwoStepSettings(), 50)
    obs, _ = env.reset(seed=0)
    assert (obs[:, 0] == 1).all()
    rng = np.random.default_rng(0)
    for _ in range(5):
        obs, *_, info = env.step(rng.integers(2, size=50))
        assert np.array_equal(obs.argmax(1) - 1, info["state"])


def test_stay_probabilities_by_hand():
    trials = {
        "episode": np.array([0, 0, 0, 0, 1, 1]),
        "trial": np.array([0, 1, 2, 3, 0, 1]),
        "choice": np.array([0, 0, 1, 1, 1, 0]),
        "reward": np.array([1.0, 0, 0, 1, 1, 0]),
        "common": np.array([True, True, False, True, True, True]),
    }
    stay = summarise(trials, TwoStepSettings())["stay_probability"]
    assert stay["rewarded_common"] == 0.5  # stayed after trial 0, switched in the second episode
    assert stay["unrewarded_common"] == 0.0
    assert stay["unrewarded_uncommon"] == 1.0
    assert np.isnan(stay["rewarded_uncommon"])


def test_regression_and_anova_tell_the_agents_apart():
    """Model-based: interaction; model-free: main effect of reward; random: neither."""
    fits = {
        name: (lag_regression(t), anova(t))
        for name in ("model_based", "model_free", "random")
        for t in [played(name, 400)[1]]
    }
    based, free, random = (fits[name] for name in ("model_based", "model_free", "random"))
    assert based[0]["rewarded_common"][0] > 0.5
    assert based[0]["rewarded_uncommon"][0] < -0.5
    assert free[0]["rewarded_common"][0] > 0.5
    assert free[0]["rewarded_uncommon"][0] > 0.5
    assert max(abs(w) for weights in random[0].values() for w in weights) < 0.15
    assert based[1]["interaction"]["p"] < 1e-6
    assert based[1]["interaction"]["F"] > 3 * based[1]["reward"]["F"]
    assert free[1]["reward"]["F"] > 3 * free[1]["interaction"]["F"]
    assert min(effect["p"] for effect in random[1].values()) > 1e-3


def test_anova_against_scipy_on_one_factor():
    """With the other factor averaged out, F of a two-level factor is the square of a t statistic of the contrast."""
    _, trials, _ = played("model_based", 300)
    effects = anova(trials)
    assert set(effects) == {"reward", "transition", "interaction"}
    assert all(0 <= effect["p"] <= 1 for effect in effects.values())


def perfect_critic(trials, settings):
    """The reward expected just before each trial's last action, by the forward algorithm over the good state."""
    pays = {True: settings.reward, False: 1 - settings.reward}
    values = []
    for row in range(len(trials["trial"])):
        if trials["trial"][row] == 0:
            good = [0.5, 0.5]
        choice, state = int(trials["choice"][row]), int(trials["state"][row])
        reach = [settings.common if s == choice else 1 - settings.common for s in (0, 1)]
        if settings.steps_per_trial > 1:  # the second stage is in view
            reach = [float(s == state) for s in (0, 1)]
        values.append(sum(good[g] * reach[s] * pays[s == g] for g in (0, 1) for s in (0, 1)))
        likely = [pays[state == g] if trials["reward"][row] else 1 - pays[state == g] for g in (0, 1)]
        after = [good[g] * likely[g] / (good[0] * likely[0] + good[1] * likely[1]) for g in (0, 1)]
        stays = 1 - settings.reversal
        good = [stays * after[g] + settings.reversal * after[1 - g] for g in (0, 1)]
    return np.array(values)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_prediction_errors_of_a_perfect_critic_are_model_based(steps):
    settings, trials, _ = played("ideal_observer", 200, steps_per_trial=steps)
    trials = {**trials, "rpe": trials["reward"] - perfect_critic(trials, settings)}
    fit = rpe_regression(trials, settings)
    assert fit["r2_model_based"] == pytest.approx(1.0, abs=1e-9)
    assert fit["unique_model_free"] == pytest.approx(0.0, abs=1e-9)
    assert fit["unique_model_based"] > 0.01
    assert set(analyse(trials, settings)["lag_regression"]) == set(CELLS)


@pytest.mark.parametrize("steps", [2, 3])
def test_errors_at_the_second_stage_tell_model_based_from_model_free(steps):
    """Of a perfect critic: what it expects once the state is in view, less what it expected of the choice."""
    settings, trials, _ = played("ideal_observer", 200, steps_per_trial=steps)
    planned = perfect_critic(trials, TwoStepSettings(steps_per_trial=1))
    trials = {**trials, "rpe": trials["reward"], "rpe_choice": perfect_critic(trials, settings) - planned}
    fit = arrival_regression(trials, settings)
    assert fit["r2_model_based"] == pytest.approx(1.0, abs=1e-9)
    assert fit["r2_model_free"] < 0.01
    assert 0.3 < fit["r2_model_free_with_states"] < 0.9
    assert "rpe_regression_second_stage" in analyse(trials, settings)


def test_a_model_free_critic_is_found_out_at_the_second_stage():
    settings, trials, _ = played("random", 100, steps_per_trial=2)
    values, taken_back = np.full(2, 0.5), []
    for row in range(len(trials["trial"])):
        if trials["trial"][row] == 0:
            values = np.full(2, 0.5)
        taken_back.append(-values[trials["choice"][row]])
        values[trials["choice"][row]] += 0.3 * (trials["reward"][row] - values[trials["choice"][row]])
    fit = arrival_regression({**trials, "rpe_choice": np.array(taken_back)}, settings)
    assert fit["r2_model_free"] == pytest.approx(1.0, abs=1e-9)
    assert fit["r2_model_based"] < 0.1


def test_settings_are_checked():
    for bad in ({"common": 1.2}, {"trials": 0}, {"steps_per_trial": 4}):
        with pytest.raises(ValueError, match=rf"task\.{next(iter(bad))}="):
            registry.get("two_step").configure(bad)
    assert registry.get("two_step").actions == ("left", "right")
