"""The water maze against its definition, its lives and cues, its searchers, its measures."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.trials import Evaluation, simulate
from prefrontal.envs.water_maze.analysis import HEADLINE, analyse, references, summarise
from prefrontal.envs.water_maze.baselines import BASELINES
from prefrontal.envs.water_maze.drawing import figures
from prefrontal.envs.water_maze.env import MOVES, WaterMazeEnv, WaterMazeSettings

SMALL = {"size": 4, "barcodes": 3, "encounters": 4, "bits": 3, "longest": 30}


def played(name, lives=60, **options):
    settings = WaterMazeSettings(**options)
    env = WaterMazeEnv(settings, lives)
    trials, returns = simulate(env, BASELINES[name](env), lives * settings.episodes, seed=3)
    return settings, trials, returns


def test_swimming_step_by_step():
    """Against a slow copy of the rules; the step on the platform ends the episode, and is the one that is kept."""
    settings = WaterMazeSettings(**SMALL)
    env = WaterMazeEnv(settings, 50)
    obs, _ = env.reset(seed=0)
    rng = np.random.default_rng(1)
    cell, path = env.cell.copy(), np.zeros(50, dtype=int)
    there = np.zeros(50, dtype=bool)
    for _ in range(400):
        assert np.array_equal(obs[:, :4].argmax(1), cell[:, 0])
        assert np.array_equal(obs[:, 4:8].argmax(1), cell[:, 1])
        assert (obs[:, :8].sum(1) == 2).all()
        platform, cue = env.platform().copy(), env.cue()
        assert np.array_equal(cue.write, there)
        assert np.array_equal(cue.key, obs[:, 8:])
        action = rng.integers(4, size=50)
        obs, reward, terminated, truncated, info = env.step(action)
        swims = ~there
        cell = np.where(swims[:, None], np.clip(cell + MOVES[action], 0, 3), cell)
        path += swims
        arrives = swims & (cell == platform).all(1)
        assert np.array_equal(reward, arrives.astype(np.float32))
        ended = there | (swims & ~arrives & (path >= 30))
        assert np.array_equal(terminated, ended)
        assert np.array_equal(info["path"], path)
        assert np.array_equal(info["found"], there)
        assert not truncated.any()
        cell, path = np.where(ended[:, None], env.cell, cell), np.where(ended, 0, path)
        there = arrives


def test_a_life_is_that_of_the_definition():
    settings, trials, _ = played("oracle", lives=200, **SMALL)
    assert (trials["path"] == trials["shortest"]).all()
    assert trials["found"].all()
    assert (trials["shortest"] > 0).all(), "nobody starts on the platform"
    counts = np.bincount(trials["encounter"], minlength=4)
    assert (counts == 200 * settings.barcodes).all()
    env = WaterMazeEnv(settings, 4000)
    env.reset(seed=0)
    for cells in (env.platform(), env.cell):
        share = np.bincount(cells @ np.array([4, 1]), minlength=16) / 4000
        assert np.abs(share - 1 / 16).max() < 4 * np.sqrt(1 / 16 / 4000)


def test_the_mean_distance_is_that_of_two_cells():
    _, trials, _ = played("oracle", lives=100, size=8, longest=100)
    cells = np.stack(np.divmod(np.arange(64), 8), axis=1)
    apart = np.abs(cells[:, None] - cells).sum(-1)
    mean, spread = apart.sum() / (64 * 63), apart[apart > 0].std()
    assert abs(trials["shortest"].mean() - mean) < 4 * spread / np.sqrt(len(trials["shortest"]))


def test_searchers():
    """With recall returns are shortest paths; a search comes to less than all cells, of which half are behind it."""
    settings, trials, _ = played("searcher", lives=100, size=8, longest=100)
    measures = summarise(trials, settings)
    assert measures[HEADLINE] == 1.0
    assert 31 < measures["first_path"] < 38
    assert measures["found"] == 1.0
    again = summarise(played("without_recall", lives=100, size=8, longest=100)[1], settings)
    assert again["return_path"] == pytest.approx(measures["first_path"], abs=1.5)
    random = summarise(played("random", lives=40, size=8, longest=100)[1], settings)
    assert random["first_path"] > 1.6 * measures["first_path"]
    assert random["found"] < 0.6


def test_what_was_found_is_the_target_of_the_query():
    settings = WaterMazeSettings(**SMALL)
    env = WaterMazeEnv(settings, 30)
    env.reset(seed=2)
    oracle = BASELINES["oracle"](env)
    known = np.zeros((30, settings.barcodes), dtype=bool)
    rows = np.arange(30)
    for step in range(300):
        cue, shown = env.cue(), env.barcode().copy()
        known[cue.new_life] = False
        if step == 0:
            assert cue.new_life.all()
        assert np.array_equal(cue.target, np.where(known[rows, shown], shown, -1))
        assert np.array_equal(cue.tag, shown)
        _, reward, *_ = env.step(oracle.act(np.zeros(0)))
        known[rows, shown] |= reward > 0


def test_measures_references_and_figures():
    settings, trials, _ = played("searcher", lives=20, **SMALL)
    table = analyse(trials, settings)["path_by_encounter"]
    assert table[0] > table[1] == pytest.approx(table[1])
    assert len(table) == 4
    found = {one.name: one.values for one in references(settings)}
    assert found["searcher with recall"][HEADLINE] == 1.0
    assert found["without recall"][HEADLINE] > 1.5
    assert np.isnan(summarise({}, settings)[HEADLINE])
    history = {"env_steps": np.array([1.0, 2.0]), HEADLINE: np.array([3.0, 1.2])}
    drawn = dict(figures([Evaluation(trials, history)], settings))
    assert list(drawn) == ["path_by_encounter", "learning_curve"]


def test_settings_are_checked():
    for bad in ({"size": 1}, {"barcodes": 9, "bits": 3}, {"longest": 5}, {"bits": 15}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            registry.get("water_maze").configure(bad)
