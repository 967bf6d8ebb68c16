"""Contextual choice against its definition, the ideal observers against closed forms, its measures, its cues."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.contextual_choice.analysis import HEADLINE, analyse, references, summarise
from prefrontal.envs.contextual_choice.baselines import BASELINES
from prefrontal.envs.contextual_choice.drawing import accuracy_and_error, figures
from prefrontal.envs.contextual_choice.env import ContextualChoiceEnv, ContextualChoiceSettings
from prefrontal.envs.groups import compare
from prefrontal.envs.trials import Evaluation, simulate

SMALL = {"items": 6, "steps": 4, "noise_steps": 2, "evidence_size": 3, "context_size": 2}


def played(name="random", lives=40, **options):
    settings = ContextualChoiceSettings(**options)
    env = ContextualChoiceEnv(settings, lives)
    trials, returns = simulate(env, BASELINES[name](env), 2 * settings.items * lives, seed=3)
    return settings, trials, returns


def a_life(seed=0, rows=5, **options):
    """Observations, cues and infos of a whole life and the first step of the next, [steps, rows, ...]."""
    settings = ContextualChoiceSettings(**options)
    env = ContextualChoiceEnv(settings, rows)
    obs, _ = env.reset(seed=seed)
    seen, cues, infos = [], [], []
    for _ in range(2 * settings.items * settings.steps + 1):
        seen.append(obs)
        cues.append(env.cue())
        obs, *_, info = env.step(np.zeros(rows, dtype=int))
        infos.append(info)
    stacked = {key: np.array([info[key] for info in infos]) for key in env.info_spec}
    return env, np.array(seen), cues, stacked


def test_a_life_has_each_item_twice_with_the_same_context_and_evidence():
    env, seen, _, info = a_life(**SMALL)
    s = env.settings
    trials = seen[:-1].reshape(2 * s.items, s.steps, 5, -1)
    item = info["item"][:-1].reshape(2 * s.items, s.steps, 5)
    assert (item == item[:, :1]).all()
    for row in range(5):
        order = item[:, 0, row]
        assert order[: s.items].tolist() == list(range(s.items))
        assert sorted(order[s.items :]) == list(range(s.items))
        for number, i in enumerate(order[s.items :]):
            new, again = trials[i, :, row], trials[s.items + number, :, row]
            context = slice(s.evidence_size, None)
            assert np.array_equal(new[:, context], again[:, context])
            assert (new[:, context] == new[0, context]).all()
            assert np.array_equal(new[s.noise_steps :], again[s.noise_steps :])
            early = slice(0, s.noise_steps), slice(0, s.evidence_size)
            assert not np.isclose(new[early], again[early]).any(), "noise is drawn anew"
    assert not (item[s.items :, 0] == item[s.items :, :1, :1].squeeze(2)).all(), "lives have orders of their own"
    assert info["item_trial"][-1].tolist() == [0] * 5
    assert not np.isclose(seen[-1, :, -1], seen[0, :, -1]).any(), "a new life has new contexts"


def test_statistics_are_those_of_the_definition():
    """Noise and contexts ~ N(0, 1), evidence ~ N(sign, 1) with either sign, answers of the sign of the evidence."""
    env, seen, _, info = a_life(rows=60)
    steps, size = info["trial"][:-1], env.settings.evidence_size
    seen, early = seen[:-1], steps < env.settings.noise_steps

    def check(values, mean, sd):
        assert abs(values.mean() - mean) < 5 * sd / np.sqrt(values.size)
        assert values.std() == pytest.approx(sd, rel=0.02)

    check(seen[early][:, :size], 0, 1)
    new = ~info["repeated"][:-1] & (steps == 9)
    check(seen[new][:, size:], 0, 1)
    answer = np.where(info["correct"], info["choice"], 1 - info["choice"])[:-1]
    assert abs(answer[new].mean() - 0.5) < 4 * 0.5 / np.sqrt(new.sum())
    check(seen[new][:, :size] - np.where(answer[new] == 1, 1, -1)[:, None], 0, 1)


def test_the_answer_is_the_sign_of_all_evidence_the_unseen_part_too():
    """With one number of evidence a step, what is shown and the answer disagree as often as the normal law says.

    Both signs are alike; given sign 1, the shown part S ~ N(1, 1) and the answer is that of S + U, U ~ N(3, 3).
    """
    _, seen, _, info = a_life(rows=400, items=20, steps=4, noise_steps=3, evidence_size=1)
    last = (info["trial"] == 3) & ~info["repeated"]
    answer = np.where(info["correct"], info["choice"], 1 - info["choice"])[last]
    agree = (seen[last][:, 0] > 0) == (answer == 1)
    rng = np.random.default_rng(0)
    shown, unseen = rng.normal(1, 1, 10**6), rng.normal(3, np.sqrt(3), 10**6)
    expected = ((shown > 0) == (shown + unseen > 0)).mean()
    assert agree.mean() == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(last.sum()))


def test_rewards_and_info_agree():
    _, trials, returns = played(lives=10, **SMALL)
    assert np.array_equal(trials["reward"], trials["correct"].astype(float))
    assert np.bincount(trials["episode"], trials["reward"]).tolist() == returns.tolist()
    assert (trials["steps"] == 1).all()
    assert np.array_equal(trials["repeated"], trials["item_trial"] >= 6)
    assert trials["trial"][:8].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize("key", ["context", "observation"])
def test_cues(key):
    env, seen, cues, info = a_life(key=key, **SMALL)
    part = slice(env.settings.evidence_size, None) if key == "context" else slice(None)
    assert env.cue_size == seen[0, :, part].shape[1]
    for t, cue in enumerate(cues):
        assert np.array_equal(cue.query, seen[t, :, part])
        assert np.array_equal(cue.key, cue.query)
        assert cue.key.dtype == np.float32
        assert cue.retrieve.all()
        assert (cue.new_life == (t % 48 == 0)).all()
        repeated = 24 <= t < 48
        assert (cue.write == (not repeated and t % 4 == 3)).all()
        assert np.array_equal(cue.tag, info["item"][t])
        assert np.array_equal(cue.target, info["item"][t] if repeated else np.full(5, -1))
        assert cue.tag.dtype == cue.target.dtype == np.int32


def test_a_reset_starts_a_new_life():
    env = ContextualChoiceEnv(ContextualChoiceSettings(**SMALL), 3)
    first, _ = env.reset(seed=0)
    for _ in range(10):
        env.step(np.zeros(3, dtype=int))
    assert not env.cue().new_life.any()
    again, _ = env.reset()
    assert env.cue().new_life.all()
    assert not np.isclose(first, again).any()
    single = registry.make_single("contextual_choice", **SMALL)
    single.reset(seed=0)
    single.reset()
    assert single.step(0)[4]["item_trial"] == 1, "the next trial of the same life"


def test_baselines_reach_the_closed_forms():
    """With 32 numbers of evidence one step is enough: chance in noise, then (or with recall from the start) right."""
    values = {name: summarise(*reversed(played(name, 100)[:2])) for name in BASELINES}
    expected = {"ideal_observer": (7.5, 10), "without_recall": (7.5, 7.5), "oracle": (10, 10), "random": (5, 5)}
    for name, (new, repeated) in expected.items():
        assert values[name]["return_new"] == pytest.approx(new, abs=0.06), name
        assert values[name]["return_repeated"] == pytest.approx(repeated, abs=0.06), name
        assert values[name]["reward_per_trial"] == pytest.approx((new + repeated) / 2, abs=0.04), name
    assert values["ideal_observer"]["repeated_noise_accuracy"] == 1.0
    assert values["without_recall"]["accuracy_by_step"]["new"][5:] == [1.0] * 5


def test_ideal_observer_of_weak_evidence_against_the_normal_law():
    """One number a step and two steps shown: accuracy by the law of the sums, and no gain of evidence seen twice."""
    _, trials, _ = played("ideal_observer", 400, items=20, steps=4, noise_steps=2, evidence_size=1)
    accuracy = summarise(trials, ContextualChoiceSettings(items=20, steps=4, noise_steps=2))["accuracy_by_step"]
    rng = np.random.default_rng(0)
    evidence = rng.normal(1, 1, (10**6, 4))
    answer = evidence.sum(1) > 0
    one, two = ((evidence[:, 2 : 2 + n].sum(1) > 0) == answer for n in (1, 2))
    tolerance = 4 * 0.5 / np.sqrt(8000)
    assert accuracy["new"] == pytest.approx([0.5, 0.5, one.mean(), two.mean()], abs=tolerance)
    assert accuracy["repeated"] == pytest.approx([two.mean()] * 4, abs=tolerance)


def test_measures_by_hand():
    settings = ContextualChoiceSettings(steps=3, noise_steps=2)
    trials = {
        "episode": np.repeat(np.arange(3), 3),
        "trial": np.tile(np.arange(3), 3),
        "repeated": np.repeat([False, True, True], 3),
        "correct": np.array([0, 1, 1, 1, 0, 1, 1, 1, 1], dtype=bool),
        "hit": np.array([0, 0, 0, 0, 0, 1, 1, 1, 1], dtype=bool),
    }
    measures = summarise(trials, settings)
    assert measures["accuracy_by_step"] == {"new": [0, 1, 1], "repeated": [1, 0.5, 1]}
    assert measures["accuracy_noise_steps"] == {"new": 0.5, "repeated": 0.75}
    assert measures["repeated_noise_accuracy"] == 0.75
    assert measures["reward_per_trial"] == pytest.approx(2.25), "both kinds count alike"
    assert measures["return_new"] == pytest.approx(2)
    assert measures["return_repeated"] == pytest.approx(2.5)
    assert analyse(trials, settings) == {"repeated_noise_accuracy_by_recall": {"hit": 1.0, "miss": 0.5}}
    assert analyse({key: trials[key] for key in trials if key != "hit"}, settings) == {}
    share, error = accuracy_and_error([Evaluation(trials, {})] * 2, settings)
    assert share[1].tolist() == [1, 0.5, 1]
    assert error[1, 1] == pytest.approx(np.sqrt(0.25 / 4)), "two trials of two seeds"


def test_references():
    ideal, without, published = references(ContextualChoiceSettings())
    assert ideal.values["return"] == pytest.approx(8.75, abs=0.03)
    assert without.values["return"] == pytest.approx(7.5, abs=0.03)
    assert published.values["repeated_noise_accuracy"] == 0.80
    assert len(references(ContextualChoiceSettings(key="observation"))) == 3
    assert len(references(ContextualChoiceSettings(items=10))) == 2


def test_comparison_and_figures_of_several_agents():
    runs = []
    for seed in range(3):
        for group, name in (("episodic", "ideal_observer"), ("lstm", "without_recall")):
            settings = ContextualChoiceSettings(**SMALL)
            env = ContextualChoiceEnv(settings, 30)
            trials, _ = simulate(env, BASELINES[name](env), 360, seed=seed)
            history = {"env_steps": np.array([1e5, 5e5, 1e6]), "return_repeated": np.array([np.nan, 3.0, 3.5])}
            history |= {"return_new": np.array([2.0, 3.0, np.nan])}
            runs.append(Evaluation(trials, history, group=group))
    table = compare(runs, summarise, settings, HEADLINE)
    assert table["episodic"]["mean"] > 0.9
    assert table["lstm"]["mean"] == pytest.approx(0.5, abs=0.05)
    assert table["lstm"]["seeds"] == 3
    assert table["episodic_vs_lstm"]["p"] < 0.01
    assert np.isnan(compare(runs[:2], summarise, settings, HEADLINE)["episodic_vs_lstm"]["p"])
    assert list(dict(figures(runs, settings))) == ["accuracy_by_step", "learning_curve"]
    assert list(dict(figures([Evaluation({}, {})], settings))) == ["accuracy_by_step"]


def test_settings_are_checked():
    for bad in ({"items": 0}, {"noise_steps": 10}, {"noise_steps": 0}, {"key": "reward"}, {"context_size": 0}):
        with pytest.raises(ValueError, match=rf"task\.{next(iter(bad))}="):
            registry.get("contextual_choice").configure(bad)
