"""One-dimensional Harlow against its definition, its ideal and random players, its measures and figure."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.harlow.analysis import analyse, figures, summarise, training_quantiles
from prefrontal.envs.harlow.baselines import BASELINES
from prefrontal.envs.harlow.env import CROSS, EMPTY, HarlowEnv, HarlowSettings
from prefrontal.envs.harlow.ring import LEFT, RIGHT, RING, SEE_NOTHING, STATES, Ring
from prefrontal.envs.trials import Evaluation, TrialRecorder, simulate


def played(name, episodes=4000, **options):
    settings = HarlowSettings(**options)
    env = HarlowEnv(settings, 1000)
    trials, returns = simulate(env, BASELINES[name](env), episodes, seed=3)
    return settings, trials, returns


def recorder_of_random_play(episodes=4000):
    env = HarlowEnv(HarlowSettings(), 1000)
    env.reset(seed=1)
    rng, recorder = np.random.default_rng(2), TrialRecorder(HarlowEnv.info_spec, 1000, episodes)
    while not recorder.done:
        _, reward, terminated, truncated, info = env.step(rng.integers(2, size=1000))
        recorder.add(info, reward, terminated | truncated)
    return recorder


def test_ideal_player():
    """35 steps and a return of 6.2: six fixations, five right choices, a coin flip."""
    settings, trials, returns = played("ideal")
    measures = summarise(trials, settings)
    assert measures["accuracy_by_trial"][1:] == [1.0] * 5
    assert measures["accuracy_by_trial"][0] == pytest.approx(0.5, abs=0.03)
    assert returns.mean() == pytest.approx(6.2, abs=0.08)
    steps = np.bincount(trials["episode"], trials["steps"])
    assert steps.mean() == pytest.approx(10 / 6 + 6 * 3 + 5 * 3, abs=0.1)
    assert analyse(trials, settings)["second_trial_accuracy"] == {"after_correct": 1.0, "after_wrong": 1.0}


def test_random_player_and_truncation():
    recorder = recorder_of_random_play()
    assert recorder.lengths.mean() == pytest.approx(220, abs=4)
    assert recorder.lengths.max() == 250
    assert recorder.returns.mean() == pytest.approx(1.0, abs=0.12)
    share = summarise(recorder.trials(), HarlowSettings())["accuracy_by_trial"]
    assert share == pytest.approx([0.5] * 6, abs=0.05)


def test_a_trial_step_by_step():
    env = HarlowEnv(HarlowSettings(), 1)
    for seed in range(20):
        obs, _ = env.reset(seed=seed)
        assert (obs != EMPTY).sum() == 1
        shift = int(obs[0].argmax()) - 4
        assert obs[0, 4 + shift] == CROSS
        assert shift in (-3, -2, -1, 1, 2)
        for step in range(abs(shift)):
            obs, reward, *_, info = env.step(np.array([RIGHT if shift > 0 else LEFT]))
            assert reward[0] == (np.float32(0.2) if step == abs(shift) - 1 else 0)
        left, right = obs[0, 1], obs[0, 7]
        assert (obs != EMPTY).sum() == 2
        assert 0.5 <= min(abs(left), abs(right)) <= 2.0
        for _ in range(3):
            obs, reward, *_, info = env.step(np.array([RIGHT]))
        assert info["trial_done"][0]
        assert info["chose_right"][0]
        assert reward[0] == (1 if info["rewarded_right"][0] else -1)
        assert obs[0].tolist() == [EMPTY, CROSS] + [EMPTY] * 7, "the cross is back, three cells towards the start"


@pytest.mark.parametrize("action", [LEFT, RIGHT])
def test_the_ring_is_closed(action):
    """Seventeen steps in one direction pass every place once; what is shown stays, and at most two cells hold it."""
    ring = Ring.of(0.2, 1.0, -1.0)
    for kind in range(3):
        at, passed = kind * RING, []
        for _ in range(RING):
            at = int(ring.moved[STATES * action + at])
            passed.append(at)
        assert sorted(passed) == list(range(kind * RING, (kind + 1) * RING))
        assert at == kind * RING
        held = (ring.view[passed] != SEE_NOTHING).sum(1)
        assert held.max() == (1 if kind == 0 else 2)
        assert ring.chosen[passed].sum() == (0 if kind == 0 else 2)


def test_sides_objects_and_splits():
    _, trials, _ = played("random")
    assert trials["rewarded_right"].mean() == pytest.approx(0.5, abs=0.02)
    assert (trials["rewarded_level"] != trials["other_level"]).all()
    pools = {split: set(HarlowSettings(split=split).pool().tolist()) for split in ("train", "test", "all")}
    assert pools["train"] | pools["test"] == pools["all"]
    assert not pools["train"] & pools["test"]
    assert (len(pools["train"]), len(pools["test"])) == (800, 200)
    seen = set(trials["rewarded_level"].tolist()) | set(trials["other_level"].tolist())
    assert seen <= pools["train"]
    assert len(seen) == 800


def test_training_quantiles_are_means_over_equal_parts():
    steps = np.linspace(1, 100, 100)
    history = {"env_steps": steps} | {f"accuracy_by_trial.{i}": np.ceil(steps / 20) / 5 + 0.01 * i for i in range(6)}
    _, trials, _ = played("ideal", 50)
    settings = HarlowSettings(split="test")
    table = training_quantiles(Evaluation(trials, history), settings)
    np.testing.assert_allclose(table, np.arange(1, 6)[:, None] / 5 + 0.01 * np.arange(6), atol=1e-9)
    assert training_quantiles(Evaluation(trials, {}), settings) is None
    assert "accuracy_by_trial" in dict(figures([Evaluation(trials, history)], settings))


def test_settings_are_checked():
    for bad in ({"split": "validation"}, {"levels": 5}, {"levels": 10.5}, {"trials": 0}):
        with pytest.raises(ValueError, match=rf"task\.{next(iter(bad))}="):
            registry.get("harlow").configure(bad)
