"""Analyses of recordings: what was planted is found, where it was planted, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
from prefrontal.conf.checking import ConfigError
from prefrontal.launch.analyses.columns import (
    TrialEnds,
    Values,
    column,
    conditions_of,
    default_columns,
    default_condition,
)
from prefrontal.launch.analyses.decoding import decode
from prefrontal.launch.analyses.population import similarity, trajectories
from prefrontal.launch.analyses.regression import independent, regress
from prefrontal.launch.analyses.samples import Samples, activity_name, each_step, one_a_trial
from prefrontal.launch.run.analysing import AnalyseSettings, analyses_of
from scipy import stats

EPISODES, TRIALS, UNITS = 60, 30, 12


def known(values):
    values = np.asarray(values)
    return Values(values, np.ones(len(values), dtype=bool))


def slow(rng, shape, keep=0.9):
    """Noise [E, T, ...] that drifts along T: what trials of one episode have in common."""
    found = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        found[:, t] = keep * found[:, t - 1] + np.sqrt(1 - keep**2) * found[:, t]
    return found


def planted(seed=0, gain=0.5):
    """Drifting units, of which 0-3 code `side` (which drifts, too) and 4 codes `size`; nobody codes `other`."""
    rng = np.random.default_rng(seed)
    side, other = (slow(rng, (EPISODES, TRIALS)) > 0 for _ in range(2))
    size = slow(rng, (EPISODES, TRIALS))
    activity = slow(rng, (EPISODES, TRIALS, UNITS))
    activity[..., :4] += gain * (2 * side[..., None] - 1)
    activity[..., 4] += 2 * gain * size
    episode = np.repeat(np.arange(EPISODES), TRIALS)
    columns = {"side": known(side.ravel()), "size": known(size.ravel()), "other": known(other.ravel())}
    return activity.reshape(-1, UNITS).astype(np.float32), episode, columns


def test_regression_finds_the_units_that_code_what_was_planted_and_no_others():
    activity, episode, columns = planted()
    found = regress(activity, episode, columns)
    assert set(np.flatnonzero(found.q[0] < 0.05)) == {0, 1, 2, 3}
    assert set(np.flatnonzero(found.q[1] < 0.05)) == {4}
    assert not (found.q[2] < 0.05).any()
    np.testing.assert_allclose(found.coefficient[0, :4], 0.5, atol=0.2)
    np.testing.assert_allclose(found.coefficient[1, 4], 1.0, atol=0.2)
    assert (found.q >= found.p).all()


def test_standard_errors_know_that_trials_of_an_episode_depend_on_each_other():
    """Without anything planted p is uniform; taken for independent, drifting trials would be discoveries."""
    p, naive = [], []
    for seed in range(12):
        activity, episode, columns = planted(seed, gain=0.0)
        p.append(regress(activity, episode, columns).p)
        each = np.arange(len(episode))
        naive.append(regress(activity, each, columns).p)
    share, naively = (float((np.array(values) < 0.05).mean()) for values in (p, naive))
    assert 0.02 < share < 0.09
    assert naively > 0.2
    assert stats.kstest(np.ravel(p), "uniform").statistic < 0.08


def test_regression_is_ordinary_least_squares():
    """Against SciPy, and partial R² against the residuals of smaller models."""
    activity, episode, columns = planted(3)
    rng = np.random.default_rng(1)
    three = known(rng.integers(0, 3, len(episode)))
    found = regress(activity, episode, {**columns, "three": three})
    design = np.column_stack([columns["side"].values, columns["size"].values, columns["other"].values])
    dummies = np.column_stack([three.values == 1, three.values == 2])
    whole = np.column_stack([np.ones(len(episode)), design, dummies]).astype(float)

    def rest(*left_out):
        kept = np.delete(whole, left_out, axis=1)
        solved = np.linalg.lstsq(kept, activity.astype(float), rcond=None)[0]
        return np.square(activity - kept @ solved).sum(0)

    for row, left_out in enumerate([(1,), (2,), (3,), (4, 5)]):
        np.testing.assert_allclose(found.partial_r2[row], 1 - rest() / rest(*left_out), rtol=1e-6, atol=1e-9)
    total = np.square(activity - activity.mean(0, dtype=float)).sum(0)
    np.testing.assert_allclose(found.r2, 1 - rest() / total, rtol=1e-6)
    assert np.isnan(found.coefficient[3]).all()
    single = regress(activity, episode, {"size": columns["size"]})
    fit = stats.linregress(columns["size"].values / columns["size"].values.std(), activity[:, 4].astype(float))
    np.testing.assert_allclose(single.coefficient[0, 4], fit.slope, rtol=1e-9)


def test_what_cannot_be_regressed_on_is_named_and_left_out_of_defaults():
    activity, episode, columns = planted()
    twice = {**columns, "again": known(2 * columns["size"].values + 1), "same": known(np.ones(len(episode)))}
    with pytest.raises(ConfigError, match="again follows from those before it"):
        regress(activity, episode, {name: twice[name] for name in ("size", "again")})
    with pytest.raises(ConfigError, match="same has one value"):
        regress(activity, episode, {"same": twice["same"]})
    assert list(independent(twice)) == ["side", "size", "other"]
    with pytest.raises(ConfigError, match="2 episodes are too few"):
        few = slice(2 * TRIALS)
        regress(activity[few], episode[few], {name: values.at(few) for name, values in columns.items()})
    dead = activity.copy()
    dead[:, 7] = 0.25
    found = regress(dead, episode, columns)
    assert (found.p[:, 7] == 1).all()
    assert (found.partial_r2[:, 7] == 0).all()


@pytest.mark.parametrize(("name", "measure", "chance"), [("side", "balanced accuracy", 0.5), ("size", "R2", 0.0)])
def test_decoding_finds_what_was_planted_and_nothing_else(name, measure, chance):
    activity, episode, columns = planted()
    found = decode(activity, episode, columns[name], folds=5, shuffles=20, seed=0)
    assert found.measure == measure
    assert found.score > chance + 0.2
    assert found.p == pytest.approx(1 / 21)
    assert abs(found.shifted.mean() - chance) < 0.15  # R² of left-out noise lies below 0
    rng = np.random.default_rng(0)
    shuffled = columns[name].values.reshape(EPISODES, TRIALS)[rng.permutation(EPISODES)].ravel()
    nothing = decode(activity, episode, known(shuffled), folds=5, shuffles=20, seed=0)
    assert nothing.score < chance + 0.05
    assert nothing.p > 0.05


def test_decoding_leaves_whole_episodes_out():
    """A code that is another one in every episode can be learnt within an episode, and not across episodes."""
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, (EPISODES, TRIALS))
    episode = np.repeat(np.arange(EPISODES), TRIALS)
    activity = rng.standard_normal((EPISODES, TRIALS, EPISODES)) * 0.1
    for k in range(EPISODES):
        activity[k, :, k] += 2 * side[k] - 1
    across = decode(activity.reshape(-1, EPISODES), episode, known(side.ravel()), 5, 5, 0)
    within = decode(activity.reshape(-1, EPISODES), np.arange(EPISODES * TRIALS), known(side.ravel()), 5, 5, 0)
    assert across.score < 0.6
    assert within.score > 0.8
    with pytest.raises(ConfigError, match="folds=5: there are 3 episodes"):
        decode(activity.reshape(-1, EPISODES)[:90], episode[:90], known(side.ravel()[:90]), 5, 5, 0)


def ends_of(episodes, trials):
    episode = np.repeat(np.arange(episodes), trials)
    trial = np.tile(np.arange(trials), episodes)
    return TrialEnds(episode, trial, trial)


def test_trajectories_are_means_in_the_plane_in_which_conditions_differ():
    """Conditions on a circle: their trajectories go round it, one step a trial, in the first two components."""
    rng = np.random.default_rng(0)
    ends = ends_of(200, 20)
    start = rng.integers(0, 4, 200)
    angle = (start[ends.episode] * 5 + ends.trial) * (2 * np.pi / 20)
    basis = np.linalg.qr(rng.standard_normal((8, 2)))[0]
    activity = np.stack([np.cos(angle), np.sin(angle)], 1) @ basis.T + 0.05 * rng.standard_normal((4000, 8))
    samples = Samples(activity.astype(np.float32), ends.episode, np.arange(4000), np.zeros(4000, int))
    found = trajectories(samples, ends, start[ends.episode], 4, "trial")
    assert found.mean.shape == (4, 20, 3)
    assert found.explained[:2].sum() > 0.95
    np.testing.assert_allclose(np.linalg.norm(found.mean[..., :2], axis=-1), 1, atol=0.05)
    turned = [np.unwrap(np.arctan2(m[:, 1], m[:, 0])) for m in found.mean]
    np.testing.assert_allclose(np.abs([np.diff(t) for t in turned]), 2 * np.pi / 20, atol=0.05)


def test_lags_are_counted_from_the_condition_within_episodes():
    """A pulse after each event of its own that decays, on top of how all episodes settle in."""
    rng = np.random.default_rng(0)
    ends = ends_of(400, 40)
    event = rng.integers(0, 2, (400, 40))
    pulse = np.zeros((400, 40))
    for lag in range(20):
        pulse[:, lag:] += (2 * event[:, : 40 - lag] - 1) * 0.5**lag
    direction = np.eye(6)[0]
    settling = 5 * np.exp(-np.arange(40) / 5)[:, None] * np.eye(6)[1]
    activity = pulse[..., None] * direction + settling + 0.01 * rng.standard_normal((400, 40, 6))
    samples = Samples(activity.reshape(-1, 6), ends.episode, np.arange(16000), np.zeros(16000, int))
    found = trajectories(samples, ends, event.ravel(), 2, "lag")
    difference = np.abs(found.mean[1, :, 0] - found.mean[0, :, 0])
    expected = np.where(found.x < 0, 0.0, 2 * 0.5 ** np.maximum(found.x, 0))
    np.testing.assert_allclose(difference, expected, atol=0.1)
    assert found.explained[0] > 0.95


def test_similarity_tells_patterns_apart_and_how_reliable_they_are():
    rng = np.random.default_rng(0)
    ends = ends_of(100, 12)
    condition = rng.integers(0, 3, 1200)
    pattern = rng.standard_normal((3, 40))
    pattern[1] = pattern[0]
    activity = pattern[condition] + rng.standard_normal((1200, 40))
    samples = Samples(activity, ends.episode, np.arange(1200), np.zeros(1200, int))
    alike = similarity(samples, condition, 3)
    np.testing.assert_allclose(alike, alike.T)
    assert (np.diag(alike) > 0.9).all()
    assert alike[0, 1] > 0.9
    assert alike[0, 2] < 0
    noise = Samples(rng.standard_normal((1200, 400)), ends.episode, np.arange(1200), np.zeros(1200, int))
    assert (np.abs(similarity(noise, condition, 3)) < 5 / np.sqrt(400)).all()


def recording(lengths=((2, 1, 3), (1, 2)), coded="previous_reward,choice,common,nosuch", extra=2):
    """A recording of trials of so many steps in each episode, and steps of a trial that was not played to its end."""
    steps = max(sum(each) for each in lengths) + extra
    done, mask = np.zeros((2, len(lengths), steps), dtype=bool)
    for k, each in enumerate(lengths):
        done[k, np.cumsum(each, dtype=int) - 1] = True
        mask[k, : sum(each) + extra] = True
    place = np.arange(steps)[None] + 100 * np.arange(len(lengths))[:, None]
    axes = ("episode", "step")
    columns = {
        "mask": mask,
        "trial_done": done,
        "first": place % 100 == 0,
        "trial": np.cumsum(done, 1) - done,
        "reward": place.astype(np.float32),
        "choice": (place % 2).astype(np.int8),
        "common": np.ones_like(mask),
        "gt": (place % 2).astype(str).astype(object),
    }
    data = xarray.Dataset({name: (axes, values) for name, values in columns.items()})
    for name in ("trial", "choice", "common", "gt"):
        data[name].attrs["kind"] = "task"
    data["hidden"] = ((*axes, "unit"), np.stack([place, -place], -1).astype(np.float32))
    data["policy"] = ((*axes, "policy_choice"), np.zeros((*mask.shape, 2)))
    return data.assign_attrs(output="hidden", coded=coded, title="made up")


def test_columns_are_those_of_the_ends_of_trials_and_of_the_trials_before():
    data = recording()
    ends = TrialEnds.of(data)
    assert ends.episode.tolist() == [0, 0, 0, 1, 1]
    assert ends.step.tolist() == [1, 2, 5, 0, 2]
    assert ends.starts().tolist() == [0, 2, 3, 0, 1]
    assert ends.trial.tolist() == [0, 1, 2, 0, 1]
    reward = column(data, ends, "reward", "variables")
    assert reward.values.tolist() == [1, 2, 5, 100, 102]
    before = column(data, ends, "previous_reward", "variables")
    assert before.known.tolist() == [False, True, True, False, True]
    assert before.values[before.known].tolist() == [1, 2, 100]
    assert column(data, ends, "gt", "decode").is_text
    assert default_columns(data, ends) == ["previous_reward", "choice"]
    assert default_columns(recording(coded=""), ends) == ["choice", "gt", "previous_reward"]
    assert default_condition(data, ends, ["trial", "choice", "gt"]) == ["trial", "choice"]


def test_a_product_is_that_of_deviations_from_means_where_all_are_known():
    data = recording(coded="choice,previous_reward*choice,nosuch*choice")
    ends = TrialEnds.of(data)
    found = column(data, ends, "previous_reward*choice", "variables")
    assert found.known.tolist() == [False, True, True, False, True]
    reward, choice = np.array([1, 2, 100]), np.array([0, 1, 0])
    expected = (reward - reward.mean()) * (choice - choice.mean())
    np.testing.assert_allclose(found.values[found.known], expected)
    assert default_columns(data, ends) == ["choice", "previous_reward*choice"]
    with pytest.raises(ConfigError, match=r"variables: gt\*choice: a text cannot be multiplied"):
        column(data, ends, "gt*choice", "variables")
    with pytest.raises(ConfigError, match=r"decode: choise: there is no such column; did you mean choice\?"):
        column(data, ends, "reward*choise", "decode")


def test_an_interaction_is_found_and_told_apart_from_its_factors():
    """Unit 0 codes the product of two columns, unit 1 their sum, and unit 2 neither."""
    rng = np.random.default_rng(0)
    data = recording(tuple((1,) * 20 for _ in range(60)), extra=0)
    choice, reward = (rng.integers(0, 2, (60, 20)) for _ in range(2))
    data["choice"] = data["choice"].copy(data=choice.astype(np.int8))
    data["reward"] = data["reward"].copy(data=reward.astype(np.float32))
    coded = np.stack([(choice - 0.5) * (reward - 0.5), choice + reward, np.zeros_like(choice)], -1)
    data["hidden"] = (("episode", "step", "unit"), coded + 0.5 * rng.standard_normal(coded.shape))
    found = analyses_of(data, AnalyseSettings(run="here", variables=("choice", "reward", "choice*reward"), shuffles=2))
    assert (found.regression.q < 0.05).tolist() == [[False, True, False], [False, True, False], [True, False, False]]


def test_what_is_the_networks_own_is_read_at_the_step_that_counts():
    data = recording()
    data["value"] = data["reward"].assign_attrs(kind="network")
    ends = TrialEnds.of(data)
    assert column(data, ends, "value", "variables").values.tolist() == [1, 2, 5, 100, 102]
    assert column(data, ends, "value", "variables", "first").values.tolist() == [0, 2, 3, 100, 101]
    assert column(data, ends, "reward", "variables", "first").values.tolist() == [1, 2, 5, 100, 102]


def test_samples_are_read_at_the_steps_that_were_asked_for(monkeypatch):
    monkeypatch.setattr("prefrontal.launch.analyses.samples.BLOCK", 1)
    data = recording()
    ends = TrialEnds.of(data)
    assert one_a_trial(data, "hidden", ends, "last").activity[:, 0].tolist() == [1, 2, 5, 100, 102]
    first = one_a_trial(data, "hidden", ends, "first")
    assert first.activity[:, 1].tolist() == [0, -2, -3, -100, -101]
    every = each_step(data, "hidden", ends)
    assert every.activity[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 100, 101, 102]
    assert every.trial.tolist() == [0, 0, 1, 2, 2, 2, 3, 4, 4]
    assert every.step.tolist() == [0, 1, 0, 0, 1, 2, 0, 0, 1]


def test_conditions_are_the_combinations_that_there_are():
    data = recording()
    ends = TrialEnds.of(data)
    number, labels = conditions_of(data, ends, ["previous_choice", "gt"])
    assert labels == ["previous_choice 0, gt 0", "previous_choice 0, gt 1", "previous_choice 1, gt 0"]
    assert number.tolist() == [-1, 2, 1, -1, 0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"variables": ("rewrd",)}, r"variables: rewrd: there is no such column; did you mean reward\? There is: "),
        ({"variables": "previous_choise"}, r"did you mean previous_choice\?"),
        ({"condition": "nosuch"}, "condition: nosuch: there is no such column"),
        ({"decode": ("hiden",)}, "decode: hiden: there is no such column"),
        ({"activity": "cel"}, "activity=cel: there is no such activity of units"),
        ({"activity": "policy"}, "There is: activity=hidden"),
        ({"condition": "reward"}, "reward has 20 values; conditions are told by 8"),
    ],
)
def test_what_there_is_not_is_named_with_what_is_closest(settings, said):
    data = recording(((1, 1), (2, 1)) * 5)
    with pytest.raises(ConfigError, match=said):
        analyses_of(data, AnalyseSettings(run="here", **settings))


def test_a_recording_without_a_whole_trial_is_refused():
    with pytest.raises(ConfigError, match="no trial in this recording"):
        TrialEnds.of(recording(((), ())))


def test_the_activity_that_is_analysed_is_what_policy_and_value_read():
    data = recording()
    assert activity_name(data, None) == "hidden"
    assert activity_name(data, "hidden") == "hidden"


@pytest.mark.parametrize("episodes", [None, 12])
def test_all_analyses_of_a_recording(episodes):
    rng = np.random.default_rng(0)
    data = recording(tuple((1,) * 20 for _ in range(30)), extra=0)
    choice = rng.integers(0, 2, (30, 20)).astype(np.int8)
    data["choice"] = data["choice"].copy(data=choice)
    data["reward"] = data["reward"].copy(data=rng.integers(0, 2, (30, 20)).astype(np.float32))
    data["hidden"] = data["hidden"].copy(data=rng.standard_normal((30, 20, 2)) + choice[..., None])
    found = analyses_of(data, AnalyseSettings(run="here", episodes=episodes, shuffles=5))
    assert found.episodes == (episodes or 30)
    assert found.coding_units(0.05) == {"previous_reward": 0, "choice": 2}
    assert found.decoding["choice"].score > 0.65
    assert found.conditions[0] == "previous_reward 0, choice 0"
    assert found.similarity.shape == (4, 4)
    assert found.trajectories.along == "lag"
