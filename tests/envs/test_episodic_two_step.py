"""The episodic two-step task against its definition, its cues, its ideal observers, its measures and comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.episodic_two_step.analysis import (
    CELLS,
    REWARDS,
    analyse,
    pairs,
    references,
    summarise,
)
from prefrontal.envs.episodic_two_step.baselines import BASELINES
from prefrontal.envs.episodic_two_step.drawing import figures
from prefrontal.envs.episodic_two_step.env import EpisodicTwoStepEnv, EpisodicTwoStepSettings
from prefrontal.envs.groups import compare, groups_of
from prefrontal.envs.trials import Evaluation, simulate
from prefrontal.envs.two_step.analysis import ideal as ideal_two_step
from prefrontal.envs.vector import SingleTask


def played(name="random", episodes=2000, **options):
    settings = EpisodicTwoStepSettings(**options)
    env = EpisodicTwoStepEnv(settings, 1000)
    trials, _ = simulate(env, BASELINES[name](env), episodes, seed=3)
    return settings, trials


def bars(measures, table):
    return [measures[table]["stay_probability"][cell] for cell in CELLS]


@pytest.mark.parametrize("options", [{}, {"common": 0.6, "reward": 0.7, "reversal": 0.2, "trials": 8}])
def test_frequencies_are_those_of_the_definition(options):
    """Transitions, rewards that are left to chance, reversals and the first good state, within 4 standard errors."""
    settings, trials = played(**options)

    def check(observed, probability):
        assert abs(observed.mean() - probability) < 4 * np.sqrt(probability * (1 - probability) / len(observed))

    check(trials["common"], settings.common)
    in_good, by_chance = trials["state"] == trials["good_state"], ~trials["matched"]
    for cued in (False, True):
        rows = by_chance & (trials["cued"] == cued)
        check(trials["reward"][rows & in_good], settings.reward)
        check(trials["reward"][rows & ~in_good], 1 - settings.reward)
    inside = trials["trial"][1:] > 0
    check((trials["good_state"][1:] != trials["good_state"][:-1])[inside], settings.reversal)
    check(trials["good_state"][trials["trial"] == 0], 0.5)
    check(trials["matched"][trials["cued"]], 0.5)
    assert np.array_equal(trials["common"], trials["choice"] == trials["state"])


def test_cues_come_from_the_right_quarter_and_carry_its_outcomes():
    settings, trials = played(episodes=1000)
    table = {name: column.reshape(-1, settings.trials) for name, column in trials.items()}
    assert np.array_equal(table["cued"], np.tile(np.arange(100) >= 50, (1000, 1)))
    for quarter, start in ((slice(50, 75), 0), (slice(75, 100), 25)):
        drawn = table["stored_trial"][:, quarter]
        count = np.bincount(drawn.ravel(), minlength=start + 25)
        assert count[:start].sum() == 0
        assert len(count) == start + 25
        assert np.abs(count[start:] - 1000).max() < 4.5 * np.sqrt(1000), "each as often"
        assert max(len(np.unique(row)) for row in drawn) < 25, "with replacement"
    episode = np.arange(1000)[:, None]
    source = table["stored_trial"][:, 50:]
    for name in ("choice", "state", "reward", "common"):
        assert np.array_equal(table[f"stored_{name}"][:, 50:], table[name][episode, source])
        assert (table[f"stored_{name}"][:, :50] == -1).all()
    matched = table["matched"]
    assert np.array_equal(matched, table["cued"] & (table["state"] == table["stored_state"]))
    assert np.array_equal(table["reward"][matched], table["stored_reward"][matched])


@pytest.mark.parametrize("context_input", [False, True])
def test_cue_step_by_step(context_input):
    """Keys are the contexts that trials ended with, one trial late; queries are keys of the trials they stand for."""
    settings = EpisodicTwoStepSettings(trials=20, context_input=context_input)
    env = EpisodicTwoStepEnv(settings, 30)
    obs, _ = env.reset(seed=1)
    rng, rows = np.random.default_rng(0), np.arange(30)
    keys = np.zeros((30, 20, 10))
    info = None
    for trial in [*range(20), 0, 1]:
        cue = env.cue()
        assert [column.dtype for column in cue] == [bool, np.float32, bool, np.float32, bool, np.int32, np.int32]
        assert (cue.new_life == (trial == 0)).all()
        assert (cue.write == (trial > 0)).all()
        assert (cue.retrieve == (trial >= 10)).all()
        if trial == 0:
            assert (cue.tag == -1).all()
            assert (cue.key == 0).all()
        else:
            expected = np.where(info["matched"], info["stored_trial"], trial - 1)
            assert np.array_equal(cue.tag, expected), "a matched trial ends with its cue"
            assert (np.abs(cue.key) == 1).all()
            fresh = ~info["matched"]
            keys[fresh, trial - 1] = cue.key[fresh]
            assert np.array_equal(cue.key, keys[rows, cue.tag])
        if trial < 10:
            assert (cue.query == 0).all()
            assert (cue.target == -1).all()
        else:
            assert np.array_equal(cue.query, keys[rows, cue.target])
        assert np.array_equal(obs[:, :3].argmax(1), np.zeros(30) if trial == 0 else info["state"] + 1)
        assert obs.shape == (30, 23 if context_input else 3)
        if context_input:
            shown, ended = obs[:, 3:13], obs[:, 13:]
            assert np.array_equal(shown, (cue.query + 1) / 2 if trial >= 10 else -np.ones((30, 10)))
            assert np.array_equal(ended, (cue.key + 1) / 2 if trial > 0 else -np.ones((30, 10)))
        obs, *_, info = env.step(rng.integers(2, size=30))
        if info["_final_obs"].any():
            last = info["final_obs"]
            assert np.array_equal(last[:, :3].argmax(1), info["state"] + 1)
            assert not context_input or (last[:, 3:13] == -1).all()
            assert (last[:, 13:] != -1).all()


def test_contexts_of_an_episode_are_distinct_and_evenly_drawn():
    env = EpisodicTwoStepEnv(EpisodicTwoStepSettings(trials=16, context_bits=4), 500)
    env.reset(seed=0)
    assert (np.sort(env._contexts, axis=1) == np.arange(16)).all()
    env = EpisodicTwoStepEnv(EpisodicTwoStepSettings(), 500)
    env.reset(seed=0)
    assert all(len(np.unique(row)) == 100 for row in env._contexts)
    bits = env._contexts[:, :, None] >> np.arange(10) & 1
    assert np.abs(bits.mean((0, 1)) - 0.5).max() < 4 * 0.5 / np.sqrt(50_000)


def test_each_episode_is_a_life_also_when_played_alone():
    env = SingleTask(EpisodicTwoStepEnv(EpisodicTwoStepSettings(trials=4), 1))
    env.reset(seed=0)
    for _ in range(3):
        assert env._batch.cue().new_life[0]
        ended = False
        while not ended:
            _, _, ended, _, _ = env.step(0)
            assert not env._batch.cue().new_life[0]
        env.reset()


def test_ideal_observer_reaches_the_computed_values():
    """Uncued in closed form: as the two-step task's, a first trial at chance and then .82 * .82 + .18 * .18."""
    settings, trials = played("ideal_observer", 8000)
    measures = summarise(trials, settings)
    assert measures["reward_per_uncued_trial"] == pytest.approx((0.5 + 49 * 0.7048) / 50, abs=0.003)
    assert measures["reward_per_cued_trial"] == pytest.approx(0.799, abs=0.004)
    assert bars(measures, "uncued") == pytest.approx((1, 0, 0, 1), abs=1e-6)
    assert bars(measures, "episodic") == pytest.approx((1, 0, 0, 1), abs=1e-6)
    assert analyse(trials, settings)["memory_consistent_choices"] == 1.0
    alone = ideal_two_step(settings.two_step())
    assert bars(measures, "uncued") == pytest.approx(list(alone["stay_probability"].values()), abs=1e-6)


def test_recall_is_what_cued_trials_pay_for():
    """With recall > counting each quarter's outcomes > ignoring the cues > chance; without cues the first are alike."""
    rewards = {}
    for name in ("ideal_observer", "ideal_without_recall", "ideal_two_step", "oracle", "random"):
        settings, trials = played(name, 8000)
        rewards[name] = [summarise(trials, settings)[measure] for measure in REWARDS]
    uncued, cued = ({name: pair[i] for name, pair in rewards.items()} for i in (0, 1))
    assert uncued["oracle"] == pytest.approx(0.82, abs=0.003)
    for name in ("ideal_without_recall", "ideal_two_step"):
        assert uncued[name] == pytest.approx(uncued["ideal_observer"], abs=0.003)
    assert uncued["random"] == pytest.approx(0.5, abs=0.004)
    assert cued["random"] == pytest.approx(0.5, abs=0.004)
    assert cued["ideal_without_recall"] == pytest.approx(0.697, abs=0.004)
    assert cued["ideal_two_step"] == pytest.approx(0.677, abs=0.004)
    assert cued["oracle"] > cued["ideal_observer"] + 0.05


def test_a_stored_reward_teaches_nothing_about_the_good_state():
    """The belief only drifts after it; after any other outcome it is Bayes' rule."""
    env = EpisodicTwoStepEnv(EpisodicTwoStepSettings(trials=8), 400)
    agent = BASELINES["ideal_observer"](env)
    obs, _ = env.reset(seed=0)
    for trial in range(8):
        before = agent.belief.copy()
        action = agent.act(obs)
        obs, reward, _, _, info = env.step(action)
        agent.learn(action, reward, info.get("final_obs", obs))
        paid_one = np.where(info["state"] == 1, 0.9, 0.1)
        like = np.where(reward > 0, paid_one, 1 - paid_one)
        seen = before * like / (before * like + (1 - before) * (1 - like))
        seen = np.where(info["matched"], before, seen)
        assert agent.belief == pytest.approx(0.9 * seen + 0.1 * (1 - seen))
        assert info["matched"].any() == (trial >= 4)


def test_stay_probabilities_by_hand():
    """Two uncued and three cued trials; the cued ones' last and stored trials tell different things."""
    trials = {
        "episode": np.array([0, 0, 0, 0, 1]),
        "trial": np.array([0, 1, 2, 3, 3]),
        "choice": np.array([0, 0, 1, 1, 0]),
        "reward": np.array([1.0, 0, 0, 1, 1]),
        "common": np.array([True, False, True, True, True]),
        "cued": np.array([False, False, True, True, True]),
        "stored_choice": np.array([-1, -1, 0, 1, 0]),
        "stored_state": np.array([-1, -1, 0, 0, 1]),
        "stored_reward": np.array([-1, -1, 1, 0, 0]),
        "stored_common": np.array([-1, -1, 1, 0, 0]),
    }
    measures = summarise(trials, EpisodicTwoStepSettings())
    nan = float("nan")
    assert bars(measures, "uncued") == pytest.approx([1, nan, nan, nan], nan_ok=True)
    assert bars(measures, "cued") == pytest.approx([nan, nan, 1, 0], nan_ok=True), "trial 1 to 2, and 2 to 3"
    assert bars(measures, "episodic") == pytest.approx([0, nan, nan, 1], nan_ok=True)
    assert measures["reward_per_uncued_trial"] == 0.5
    assert measures["reward_per_cued_trial"] == pytest.approx(2 / 3)
    assert len(pairs(trials)["episodic"]["trial"]) == 6
    # Stored: rewarded in state 0 (went to 1), unrewarded in state 0 (went to 1), unrewarded in state 1 (went to 0).
    assert analyse(trials, EpisodicTwoStepSettings())["memory_consistent_choices"] == pytest.approx(2 / 3)
    uncued = {name: column[:2] for name, column in trials.items()}
    assert np.isnan(summarise(uncued, EpisodicTwoStepSettings())["reward_per_cued_trial"])
    assert np.isnan(analyse(uncued, EpisodicTwoStepSettings())["memory_consistent_choices"])


def test_anova_finds_the_memory_where_it_is():
    """Interaction of reward and transition: of the stored trial with recall only, of the last trial without cues."""
    settings, recalling = played("ideal_observer", 1000)
    _, ignoring = played("ideal_two_step", 1000)
    fits = [analyse(trials, settings)["anova"] for trials in (recalling, ignoring)]
    assert all(fit["uncued"]["interaction"]["p"] < 1e-6 for fit in fits)
    assert fits[0]["episodic"]["interaction"]["p"] < 1e-6
    assert fits[1]["cued"]["interaction"]["p"] < 1e-6
    assert fits[1]["episodic"]["interaction"]["F"] < 0.05 * fits[1]["cued"]["interaction"]["F"]


def evaluations(name, group, seeds):
    found = []
    for seed in range(seeds):
        env = EpisodicTwoStepEnv(EpisodicTwoStepSettings(), 50)
        trials, _ = simulate(env, BASELINES[name](env), 50, seed=seed)
        steps = np.linspace(0, 1e6, 10)
        found.append(
            Evaluation(trials, {"env_steps": steps} | dict.fromkeys(REWARDS, steps / 1000000.0), f"{seed}", group)
        )
    return found


def test_comparison_of_two_agents():
    settings = EpisodicTwoStepSettings()
    both = evaluations("ideal_observer", "episodic", 4) + evaluations("ideal_two_step", "incremental", 3)
    tests = {name: compare(both, summarise, settings, name) for name in REWARDS}
    cued, uncued = tests["reward_per_cued_trial"], tests["reward_per_uncued_trial"]
    assert set(cued) == {"episodic", "incremental", "episodic_vs_incremental"}
    assert cued["episodic"]["seeds"] == 4
    assert cued["episodic"]["mean"] > cued["incremental"]["mean"] + 0.07
    values = [[summarise(e.trials, settings)["reward_per_cued_trial"] for e in g] for g in groups_of(both).values()]
    (mean, other), (var, other_var) = (
        [statistic(np.array(v)) for v in values] for statistic in (np.mean, lambda v: v.var(ddof=1) / len(v))
    )
    assert cued["episodic_vs_incremental"]["t"] == pytest.approx((mean - other) / np.sqrt(var + other_var))
    assert cued["episodic"]["sd"] == pytest.approx(np.sqrt(4 * var))
    assert cued["episodic_vs_incremental"]["p"] < 1e-3
    assert uncued["episodic_vs_incremental"]["p"] > 1e-3
    single = compare(both[:1] + both[-1:], summarise, settings, REWARDS[1])["episodic_vs_incremental"]
    assert np.isnan(single["p"])


def test_figures_of_one_and_of_several_agents():
    settings = EpisodicTwoStepSettings()
    both = evaluations("ideal_two_step", "incremental", 2) + evaluations("ideal_observer", "episodic", 3)
    for shown in (both, both[::-1], both[:2], evaluations("random", "", 1), both + evaluations("random", "lstm", 2)):
        drawn = dict(figures(shown, settings))
        assert list(drawn) == ["stay_probability", "reward", "learning_curve"]
        assert len(drawn["stay_probability"].axes) == 3
    titles = [axis.get_title(loc="left") for axis in dict(figures(both, settings))["stay_probability"].axes]
    assert [title.split(",")[0] for title in titles] == ["incremental", "incremental", "episodic"]
    labels = dict(figures(both, settings))["reward"].legends[0].get_texts()
    assert {"incremental, 2 seeds", "episodic, 3 seeds"} <= {text.get_text() for text in labels}


def test_published_values_only_for_published_settings():
    assert [r.name for r in references(EpisodicTwoStepSettings())][-1] == "Ritter et al. 2018"
    assert [r.name for r in references(EpisodicTwoStepSettings(reversal=0.2))][-1] == "ideal without recall"


def test_settings_are_checked():
    for option, value in (
        ("common", 1.2),
        ("reversal", -0.1),
        ("trials", 50),
        ("trials", 0),
        ("context_bits", 0),
        ("context_bits", 16),
        ("context_bits", 6),
    ):
        with pytest.raises(ValueError, match=rf"task\.{option}="):
            registry.get("episodic_two_step").configure({option: value})
