"""The barcode bandit against its definition, its lives and cues, its ideal observers, its measures and comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.barcode_bandit.analysis import HEADLINE, analyse, ideal, references, summarise
from prefrontal.envs.barcode_bandit.baselines import BASELINES
from prefrontal.envs.barcode_bandit.drawing import figures
from prefrontal.envs.barcode_bandit.env import BarcodeBanditEnv, BarcodeBanditSettings
from prefrontal.envs.groups import compare
from prefrontal.envs.trials import Evaluation, simulate
from prefrontal.envs.vector import SingleTask

SMALL = {"arms": 3, "barcodes": 5, "encounters": 2, "pulls": 4, "bits": 3}


def played(name="random", lives=100, seed=3, **options):
    settings = BarcodeBanditSettings(**options)
    env = BarcodeBanditEnv(settings, lives)
    trials, _ = simulate(env, BASELINES[name](env), lives * settings.episodes, seed=seed)
    return settings, trials


def by_life(settings, trials, lives):
    """Columns as [lives, episodes of a life, pulls]: episode k of row b has the number k * B + b."""
    shape = (settings.episodes, lives, settings.pulls)
    return {name: column.reshape(shape).swapaxes(0, 1) for name, column in trials.items()}


@pytest.mark.parametrize("options", [{}, SMALL, SMALL | {"best": 0.7, "other": 0.4}])
def test_a_life_is_that_of_the_definition(options):
    """Each barcode as often, with one arm; each arm is the best one of some barcode; rewards within 4 SE."""
    settings, trials = played(lives=100, **options)
    table = by_life(settings, trials, 100)
    assert np.array_equal(table["trial"][0, 0], np.arange(settings.pulls))
    shown = table["barcode"][:, :, 0]
    assert (table["barcode"] == shown[:, :, None]).all(), "one barcode an episode"
    assert len(np.unique(shown, axis=0)) > 90, "an order of its own for each life"
    for life in range(100):
        assert (np.bincount(shown[life]) == settings.encounters).all()
        for barcode in range(settings.barcodes):
            rows = shown[life] == barcode
            assert table["encounter"][life, rows, 0].tolist() == list(range(settings.encounters))
            assert len(np.unique(table["best_arm"][life, rows])) == 1
        assert len(np.unique(table["best_arm"][life])) == settings.arms
    arms = np.bincount(table["best_arm"][:, :, 0].ravel(), minlength=settings.arms) / (100 * settings.episodes)
    assert arms == pytest.approx(np.full(settings.arms, 1 / settings.arms), abs=0.07)
    assert np.array_equal(trials["correct"], trials["choice"] == trials["best_arm"])
    for right, probability in ((True, settings.best), (False, settings.other)):
        paid = trials["reward"][trials["correct"] == right]
        assert abs(paid.mean() - probability) < 4 * np.sqrt(probability * (1 - probability) / len(paid))


def test_barcodes_of_a_life_are_distinct_and_evenly_drawn():
    env = BarcodeBanditEnv(BarcodeBanditSettings(), 400)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (400, 10)
    assert all(len(np.unique(rows, axis=0)) == 10 for rows in env._bits)
    assert set(np.unique(env._bits).tolist()) == {-1.0, 1.0}
    assert np.abs(env._bits.mean((0, 1))).max() < 4 / np.sqrt(4000)
    env = BarcodeBanditEnv(BarcodeBanditSettings(arms=8, barcodes=8, bits=3), 50)
    env.reset(seed=0)
    assert all(len(np.unique(rows, axis=0)) == 8 for rows in env._bits), "all there are"


def test_life_and_cue_step_by_step():
    settings = BarcodeBanditSettings(**SMALL)
    env = BarcodeBanditEnv(settings, 20)
    obs, _ = env.reset(seed=1)
    rng = np.random.default_rng(0)
    assert env.cue_size == settings.bits
    lives = []
    for _ in range(3):
        lives.append((env._bits.copy(), env._best_arms.copy(), env._order.copy()))
        completed = np.zeros((20, settings.barcodes), dtype=int)
        for episode in range(settings.episodes):
            shown = env.barcode().copy()
            best = env.best_arm().copy()
            for pull in range(settings.pulls):
                cue = env.cue()
                assert [column.dtype for column in cue] == [
                    bool,
                    np.float32,
                    bool,
                    np.float32,
                    bool,
                    np.int32,
                    np.int32,
                ]
                assert (cue.new_life == (episode == 0 and pull == 0)).all()
                assert (cue.write == (pull == settings.pulls - 1)).all()
                assert cue.retrieve.all()
                assert np.array_equal(cue.query, obs)
                assert np.array_equal(cue.key, obs)
                assert np.array_equal(cue.tag, shown)
                before = completed[np.arange(20), shown]
                assert np.array_equal(cue.target, np.where(before > 0, shown, -1))
                obs, reward, terminated, truncated, info = env.step(rng.integers(3, size=20))
                assert np.array_equal(info["encounter"], before)
                assert np.array_equal(info["barcode"], shown)
                assert np.array_equal(info["best_arm"], best)
                assert np.array_equal(info["reward"], reward)
                assert (terminated == (pull == settings.pulls - 1)).all()
                assert not truncated.any()
            assert np.array_equal(info["final_obs"], cue.query), "the barcode stays to the end"
            completed[np.arange(20), shown] += 1
    for one, other in zip(lives[0], lives[1], strict=True):
        assert not np.array_equal(one, other), "each life draws its own"


def test_lives_go_on_over_episodes_and_end_with_a_reset():
    env = BarcodeBanditEnv(BarcodeBanditSettings(), 6)
    env.reset(seed=0)
    bits = env._bits.copy()
    for _ in range(25):
        env.step(np.zeros(6, dtype=int))
    assert np.array_equal(env._bits, bits)
    assert (env._episode == 2).all()
    env.reset()
    assert not np.array_equal(env._bits, bits)
    assert env.cue().new_life.all()
    assert (env._completed == 0).all()


def test_an_environment_alone_lives_over_its_episodes():
    """`reset` without a seed goes on with the life; an episode that was broken off counts as no encounter."""
    settings = BarcodeBanditSettings(**SMALL)
    env = SingleTask(BarcodeBanditEnv(settings, 1))
    starts = []
    for _ in range(2 * settings.episodes):
        env.reset()
        starts.append(bool(env._batch.cue().new_life[0]))
        ended = False
        while not ended:
            _, _, ended, _, _ = env.step(0)
    assert starts == 2 * [True, *[False] * (settings.episodes - 1)]
    env.reset(seed=5)
    env.step(0)
    env.reset()
    assert env._batch._completed.sum() == 0
    assert env._batch._episode[0] == 1


def test_ideal_observers_in_closed_form():
    """First pulls of a new barcode are at chance; without recall they stay there; with recall they become certain."""
    settings = BarcodeBanditSettings()
    best, alone = ideal(settings), ideal(settings, "without_recall")
    assert best["first_pull_accuracy"][0] == pytest.approx(0.1, abs=0.01)
    assert alone["first_pull_accuracy"] == pytest.approx([0.1] * 10, abs=0.01)
    assert best["first_pull_accuracy"][1] == pytest.approx(0.79, abs=0.015)
    assert best["reward_by_encounter"][0] == pytest.approx(0.443, abs=0.01)
    assert alone["reward_by_encounter"] == pytest.approx([0.443] * 10, abs=0.012)
    assert best["reward_by_encounter"][-1] == pytest.approx(settings.best, abs=0.005)
    assert best[HEADLINE] > 0.995
    # The second pull: the same arm after a reward (best with posterior .5), else another one (.1/.9 of the rest).
    assert best["accuracy_by_pull"]["first_encounter"][1] == pytest.approx(0.1 * 0.9 + (0.9 * 0.9) / 9, abs=0.012)


def test_random_and_oracle():
    settings, trials = played("random", 200)
    assert summarise(trials, settings)["reward_per_trial"] == pytest.approx(settings.chance, abs=0.004)
    assert settings.chance == pytest.approx(0.18)
    settings, trials = played("oracle", 50)
    measures = summarise(trials, settings)
    assert measures["first_pull_accuracy"] == [1.0] * 10
    assert measures["reward_per_trial"] == pytest.approx(0.9, abs=0.006)


def test_the_ideal_observers_belief_is_bayes_rule():
    """Against the product of likelihoods, over two encounters with each barcode and into the next life."""
    settings = BarcodeBanditSettings(**SMALL)
    env = BarcodeBanditEnv(settings, 30)
    agent = BASELINES["ideal_observer"](env)
    obs, _ = env.reset(seed=0)
    agent.begin(np.ones(30, dtype=bool))
    likelihood = np.ones((30, settings.barcodes, settings.arms))
    rows = np.arange(30)
    for step in range(settings.episodes * settings.pulls):
        shown = env.barcode().copy()
        action = agent.act(obs)
        posterior = likelihood[rows, shown] / likelihood[rows, shown].sum(1, keepdims=True)
        assert posterior[rows, action] == pytest.approx(posterior.max(1)), "the likeliest arm"
        obs, reward, terminated, *_ = env.step(action)
        agent.learn(action, reward, obs)
        for arm in range(settings.arms):
            pays = np.where(action == arm, settings.best, settings.other)
            likelihood[rows, shown, arm] *= np.where(reward > 0, pays, 1 - pays)
        odds = np.exp(agent.log_odds - agent.log_odds.max(2, keepdims=True))
        assert odds / odds.sum(2, keepdims=True) == pytest.approx(likelihood / likelihood.sum(2, keepdims=True))
        if terminated.any():
            agent.begin(terminated)
        assert (agent.log_odds == 0).all() == (step == settings.episodes * settings.pulls - 1), "a new life"


def test_certain_rewards_are_learned_from_at_once():
    """best=1, other=0: one reward or one omission settles an arm."""
    settings, trials = played("ideal_observer", 20, arms=3, barcodes=3, best=1.0, other=0.0)
    measures = summarise(trials, settings)
    assert measures["first_pull_accuracy"][1:] == [1.0] * 9
    assert analyse(trials, settings)["accuracy_by_pull"]["first_encounter"][2:] == [1.0] * 8


def test_measures_by_hand():
    trials = {
        "episode": np.array([0, 0, 1, 1, 2]),
        "trial": np.array([0, 1, 0, 1, 0]),
        "encounter": np.array([0, 0, 0, 0, 1]),
        "correct": np.array([True, False, False, False, True]),
        "reward": np.array([1, 0, 0, 1, 1], dtype=np.float32),
    }
    settings = BarcodeBanditSettings(encounters=2, pulls=2)
    measures = summarise(trials, settings)
    assert measures["reward_per_trial"] == pytest.approx(0.6)
    assert measures["first_pull_accuracy"] == [0.5, 1.0]
    assert measures["reward_by_encounter"] == [0.5, 1.0]
    assert measures[HEADLINE] == 1.0
    by_pull = analyse(trials, settings)["accuracy_by_pull"]
    assert by_pull["first_encounter"] == [0.5, 0.0]
    assert by_pull["last_encounter"] == pytest.approx([1.0, float("nan")], nan_ok=True)
    assert np.isnan(np.concatenate(list(analyse({}, settings)["accuracy_by_pull"].values()))).all()


def evaluations(name, group, seeds):
    found = []
    steps = np.linspace(0, 1e6, 10)
    for seed in range(seeds):
        _, trials = played(name, 20, seed=seed)
        values = steps / 1e6
        history = {
            "env_steps": steps,
            "reward_per_trial": values,
            HEADLINE: np.where(np.arange(10) % 3, values, np.nan),
        }
        found.append(Evaluation(trials, history, f"{seed}", group))
    return found


@pytest.mark.filterwarnings("ignore:Precision loss")  # seeds at the ceiling are alike
def test_comparison_of_two_agents():
    settings = BarcodeBanditSettings()
    both = evaluations("ideal_observer", "episodic", 3) + evaluations("without_recall", "lstm", 4)
    table = compare(both, summarise, settings, HEADLINE)
    assert set(table) == {"episodic", "lstm", "episodic_vs_lstm"}
    assert table["episodic"]["seeds"] == 3
    assert table["episodic"]["mean"] > 0.98
    assert table["lstm"]["mean"] == pytest.approx(0.1, abs=0.06)
    assert table["episodic_vs_lstm"]["t"] > 10
    assert table["episodic_vs_lstm"]["p"] < 1e-3
    assert np.isnan(compare([both[0], both[-1]], summarise, settings, HEADLINE)["episodic_vs_lstm"]["p"])


def test_figures_of_one_and_of_several_agents():
    settings = BarcodeBanditSettings()
    both = evaluations("ideal_observer", "episodic", 2) + evaluations("without_recall", "lstm", 3)
    for shown in (both, both[:1], evaluations("random", "", 1), both + evaluations("random", "incremental", 2)):
        drawn = dict(figures(shown, settings))
        assert list(drawn) == ["by_encounter", "by_pull", "learning_curve"]
        assert all(len(figure.axes) == 2 for figure in drawn.values())
    texts = {text.get_text() for text in dict(figures(both, settings))["by_encounter"].legends[0].get_texts()}
    assert {"episodic, 2 seeds", "lstm, 3 seeds", "ideal observer", "chance"} <= texts
    curve = dict(figures(both, settings))["learning_curve"].axes[1].lines[0].get_ydata()
    assert np.isfinite(curve).all(), "points of training that do not tell the measure are left out"
    no_history = [Evaluation(both[0].trials, {})]
    assert list(dict(figures(no_history, settings))) == ["by_encounter", "by_pull"]


def test_references_are_simulated_for_the_settings():
    found = references(BarcodeBanditSettings(**SMALL))
    assert [reference.name for reference in found] == ["ideal observer", "without recall"]
    assert len(found[0].values["first_pull_accuracy"]) == 2
    assert found[0].values["first_pull_accuracy"][0] == pytest.approx(1 / 3, abs=0.02)


def test_settings_are_checked():
    for option, value in (
        ("arms", 1),
        ("barcodes", 9),
        ("barcodes", 1025),
        ("encounters", 0),
        ("pulls", 0),
        ("best", 1.2),
        ("best", 0.1),
        ("other", -0.1),
        ("bits", 0),
        ("bits", 15),
        ("bits", 3),
    ):
        name = "barcodes" if option == "bits" and value == 3 else option
        with pytest.raises(ValueError, match=rf"task\.{name}="):
            registry.get("barcode_bandit").configure({option: value})
