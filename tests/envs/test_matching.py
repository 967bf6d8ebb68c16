"""The matching task: the task against its definition, baselines against closed forms, planted behaviour."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.matching.analysis import analyse, lag_regression, references, summarise
from prefrontal.envs.matching.baselines import BASELINES, Bayes, best_cycle
from prefrontal.envs.matching.env import MatchingEnv, MatchingSettings
from prefrontal.envs.tables import trials_of_others
from prefrontal.envs.trials import simulate
from prefrontal.envs.two_sides import FIXATE

EVALUATED = MatchingSettings(split="all", trials=(100, 100))
LEFT = (np.arange(200) + 0.5) / 400
"""p0 of the left side, evenly over all of it."""


def episodes(name, settings, count, seed=0):
    env = MatchingEnv(settings, count)
    return simulate(env, BASELINES[name](env), count, seed)[0]


def chances(choices, left, total=0.5):
    """[T] what each choice of a sequence pays on average, straight from the definition."""
    found, since = [], [0, 0]
    for side in choices:
        base = left if side == 0 else total - left
        found.append(1 - (1 - base) ** (since[side] + 1))
        since = [0 if other == side else since[other] + 1 for other in range(2)]
    return found


def maximising(left, trials):
    """The choices of who is told p0 and takes the likelier side each time."""
    choices = []
    for _ in range(trials):
        each = [chances([*choices, side], left)[-1] for side in range(2)]
        choices.append(int(each[1] > each[0]))
    return choices


@pytest.mark.parametrize("name", ["random", "bayes"])
def test_sides_pay_as_they_should(name):
    """Sums of rewards in tenths of the chances: within four standard deviations."""
    trials = episodes(name, EVALUATED, 400)
    rows = [trials["episode"] == episode for episode in range(400)]
    chance = np.concatenate([chances(trials["choice"][row], trials["p0_left"][row][0]) for row in rows])
    reward = trials["reward"]
    assert set(reward) == {0, 1}
    for low in np.arange(0, 1, 0.1):
        part = (chance >= low) & (chance < low + 0.1)
        spread = np.sqrt((chance[part] * (1 - chance[part])).sum())
        assert abs((reward[part] - chance[part]).sum()) <= 4 * spread + 1e-9
    assert (trials["steps"] == 2).all()


def test_rewards_wait_where_they_were_put():
    """The same as a coin of p0 on each side in each trial, whose reward stays until it is taken."""
    rng = np.random.default_rng(0)
    choices = rng.integers(2, size=12)
    paid, there = np.zeros((40_000, 12)), np.zeros((40_000, 2), dtype=bool)
    for t, side in enumerate(choices):
        there |= rng.random((40_000, 2)) < (0.15, 0.35)
        paid[:, t] = there[:, side]
        there[:, side] = False
    assert paid.mean(0) == pytest.approx(chances(choices, 0.15), abs=4 * 0.5 / 200)


def test_p0_and_length_are_drawn_as_told():
    for split, inside in (("train", [(0, 0.1), (0.2, 0.3), (0.4, 0.5)]), ("test", [(0.1, 0.2), (0.3, 0.4)])):
        trials = episodes("random", MatchingSettings(split=split, trials=(1, 2)), 6000)
        first = trials["trial"] == 0
        left = trials["p0_left"][first]
        parts = [((left >= low) & (left <= high)).mean() for low, high in inside]
        assert sum(parts) == 1
        assert parts == pytest.approx([1 / len(parts)] * len(parts), abs=4 * 0.5 / np.sqrt(6000))
        assert trials["held_out"].all() == (split == "test")
        assert trials["held_out"].any() == (split == "test")
        assert first.mean() == pytest.approx(2 / 3, abs=0.02)
    trials = episodes("random", EVALUATED, 4000)
    assert np.quantile(trials["p0_left"], [0.1, 0.5, 0.9]) == pytest.approx([0.05, 0.25, 0.45], abs=0.02)
    assert trials["held_out"].mean() == pytest.approx(0.4, abs=4 * 0.5 / np.sqrt(4000))
    assert (np.bincount(trials["episode"]) == 100).all()
    lengths = np.bincount(episodes("random", MatchingSettings(), 3000)["episode"])
    assert (lengths.min(), lengths.max()) == (50, 100)
    assert lengths.mean() == pytest.approx(75, abs=4 * 15 / np.sqrt(3000))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bands": [[0.2, 0.1]]}, r"bands=\[\[0.2, 0.1\]\] do not ascend within 0..0.5"),
        ({"bands": [[0.4, 0.6]]}, "do not ascend"),
        ({"bands": [[0.0, 0.2], [0.1, 0.3]]}, "do not ascend"),
        ({"bands": []}, "split=train leaves nothing"),
        ({"bands": [[0.0, 0.5]], "split": "test"}, "split=test leaves nothing"),
        ({"trials": [3, 2]}, "the fewest come first"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        registry.make_vector("matching", 2, **wrong)


def test_baselines_reach_what_is_known_of_them():
    """Closed forms, within four standard errors (an episode's mean has a standard deviation below .06)."""
    near = 4 * 0.06 / np.sqrt(4000)

    def reward(name):
        return summarise(episodes(name, EVALUATED, 4000), EVALUATED)["reward_per_trial"]

    # The side of a trial was last chosen n trials before, n geometric, or never.
    n = np.arange(100)
    weight = 0.5 ** (n + 1)
    pays = 1 - (1 - LEFT[:, None]) ** (n + 1)
    by_trial = [(weight[:t] * pays[:, :t]).sum(1) + 0.5**t * pays[:, t] for t in range(100)]
    assert reward("random") == pytest.approx(np.mean(by_trial), abs=near)
    alternation = (0.25 + 99 * np.mean(1 - (1 - LEFT) ** 2)) / 100
    assert reward("alternate") == pytest.approx(alternation, abs=near)
    told = np.mean([np.mean(chances(maximising(left, 100), left)) for left in LEFT[::20] + 0.01])
    assert told == pytest.approx(0.4501, abs=1e-3)
    assert reward("maximiser") == pytest.approx(0.4501, abs=near)
    assert reward("cycle") == pytest.approx(best_cycle(LEFT, EVALUATED)[1].mean(), abs=near)


def test_references_are_what_others_have_computed():
    bayes, told, cycle = references(EVALUATED)
    assert bayes.values["reward_per_trial"] == pytest.approx(0.443, abs=4 * 0.0012)
    assert bayes.values["slope"]["all"] == pytest.approx(0.76, abs=0.03)
    assert told.values["slope"]["all"] == pytest.approx(0.94, abs=0.03)
    assert cycle.values["reward_per_trial"] == pytest.approx(0.4527, abs=2e-4)
    alternating = summarise(episodes("alternate", EVALUATED, 300), EVALUATED)
    assert alternating["slope"]["all"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("left", [0.01, 0.07, 0.2, 0.25, 0.33, 0.46])
def test_nobody_who_is_told_p0_does_better_than_the_best_cycle(left):
    """Value iteration over the side that was chosen last and how long the other was left, for many trials."""
    trials, longest = 6000, 120
    n = np.arange(longest)
    base = np.array([left, 0.5 - left])
    stay = base[:, None]
    go = 1 - (1 - base[::-1, None]) ** (n + 1)
    value = np.zeros((2, longest))
    for _ in range(trials):
        later = np.append(value[:, 1:], value[:, -1:], axis=1)
        value = np.maximum(stay + later, go + value[::-1, 1:2])
    gain = float(best_cycle(np.array([left]), EVALUATED)[1][0])
    assert value[0, 0] / trials == pytest.approx(gain, abs=2 / trials)


def test_the_bayes_player_believes_what_bayes_rule_says():
    env = MatchingEnv(MatchingSettings(trials=(30, 30)), 3)
    player = Bayes(env)
    obs, _ = env.reset(seed=4)
    player.begin(np.ones(3, dtype=bool))
    left = env.settings.base((np.arange(100) + 0.5) / 100)
    choices, belief = [[], [], []], np.ones((3, 100))
    for _ in range(50):
        action = player.act(obs)
        obs, reward, *_ = env.step(action)
        player.learn(action, reward, obs)
        for row, side in enumerate(action):
            if side != FIXATE:
                choices[row].append(int(side))
                pays = np.array([chances(choices[row], each)[-1] for each in left])
                belief[row] *= pays if reward[row] else 1 - pays
    np.testing.assert_allclose(player.belief, belief / belief.sum(1, keepdims=True), rtol=1e-9)
    expected = [[(np.array([chances([*own, side], each)[-1] for each in left]) @ p) / p.sum() for side in range(2)]
                for own, p in zip(choices, belief, strict=True)]  # fmt: skip
    np.testing.assert_allclose(1 - player._misses(), expected, rtol=1e-9)


def test_invalid_actions_cost_and_are_told():
    env = registry.make_vector("matching", 4, penalty=2.0)
    obs, _ = env.reset(seed=0)
    assert (obs == [0, 0, 1]).all()
    obs, reward, *_, info = env.step(np.array([FIXATE, 0, 1, FIXATE]))
    assert reward.tolist() == [0, -2, -2, 0]
    assert not info["trial_done"].any()
    assert (obs == [1, 1, 0]).all()
    _, reward, *_, info = env.step(np.array([0, 0, 1, FIXATE]))
    assert reward[3] == -2
    assert (reward[:3] >= 0).all()
    assert info["choice"].tolist() == [0, 0, 1, -1]
    assert info["fixated"].tolist() == [True, False, False, True]
    assert info["trial_done"].all()
    assert env._since.tolist() == [[0, 1], [0, 1], [1, 0], [1, 1]]
    bare = registry.make_vector("matching", 2, fixation=False)
    assert bare.single_action_space.n == 2
    assert bare.reset(seed=0)[0].tolist() == [[1, 1]] * 2


def planted(choices, rewards, held_out=()):
    """Trials of episodes from lists of choices and of rewards."""
    sizes = [len(each) for each in choices]
    return {
        "trial": np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        "episode": np.repeat(np.arange(len(sizes)), sizes),
        "choice": np.concatenate(choices).astype(np.int8),
        "reward": np.concatenate(rewards).astype(np.float32),
        "held_out": np.repeat([episode in held_out for episode in range(len(sizes))], sizes),
        "fixated": np.ones(sum(sizes), dtype=bool),
    }


def test_measures_of_planted_behaviour():
    """Choice ratios 2, 1/2, 4 and reward ratios 4, 1/4, 16: undermatching with a slope of a half."""
    choices = [[0] * 16 + [1] * 8, [0] * 8 + [1] * 16, [0] * 32 + [1] * 8, [0] * 5, [0, 1, -1]]
    rewards = [
        [1] * 8 + [0] * 8 + [1] * 2 + [0] * 6,
        [1] * 2 + [0] * 6 + [1] * 8 + [0] * 8,
        [1] * 16 + [0] * 16 + [1] + [0] * 7,
        [1] * 5,
        [0, 1, -1],
    ]
    trials = planted(choices, rewards, held_out=(1, 2))
    trials["fixated"] = np.arange(len(trials["trial"])) != 3
    measures = summarise(trials, EVALUATED)
    assert measures["slope"]["all"] == pytest.approx(0.5)
    assert measures["slope"]["held_out"] == pytest.approx(0.5)
    assert np.isnan(measures["slope"]["trained"]), "one episode has no slope"
    total, count = sum(map(sum, rewards)), sum(map(len, rewards))
    assert measures["reward_per_trial"] == pytest.approx(total / count)
    assert measures["invalid"] == pytest.approx(2 / count)
    found = analyse(trials, EVALUATED)
    assert found["matching"]["episodes"] == 3
    assert found["matching"]["intercept"] == pytest.approx(0, abs=1e-9)
    expected = np.mean([4 / 5 - 2 / 3, 4 / 5 - 2 / 3, 16 / 17 - 4 / 5])
    assert found["matching"]["undermatching"] == pytest.approx(expected)
    assert found["lag_regression"] == {"reward": [], "choice": []}


def test_lag_regression_finds_planted_weights():
    """Standard errors are about 1 / sqrt(trials x variance of choice and regressor) < .02."""
    rng = np.random.default_rng(1)
    reward_weights, choice_weights = 0.9 * 0.7 ** np.arange(15), -0.8 * 0.5 ** np.arange(15)
    choices = rng.integers(2, size=(600, 100))
    rewards = (rng.random((600, 100)) < 0.4).astype(float)
    for t in range(15, 100):
        side = 1 - 2 * choices[:, t - 15 : t][:, ::-1]
        drive = (rewards[:, t - 15 : t][:, ::-1] * side) @ reward_weights + side @ choice_weights
        choices[:, t] = rng.random(600) > 1 / (1 + np.exp(-drive - 0.3))
    found = lag_regression(planted(list(choices), list(rewards)))
    assert found["reward"] == pytest.approx(reward_weights, abs=0.1)
    assert found["choice"] == pytest.approx(choice_weights, abs=0.1)


def test_tables_of_others_are_read():
    table = {
        "session": np.repeat([1, 2], 4),
        "trial": np.tile(np.arange(4), 2),
        "action": np.array(["L", "R", "L", "L"] * 2),
        "reward": np.array([1, 0, 1, 0, 0, 1, 1, 0]),
    }
    (subject,) = trials_of_others(
        table, registry.get("matching").table, MatchingSettings(), called="monkey", actions=("L", "R")
    )
    measures = summarise(subject.trials, MatchingSettings())
    assert measures["reward_per_trial"] == 0.5
    assert measures["invalid"] == 0
    table["p0_left"] = np.repeat([0.05, 0.15], 4)
    (subject,) = trials_of_others(
        table, registry.get("matching").table, MatchingSettings(), called="monkey", actions=("L", "R")
    )
    assert subject.trials["held_out"].tolist() == [False] * 4 + [True] * 4
