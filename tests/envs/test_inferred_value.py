"""Linked targets: the task against its definition, observers against enumeration, errors of each step in the table."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.inferred_value.analysis import analyse, cue_errors, references, summarise
from prefrontal.envs.inferred_value.baselines import BASELINES, IdealObserver, ModelFree
from prefrontal.envs.inferred_value.env import FIXATE, InferredValueEnv, InferredValueSettings
from prefrontal.envs.trials import TrialRecorder, simulate

DEFAULT = InferredValueSettings()


def episodes(name, settings=DEFAULT, count=400, seed=3):
    env = InferredValueEnv(settings, count)
    return simulate(env, BASELINES[name](env), count, seed)[0]


def by_episode(trials, name):
    return trials[name].reshape(trials["episode"].max() + 1, -1)


def test_targets_and_reversals_are_drawn_as_told():
    """Within four standard errors."""
    trials = episodes("ideal_observer", count=3000)
    reversed_, side = by_episode(trials, "reversed"), by_episode(trials, "rewarded_side")
    assert (reversed_.sum(1) == 1).all()
    (where,) = (np.bincount(reversed_.argmax(1), minlength=20),)
    assert not where[:5].any()
    assert not where[15:].any()
    assert where[5:15] == pytest.approx(300, abs=4 * np.sqrt(300 * 0.9))
    assert (np.diff(side, axis=1) != 0).sum() == 3000
    assert ((np.diff(side, axis=1) != 0) == reversed_[:, 1:]).all()
    assert side[:, 0].mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(3000))
    assert trials["target"].mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(60_000))
    assert (trials["rewarded"] == (trials["target"] == trials["rewarded_side"])).all()
    assert (trials["reward"] == trials["rewarded"]).all()
    assert (trials["steps"] == 2).all()
    often = episodes("ideal_observer", InferredValueSettings(hazard=0.2), 500)["reversed"].reshape(500, 20)
    assert not often[:, 0].any()
    assert often[:, 1:].mean() == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / often[:, 1:].size))


def test_what_the_step_does_not_allow_costs():
    env = InferredValueEnv(InferredValueSettings(penalty=0.5), 3)
    obs, _ = env.reset(seed=0)
    assert obs.tolist() == [[0, 0, 1]] * 3
    obs, reward, *_ = env.step(np.array([FIXATE, 0, 1]))
    assert reward.tolist() == [0, -0.5, -0.5]
    assert (obs[:, FIXATE] == 0).all(), "the trial goes on"
    shown = obs.argmax(1)
    _, reward, _, _, info = env.step(np.array([shown[0], 1 - shown[1], FIXATE]))
    assert reward[1:].tolist() == [-0.5, -0.5]
    assert info["valid"].tolist() == [True, False, False]
    assert info["fixated"].tolist() == [True, False, False]
    assert info["trial_done"].all()


@pytest.mark.parametrize(
    "settings",
    [InferredValueSettings(trials=6, earliest=2, latest=4), InferredValueSettings(trials=6, hazard=0.3)],
    ids=["once", "hazard"],
)
def test_the_observer_is_bayes_rule(settings):
    """Against the sum over all sequences of sides that an episode may have, in float64."""
    trials = episodes("ideal_observer", settings, 40)
    target, rewarded = by_episode(trials, "target"), by_episode(trials, "rewarded")
    expected = by_episode(trials, "value_target")
    for episode in range(40):
        known = np.where(rewarded[episode], target[episode], 1 - target[episode])
        for t in range(6):
            weights = [0.0, 0.0]
            for sides in itertools.product((0, 1), repeat=6):
                if (np.array(sides[:t]) == known[:t]).all():
                    weights[sides[t]] += chance(sides, settings)
            worth = weights[target[episode, t]] / sum(weights)
            assert expected[episode, t] == pytest.approx(worth, abs=1e-6)  # the table holds float32


def chance(sides, settings):
    """The probability of a sequence of rewarded sides, straight from the definition."""
    changes = [t for t in range(1, len(sides)) if sides[t] != sides[t - 1]]
    if settings.hazard:
        return 0.5 * np.prod([settings.hazard if t in changes else 1 - settings.hazard for t in range(1, len(sides))])
    places = range(settings.earliest - 1, settings.latest)
    return 0.5 / len(places) if len(changes) == 1 and changes[0] in places else 0.0


def test_errors_around_a_reversal():
    """The ideal observer infers, and is sure after one outcome; who learns each target by itself does not."""
    ideal, free = (reference.values for reference in references(DEFAULT))
    assert (ideal["sign_flips"], free["sign_flips"]) == (1, 0)
    assert ideal["inferred_over_experienced"] == pytest.approx(1, abs=0.02)
    assert abs(free["inferred_over_experienced"]) < 0.1
    errors = cue_errors(episodes("ideal_observer", count=4000))
    assert errors["to_unrewarded"]["inferred"] == pytest.approx(-0.5, abs=1e-6), (
        "after the only reversal nothing is open"
    )
    assert errors["to_rewarded"]["inferred"] == pytest.approx(0.5, abs=1e-6)
    assert errors["to_unrewarded"]["n"] == pytest.approx(-errors["to_rewarded"]["n"], abs=0.03)
    model = episodes("model_free", count=200)
    first = model["trial"] == 0
    assert model["rpe_target"][first] == pytest.approx(model["reward"][first] - 0.5)
    assert np.isnan(analyse(episodes("random", count=4), DEFAULT).get("sign_flips", np.nan))


def test_a_trial_has_values_and_errors_of_each_of_its_steps():
    """Also trials of several lengths, cut off by an episode's end; NaN for phases that were not reached."""
    spec = {"trial": np.int32, "trial_done": np.bool_}
    recorder = TrialRecorder(spec, 2, 2, ("cue", "choice"))
    no, yes = np.array([False, False]), np.array([True, True])
    steps = [  # trial_done, ended, value
        ([False, True], no, [1.0, 2.0]),
        ([True, False], no, [3.0, 4.0]),
        ([False, False], no, [5.0, 6.0]),
        ([False, True], no, [7.0, 8.0]),
        ([True, True], yes, [9.0, 10.0]),
    ]
    for done, ended, value in steps:
        info = {"trial": np.zeros(2, dtype=np.int32), "trial_done": np.array(done)}
        value = np.array(value)
        recorder.add(info, np.zeros(2), ended, value=value, rpe=-value)
    trials = recorder.trials()
    assert trials["episode"].tolist() == [0, 0, 1, 1, 1]
    assert trials["steps"].tolist() == [2, 3, 1, 3, 1]
    assert trials["value_cue"].tolist() == [1, 5, 2, 4, 10]
    assert np.array_equal(trials["value_choice"], [3, 7, np.nan, 6, np.nan], equal_nan=True)
    assert np.array_equal(trials["rpe_choice"], [-3, -7, np.nan, -6, np.nan], equal_nan=True)
    assert trials["value"].tolist() == [3, 9, 2, 8, 10]


def test_measures_of_a_network_that_does_not_judge():
    trials = episodes("random", count=50)
    assert summarise(trials, DEFAULT)["valid"] == pytest.approx(1 / 9, abs=4 * np.sqrt(8 / 81 / 1000))
    assert analyse(trials, DEFAULT) == {}
    assert np.isnan(summarise({}, DEFAULT)["valid"])


def test_baselines_judge_with_a_discount_of_one():
    for player in (IdealObserver, ModelFree):
        env = InferredValueEnv(DEFAULT, 30)
        trials = simulate(env, player(env), 30, 1)[0]
        assert trials["rpe_fixation"] == pytest.approx(trials["value_target"] - 0.5, abs=1e-6)
        assert trials["rpe_target"] == pytest.approx(trials["reward"] - trials["value_target"], abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"latest": 5}, r"latest=5 has to lie from 6 \(earliest\) to 20 \(trials\)"),
        ({"latest": 21}, "latest=21"),
        ({"trials": 1}, "trials"),
        ({"hazard": 1.5}, "hazard"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        registry.make_vector("inferred_value", 2, **wrong)
