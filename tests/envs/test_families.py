"""Families of tasks: lives with one hidden task; navigation and decision processes against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import families, registry
from prefrontal.envs.families import place_in_life, returns_by_episode
from prefrontal.envs.navigation_2d.baselines import expected_returns
from prefrontal.envs.navigation_2d.drawing import paths
from prefrontal.envs.navigation_2d.env import PATH
from prefrontal.envs.tabular_mdp.env import plan
from prefrontal.envs.trials import simulate

FAMILIES = ["navigation_2d", "tabular_mdp"]


def played(name, baseline, lives, seed=0, **options):
    task = registry.get(name)
    settings = task.configure(options)
    env = task.make(settings, min(lives, 500))
    return simulate(env, task.baselines[baseline](env), lives, seed)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_life_has_one_hidden_task_and_several_episodes(name):
    env = registry.make_vector(name, 4, episodes=3, steps=5, starts=True)
    obs, _ = env.reset(seed=0)
    hidden = env.hidden_tasks()
    start = obs.copy()
    assert (start[:, -1] == 1).all()
    rng = np.random.default_rng(0)
    for step in range(15):
        action = rng.integers(5, size=4) if name == "tabular_mdp" else rng.uniform(-1, 1, (4, 2)).astype(np.float32)
        same = all(np.array_equal(now, hidden[key]) for key, now in env.hidden_tasks().items())
        assert same
        obs, _, terminated, truncated, info = env.step(action)
        assert (info["trial"] == step // 5).all()
        assert (info["trial_done"] == ((step + 1) % 5 == 0)).all()
        assert (terminated == (step == 14)).all()
        assert not truncated.any()
        if (step + 1) % 5 == 0:
            assert np.array_equal(obs, start), "each episode begins at the same place"
        else:
            assert (obs[:, -1] == 0).all()
    assert not any(np.array_equal(now, hidden[key]) for key, now in env.hidden_tasks().items())


@pytest.mark.parametrize("name", FAMILIES)
def test_hidden_tasks_can_be_played_again(name):
    def rewards(env):
        space, rng = env.single_action_space, np.random.default_rng(3)
        actions = rng.uniform(-1, 1, (8, 6, 2)) if name == "navigation_2d" else rng.integers(space.n, size=(8, 6))
        return np.array([env.step(action)[1] for action in actions])

    quiet = {"noise": 0.0} if name == "tabular_mdp" else {}
    one, other = registry.make_vector(name, 6, **quiet), registry.make_vector(name, 6, **quiet)
    one.reset(seed=0)
    other.reset(seed=1)
    other.play_hidden(one.hidden_tasks())
    other.rng = np.random.default_rng(5)
    one.rng = np.random.default_rng(5)
    assert np.array_equal(rewards(one), rewards(other))
    shared = {key: np.repeat(value[::3], 3, axis=0) for key, value in one.hidden_tasks().items()}
    one.reset()
    one.play_hidden(shared)
    assert all(np.array_equal(now[0], now[2]) for now in one.hidden_tasks().values())


def test_navigation_against_its_definition():
    """Rewards by hand: distances from where it is after the move, moves cut to the speed, rest at the goal."""
    env = registry.make_vector("navigation_2d", 2, steps=20, episodes=1)
    env.reset(seed=0)
    env.play_hidden({"goal": np.array([[0.3, -0.2], [0.005, 0.0]], dtype=np.float32)})
    place = np.zeros(2)
    for _ in range(19):
        _, reward, *_ = env.step(np.array([[0.5, -0.1], [0.0, 0.0]], dtype=np.float32))
        place = place + np.array([0.05, -0.01])
        assert reward[0] == pytest.approx(-np.hypot(*(place - [0.3, -0.2])), abs=1e-5)
    env.reset()
    env.play_hidden({"goal": np.array([[0.3, -0.2], [0.005, 0.0]], dtype=np.float32)})
    first = env.step(np.zeros((2, 2), dtype=np.float32))[1]
    assert first[1] == pytest.approx(-0.005)
    obs, reward, *_ = env.step(np.ones((2, 2), dtype=np.float32))
    assert reward[1] == 0, "within .01 in both directions: the episode is over, and rests"
    assert np.array_equal(obs[1], [0, 0])


def test_navigation_baselines_have_the_returns_of_the_closed_form():
    """Means over 2,000 goals lie within 4 standard errors; no path is shorter than the oracle's."""
    known = expected_returns(registry.get("navigation_2d").configure())
    for name in ("oracle", "stay"):
        _, returns = played("navigation_2d", name, 2000)
        per_episode = returns / 2
        assert abs(per_episode.mean() - known[name]) < 4 * per_episode.std() / np.sqrt(len(per_episode))
    # By hand: goal (.25, .12) with moves of .1 leaves (.15, .02), (.05, 0), (0, 0).
    env = registry.make_vector("navigation_2d", 1, episodes=1)
    oracle = registry.get("navigation_2d").baselines["oracle"](env)
    obs, _ = env.reset(seed=0)
    obs = env.play_hidden({"goal": np.array([[0.25, 0.12]], dtype=np.float32)})
    total = 0.0
    for _ in range(5):
        obs, reward, *_ = env.step(oracle.act(obs))
        total += float(reward[0])
    assert total == pytest.approx(-np.hypot(0.15, 0.02) - 0.05, abs=1e-5)


@pytest.mark.parametrize("steps", [7, 10, 33, 100])
def test_paths_end_where_episodes_end(steps):
    trials, _ = played("navigation_2d", "oracle", 50, steps=steps)
    along = paths(trials)
    assert along.shape == (100, PATH + 1, 2)
    goal = np.stack((trials["goal_x"], trials["goal_y"]), axis=1)
    assert np.abs(along[:, -1] - goal).max() < 0.01
    if steps >= PATH:
        assert np.isfinite(along).all()
        assert (np.diff(np.abs(goal[:, None] - along).sum(2), axis=1) < 1e-6).all(), "the oracle comes nearer"


def test_dynamic_programming_equals_brute_force():
    """All policies of a small process: no sequence of actions by state and step does better."""
    rng = np.random.default_rng(0)
    chances, rewards, steps = rng.dirichlet(np.ones(2), (1, 2, 2)), rng.normal(size=(1, 2, 2)), 3
    values, best = plan(chances, rewards, steps)
    found = []
    for number in range(2 ** (2 * steps)):
        policy = (number >> np.arange(2 * steps)).reshape(steps, 2) & 1
        at, total = np.array([1.0, 0.0]), 0.0
        for chosen in policy:
            total += at @ rewards[0, [0, 1], chosen]
            at = at @ chances[0, [0, 1], chosen]
        found.append(total)
    assert values[0, 0, 0] == pytest.approx(max(found))
    assert best.shape == (1, steps, 2)


def test_decision_processes_have_the_distribution_of_their_definition():
    env = registry.make_vector("tabular_mdp", 2000)
    env.reset(seed=0)
    chances = np.diff(env.transitions, axis=-1, prepend=0.0)
    count = chances[..., 0].size
    # Dirichlet(1) over 10: each entry is Beta(1, 9), mean .1, variance .9 * .1 / 11.
    assert abs(chances[..., 0].mean() - 0.1) < 5 * np.sqrt(0.09 / 11 / count)
    assert abs(chances[..., 0].var() - 0.09 / 11) < 5 * 0.02 / np.sqrt(count)
    assert abs(env.rewards.mean() - 1) < 5 / np.sqrt(env.rewards.size)
    assert abs(env.rewards.std() - 1) < 5 / np.sqrt(2 * env.rewards.size)
    # What is walked follows the transitions: a frequent state-action pair's outcomes, by a normal bound.
    one = {key: np.repeat(value[:1], 2000, axis=0) for key, value in env.hidden_tasks().items()}
    env.play_hidden(one)
    following = env.step(np.zeros(2000, dtype=int))[0][:, :10].mean(0)
    assert (np.abs(following - chances[0, 0, 0]) < 5 * np.sqrt(0.25 / 2000)).all()


def test_posterior_sampling_learns_in_a_life_and_oracles_need_not():
    trials, returns = played("tabular_mdp", "posterior_sampling", 500)
    first, last = returns_by_episode(trials)[0], returns_by_episode(trials)[-1]
    assert last - first > 4
    trials, returns = played("tabular_mdp", "oracle", 500)
    lacks = trials["optimal"] - trials["reward"]
    assert abs(lacks.mean()) < 4 * lacks.std() / np.sqrt(len(lacks))
    _, returns = played("tabular_mdp", "random", 500)
    assert abs(returns.mean() / 10 - 10) < 4 * returns.std() / 10 / np.sqrt(500)


def test_episodes_of_a_life_are_counted_by_trials_or_by_adaptation():
    trials = {"trial": np.array([0, 1, 0, 1]), "reward": np.array([1.0, 2.0, 3.0, 4.0])}
    assert returns_by_episode(trials) == [2, 3]
    adapted = trials | {"adaptation": np.array([0, 1, 2, 3], dtype=np.int8)}
    assert place_in_life(adapted).tolist() == [0, 1, 2, 3]
    assert returns_by_episode(adapted) == [1, 2, 3, 4]
    gain = families.analyse({"trial": np.repeat([0, 1], 50), "reward": np.arange(100.0)})["gain"]
    assert gain["mean"] == 50
    # Two rows of 0..49 and 50..99: t = 50 / sqrt(2 * 212.5 / 50), with the variance (50² - 1) / 12 * 50 / 49.
    assert gain["t"] == pytest.approx(50 / np.sqrt(2 * (2499 / 12 * 50 / 49) / 50))
    assert gain["p"] < 1e-20
