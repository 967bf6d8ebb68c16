"""Guests that tell trials: the table of trials, its measures and figures; NeuroGym's own where it is installed."""

from __future__ import annotations

import guests  # noqa: F401  # registers environments
import numpy as np
import pytest
from matplotlib.figure import Figure
from prefrontal.envs import registry
from prefrontal.envs.gymnasium import TASK
from prefrontal.envs.gymnasium.psychometric import Curve, Fit, curve, fit, measures, reaction_times
from prefrontal.envs.gymnasium.told import flat
from prefrontal.envs.trials import Evaluation, TrialRecorder, simulate, trials_of_window
from prefrontal.launch.run.measures import flatten
from scipy.stats import norm


def trials(num_envs=1, **options):
    return registry.make_vector("gymnasium", num_envs, id="Trials-v0", module="guests", **options)


def play(env, episodes, agent, seed=0):
    """The table of trials of an agent `(step of the trial [B]) -> action [B]`."""
    recorder = TrialRecorder(env.info_spec, env.num_envs, episodes)
    obs, _ = env.reset(seed=seed)
    while not recorder.done:
        obs, reward, terminated, truncated, info = env.step(agent(obs))
        recorder.add(info, reward, terminated | truncated)
    return recorder.trials()


def right(obs):
    """Fixates for three steps, then answers right (trials of an odd number are to the right)."""
    return np.where(obs[:, 1] < 3, 0, obs[:, 0].astype(int) % 2 + 1)


def test_trials_of_an_episode_are_rows_of_the_table():
    table = play(trials(trials=4), 2, right)
    assert table["episode"].tolist() == [0] * 4 + [1] * 4
    assert table["trial"].tolist() == [0, 1, 2, 3] * 2
    assert table["steps"].tolist() == [4] * 8
    assert table["reward"].tolist() == [1] * 8
    assert table["ended"].tolist() == [False, False, False, True] * 2
    assert table["episode_return"].tolist() == [1, 2, 3, 4] * 2
    assert table["action"].tolist() == (table["side"] + 1).tolist() == table["gt"].tolist()
    assert table["performance"].tolist() == [1] * 8
    assert table["reaction_ms"].tolist() == [100] * 8, "a step after the decision began"
    assert np.diff(table["side"].reshape(2, 4)).all(), "the trial that was played, not the one that comes"
    assert set(table["coh"]) == {0, 8, 32}
    assert set(table["kind"]) == {"ab"}
    assert set(table["p_0"]) == {0.25}
    assert set(table["p_1"]) == {0.75}


def test_an_answer_too_early_or_none_has_no_reaction_time():
    early = play(trials(trials=2), 1, lambda obs: np.ones(1, int))
    assert early["reaction_ms"].tolist() == [0, 0], "answered in the first step of the decision"
    none = play(trials(trials=2), 1, lambda obs: np.zeros(1, int))
    assert np.isnan(none["reaction_ms"]).all()
    assert none["steps"].tolist() == [5, 5]
    assert none["reward"].tolist() == [0, 0]
    slow = play(trials(trials=2, options={"dt": 20}), 1, right)
    assert slow["reaction_ms"].tolist() == [20, 20]


def test_the_last_trial_truncates_and_the_real_last_observation_is_kept():
    env = trials(2, trials=2)
    obs, _ = env.reset(seed=0)
    began = obs[:, 0]
    for t in range(1, 17):
        obs, _, terminated, truncated, info = env.step(right(obs))
        assert not terminated.any()
        assert truncated.tolist() == [t % 8 == 0] * 2
        if t % 8 == 0:
            assert info["final_obs"][:, 0].tolist() == (began + 2).tolist(), "the trial that would have come"
            began = obs[:, 0]


def test_what_later_trials_tell_is_missing_before_and_names_that_are_taken_get_a_prefix():
    env = trials(trials=6)
    assert {"late", "trial_reward"} <= set(env.info_spec)
    table = play(env, 1, right)
    assert (table["late"] == 1).all()
    assert (table["trial_reward"] == 7).all()
    assert (table["reward"] == 1).all()
    fresh = registry.make_vector("gymnasium", 1, id="Trials-v0", module="guests", trials=3)
    fresh._players._envs[0].unwrapped.number = -1
    table = play(fresh, 1, right)
    assert np.isnan(table["late"]).all()


def test_generators_of_their_own_are_seeded_for_each_row():
    env = trials(3, trials=2)
    env.reset(seed=40)
    assert [each.unwrapped.seeded for each in env._players._envs] == [40, 41, 42]


def test_flat_names_of_what_is_nested():
    told = {"a": 1, "b": True, "c": [1, 2.5], "d": {"e": np.float32(0.5)}, "f": "text", "g": np.array(3), "h": None}
    assert dict(flat(told)) == {"a": 1, "b": 1, "c_0": 1, "c_1": 2.5, "d_e": 0.5, "f": "text", "g": 3}
    assert dict(flat({"picture": np.zeros((3, 3)), "long": [0] * 99})) == {}


def test_the_fit_finds_the_observer():
    """Bias, noise and lapses of a simulated observer, within four standard errors of the estimates."""
    true, rng, n = Fit(bias=3.0, threshold=9.0, lapse=0.06), np.random.default_rng(0), 4000
    levels = np.array([-51.2, -25.6, -12.8, -6.4, 0, 6.4, 12.8, 25.6, 51.2])
    chosen = rng.binomial(n, true(levels))
    found = fit(Curve(levels, chosen / n, np.full(len(levels), n), signed=True))
    # The inverse of Fisher's information: the derivatives of the nine probabilities by the three parameters.
    z = (levels - true.bias) / true.threshold
    density = (1 - true.lapse) * norm.pdf(z) / true.threshold
    slopes = np.stack([-density, -density * z, 0.5 - norm.cdf(z)])
    p = true(levels)
    errors = np.sqrt(np.diag(np.linalg.inv((slopes * n / (p * (1 - p))) @ slopes.T)))
    assert (np.abs(np.subtract(found, true)) < 4 * errors).all(), (found, errors)


def test_the_curve_counts_choices_by_signed_strength():
    table = {
        "coh": np.array([0, 8, 8, 8, 8, 32, 32.0]),
        "gt": np.array([1, 1, 1, 2, 2, 2, 2.0]),
        "action": np.array([2, 1, 2, 2, 0, 2, 2]),  # one of them answers nothing
    }
    points = curve(table, "coh")
    assert points.strength.tolist() == [-8, 0, 8, 32]
    assert points.share.tolist() == [0.5, 1, 1, 1]
    assert points.trials.tolist() == [2, 1, 1, 2]
    three = {**table, "gt": np.array([1, 2, 3, 1, 2, 3, 1.0]), "action": np.array([1, 2, 1, 1, 2, 2, 1])}
    points = curve(three, "coh")
    assert not points.signed
    assert points.share.tolist() == [1, 3 / 4, 1 / 2]
    assert curve({**table, "gt": np.full(7, np.nan)}, "coh") is None
    assert measures({"gt": table["gt"], "action": table["action"]}, None) == {}


def test_reaction_times_by_strength():
    table = {"reaction_ms": np.array([100, 300, np.nan, 50.0]), "coh": np.array([0, 0, 8, 32.0])}
    assert reaction_times(table, None) == {
        "reaction_ms": 100,
        "reaction_ms_by_strength": {"0": 200, "32": 50},
    }


def test_measures_and_figures():
    env = trials(4, trials=6)
    settings = env.settings
    table, returns = simulate(env, TASK.baselines["random"](env), 30, seed=0)
    assert len(table["trial"]) == 30 * 6
    assert np.isfinite(returns).all()
    measured = {**TASK.summarise(table, settings), **TASK.analyse(table, settings)}
    assert measured["performance"] == pytest.approx(table["performance"].mean())
    assert len(measured["performance_by_trial"]) == 6
    assert {"reaction_ms", "psychometric_curve", "psychometric_fit"} <= set(measured)
    assert all(np.isnan(value) for value in flatten(TASK.summarise({}, settings)).values())
    assert TASK.analyse({}, settings) == {}
    steps = np.linspace(0, 1e6, 9)
    history = {"env_steps": steps, "performance": steps / 1e6}
    for evaluations in ([Evaluation(table, {})], [Evaluation(table, history)] * 2):
        drawn = dict(TASK.figures(evaluations, settings))
        assert list(drawn) == ["performance", "psychometric_curve", "last_actions", "reaction_times"]
        assert all(isinstance(figure, Figure) for figure in drawn.values())
    plain = registry.make_vector("gymnasium", 4)
    table, _ = simulate(plain, TASK.baselines["random"](plain), 12, seed=0)
    assert list(dict(TASK.figures([Evaluation(table, history)], plain.settings))) == ["returns"]
    assert TASK.summarise(table, plain.settings) == {"reward_per_trial": table["episode_return"].mean()}


def test_a_window_of_training_is_measured_like_a_table():
    env = trials(3, trials=5)
    obs, _ = env.reset(seed=0)
    info, first = {key: [] for key in env.info_spec}, [np.ones(3, bool)]
    for _ in range(40):
        obs, _, _, _, told = env.step(right(obs))
        for key, column in info.items():
            column.append(told[key])
        first.append(told["_final_obs"])
    window = {key: np.array(column, dtype=env.info_spec[key]) for key, column in info.items()}
    table = trials_of_window([window | {"first": np.array(first)}])
    assert TASK.summarise(table, env.settings) == {"reward_per_trial": 1, "performance": 1}


# NeuroGym ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def neurogym():
    return pytest.importorskip("neurogym", reason="NeuroGym is not installed (docs/gymnasium.md)")


def neuro(name, num_envs=4, **options):
    return registry.make_vector("gymnasium", num_envs, id=name, module="neurogym", **options)


def told_right(env):
    """The right actions for what comes, as the environments know them."""
    return np.array([each.unwrapped.gt_now for each in env._players._envs], dtype=int)


def test_perceptual_decision_making_answered_right(neurogym):
    env = neuro("PerceptualDecisionMaking-v0", trials=8)
    table = play(env, 12, lambda obs: told_right(env))
    assert len(table["trial"]) == 12 * 8
    assert (table["performance"] == 1).all()
    assert (table["reward"] == 1).all()
    assert (table["action"] == table["gt"]).all()
    assert (table["gt"] == table["ground_truth"] + 1).all()
    assert set(table["coh"]) == {0, 6.4, 12.8, 25.6, 51.2}
    assert (table["reaction_ms"] == 0).all()
    assert set(table["steps"][table["trial"] > 0]) == {22}
    assert set(table["steps"][table["trial"] == 0]) == {21}, "NeuroGym's reset makes the first step of a trial"


def test_neurogyms_options_wrappers_and_seeds(neurogym):
    env = neuro("PerceptualDecisionMaking-v0", trials=5, options={"dt": 50, "timing": {"stimulus": 500}})
    table = play(env, 4, lambda obs: told_right(env))
    assert set(table["steps"][table["trial"] > 0]) == {13}
    wrapped = neuro("PerceptualDecisionMaking-v0", wrappers=("ReactionTime", {"name": "PassReward"}), trials=5)
    assert wrapped.reset(seed=0)[0].shape == (4, 4)
    table = play(wrapped, 4, lambda obs: told_right(wrapped))
    assert set(table["steps"][table["trial"] > 0]) == {3}, "fixation, a step of the stimulus, the answer"
    again, other = neuro("PerceptualDecisionMaking-v0"), neuro("PerceptualDecisionMaking-v0")
    for _ in range(2):
        one, two = again.reset(seed=11)[0], other.reset(seed=11)[0]
        assert np.array_equal(one, two)
        for action in np.random.default_rng(0).integers(3, size=(120, 4)):
            one, two = again.step(action), other.step(action)
            assert np.array_equal(one[0], two[0])
            assert np.array_equal(one[1], two[1])
    assert len({row.tobytes() for row in one[0]}) == 4


def test_neurogyms_reaching_is_answered_by_a_vector(neurogym):
    env = neuro("ReachingDelayResponse-v0", 2, trials=3)
    assert {"action_0", "action_1", "gt_0", "gt_1"} <= set(env.info_spec)
    table, returns = simulate(env, TASK.baselines["random"](env), 4, seed=0)
    assert len(table["trial"]) == 4 * 3
    assert np.isfinite(table["action_1"]).all()
    assert np.isfinite(returns).all()
    assert list(dict(TASK.figures([Evaluation(table, {})], env.settings))) == ["performance"]


def test_what_neurogyms_trials_tell_becomes_columns(neurogym):
    spec = neuro("DawTwoStep-v0", 1).info_spec
    assert {"transition_1", "reward_0", "hi_state"} <= set(spec)
    spec = neuro("yang19.dms-v0", 1).info_spec
    assert spec["ground_truth"] is np.str_
    assert spec["sample_theta"] is np.float64
