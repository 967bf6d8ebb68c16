"""What every task promises, whichever it is: Gymnasium's API, autoreset, info, exact resume, renderings, analyses."""

from __future__ import annotations

import warnings
from pathlib import Path

import gymnasium
import numpy as np
import prefrontal.envs  # noqa: F401  # registers the tasks
import pytest
import yaml
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env
from matplotlib.figure import Figure
from prefrontal.envs import registry
from prefrontal.envs.trials import Evaluation, TrialRecorder, simulate, trials_of_window
from prefrontal.launch.run.measures import flatten

CONF = Path(__file__).parents[2] / "conf" / "task"
ELSEWHERE = {"dmlab", "gymnasium"}
"""Tasks that host the environments of others, which cannot be restored: `test_dmlab.py`, `test_gymnasium.py`."""
BATCHED = [name for name in registry.tasks() if name not in ELSEWHERE]
SHORTER = {
    "ant": {"steps": 20},
    "psychlab_harlow": {"size": 32, "actions": "turn", "max_frames": 400},
}
"""Options of tasks whose episodes or observations would take this file too long."""
VARIANTS = [(name, SHORTER.get(name, {})) for name in BATCHED] + [
    ("bandit", {"arms": "restless"}),
    ("bandit", {"arms": "informative", "trial_number": True}),
    ("episodic_two_step", {"context_input": True}),
    ("half_cheetah", {"goal": "velocity", "starts": True}),
    ("harlow", {"split": "test"}),
    ("navigation_2d", {"episodes": 3, "steps": 7, "starts": True}),
    ("matching", {"fixation": False, "split": "test", "trials": [20, 30]}),
    ("risky_choice", {"fixation": False, "probabilities": []}),
    ("two_step", {"steps_per_trial": 2, "trials": 10, "trial_number": True}),
    ("two_step", {"steps_per_trial": 3}),
]
names = pytest.mark.parametrize("name", BATCHED)
variants = pytest.mark.parametrize(("name", "options"), VARIANTS)


def drawn(space, rng, *shape):
    """Random actions [*shape, ...] of a space, or one of them."""
    if isinstance(space, Box):
        return rng.uniform(space.low, space.high, (*shape, *space.shape)).astype(np.float32)
    return rng.integers(space.n, size=shape or None)


def play(env, steps, seed=0):
    """Random actions; yields what each step returned."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield env.step(drawn(env.single_action_space, rng, env.num_envs))


@variants
def test_gymnasium_checker_and_make(name, options):
    env = gymnasium.make(registry.get(name).gym_id, render_mode="rgb_array", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@variants
def test_make_vec_same_step_autoreset(name, options):
    env = gymnasium.make_vec(registry.get(name).gym_id, num_envs=5, **options)
    env.reset(seed=3)
    seen, trials = 0, np.zeros(5, dtype=int)
    for obs, reward, terminated, truncated, info in play(env, 600):
        ended = terminated | truncated
        assert env.observation_space.contains(obs.astype(env.observation_space.dtype))
        assert reward.shape == (5,)
        assert np.array_equal(info["_final_obs"], ended)
        if ended.any():
            seen += ended.sum()
            assert info["final_obs"].shape == obs.shape
        done = info["trial_done"]
        assert np.array_equal(info["trial"][done], trials[done]), "of the episode that ended, too"
        trials = np.where(ended, 0, trials + done)
    assert seen >= 5


@variants
def test_info_has_the_declared_keys_and_dtypes(name, options):
    env = registry.make_vector(name, 4, **options)
    env.reset(seed=0)
    kept = []
    for *_, info in play(env, 260):
        extra = {"_final_obs", "final_obs"}
        assert set(info) - extra == set(env.info_spec)
        assert env.info_spec["trial"] == np.int32
        for key, dtype in env.info_spec.items():
            assert dtype in (np.bool_, np.int8, np.int32, np.float32), f"{key}: one size of whole numbers that can grow"
            assert info[key].dtype == dtype, key
            assert len(info[key]) == 4
        kept += [(column, column.copy()) for column in info.values()]
    assert all(np.array_equal(now, then, equal_nan=now.dtype.kind == "f") for now, then in kept), "handed out, changed"


@variants
def test_rewards_are_not_changed_after_they_were_handed_out(name, options):
    env = registry.make_vector(name, 6, **options)
    env.reset(seed=0)
    kept = [(reward, reward.copy()) for _, reward, *_ in play(env, 400)]
    assert all(np.array_equal(now, then) for now, then in kept)


@variants
def test_state_and_restore_continue_bit_for_bit(name, options):
    first, second = registry.make_vector(name, 7, **options), registry.make_vector(name, 7, **options)
    first.reset(seed=1)
    second.reset(seed=99)
    for steps in (33, 31, 0):  # within what was drawn ahead, at its end, and once more at the same place
        list(play(first, steps))
        second.restore(*first.state())
    for one, other in zip(play(first, 150, seed=5), play(second, 150, seed=5), strict=True):
        for a, b in zip(one[:4], other[:4], strict=True):
            assert np.array_equal(a, b)


@variants
def test_seeds_repeat_and_rows_differ(name, options):
    def rewards(seed):
        env = registry.make_vector(name, 8, **options)
        env.reset(seed=seed)
        return np.array([reward for _, reward, *_ in play(env, 200)])

    assert np.array_equal(rewards(4), rewards(4))
    assert not np.array_equal(rewards(4), rewards(5))
    columns = rewards(4).T
    assert len({column.tobytes() for column in columns}) > 4


@variants
def test_single_environment_plays_like_the_batch(name, options):
    single, batch = registry.make_single(name, **options), registry.make_vector(name, 1, **options)
    single.reset(seed=11)
    batch.reset(seed=11)
    batch.rng = np.random.Generator(type(single.np_random.bit_generator)())
    batch.restore(*single._batch.state())
    rng = np.random.default_rng(0)
    for _ in range(100):
        action = drawn(single.action_space, rng)
        _obs, reward, terminated, truncated, info = single.step(action)
        _, batch_reward, batch_terminated, _, batch_info = batch.step(np.array([action]))
        assert reward == batch_reward[0]
        assert terminated == batch_terminated[0]
        assert info["trial"] == batch_info["trial"][0]
        if terminated or truncated:
            break


@variants
def test_renderings(name, options):
    picture = registry.make_single(name, "rgb_array", **options)
    text = registry.make_single(name, "ansi", **options)
    for env in (picture, text):
        env.reset(seed=0)
        for _ in range(4):
            env.step(drawn(env.action_space, np.random.default_rng(0)))
    pixels = picture.render()
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert len(np.unique(pixels)) > 3
    assert any(word in text.render() for word in ("trial", "pull", "episode"))


@pytest.mark.parametrize("name", list(registry.tasks()))
def test_configuration_file_has_the_defaults_of_the_settings(name):
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text())["task"]
    assert node.pop("name") == name
    task = registry.get(name)
    assert task.configure(node) == task.configure()
    assert set(node) == set(vars(task.configure()))


@names
def test_measures_of_no_trials_and_of_cut_windows(name):
    task = registry.get(name)
    settings = task.configure(SHORTER.get(name))
    assert all(np.isnan(value) for value in flatten(task.summarise({}, settings)).values())
    env = task.make(settings, 16)
    env.reset(seed=0)
    info, first = {key: [] for key in env.info_spec}, [np.ones(16, dtype=bool)]
    for *_, step_info in play(env, 120):
        for key, column in info.items():
            column.append(step_info[key])
        first.append(step_info["_final_obs"])
    window = {key: np.array(column) for key, column in info.items()} | {"first": np.array(first)}
    trials = trials_of_window([window, window])
    assert len(trials["trial"]) == 2 * window["trial_done"].sum()
    again = trials_of_window([window])
    assert flatten(task.summarise(trials, settings)) == pytest.approx(
        flatten(task.summarise(again, settings)), nan_ok=True
    )


@names
def test_every_baseline_plays_and_every_figure_is_drawn(name):
    task = registry.get(name)
    settings = task.configure(SHORTER.get(name))
    env = task.make(settings, 50)
    for factory in task.baselines.values():
        trials, returns = simulate(env, factory(env), 60, seed=0)
        assert np.isfinite(returns).all()
        answered = len(np.unique(trials["episode"]))
        may_not = name in {"psychlab_harlow", "harlow"}
        assert answered == 60 or (may_not and answered > 30), "who looks around at random may never answer"
    steps = np.linspace(1e4, 1e6, 20)
    measures = flatten(task.summarise(trials, settings))
    history = {"env_steps": steps, "episode_return": steps / 1e6}
    history |= {key: np.full(20, value) for key, value in measures.items()}
    for evaluations in ([Evaluation(trials, {})], [Evaluation(trials, history)] * 3):
        drawn = dict(task.figures(evaluations, settings))
        assert all(isinstance(figure, Figure) for figure in drawn.values())
    assert set(flatten(task.references(settings)[0].values)) & set(measures)


def test_unknown_names_list_the_choices():
    with pytest.raises(registry.UnknownTaskError, match="two_step"):
        registry.get("two_steps")
    with pytest.raises(ValueError, match=r"did you mean task\.common\? There is: task\.common, task\.reward"):
        registry.make_vector("two_step", 2, comon=0.5)
    with pytest.raises(ValueError, match="one of independent"):
        registry.make_vector("bandit", 2, arms="dependent")


def test_recorder_does_not_favour_short_episodes():
    """Environments of very different episode lengths: the recorded ones must have the true mixture of lengths."""
    recorder = TrialRecorder({"trial": np.int16, "trial_done": np.bool_}, num_envs=4, episodes=40)
    rng = np.random.default_rng(0)
    left = rng.choice([1, 50], size=4)
    truth = {env: [int(left[env])] for env in range(4)}
    while not recorder.done:
        left -= 1
        ended = left == 0
        info = {"trial": np.zeros(4, dtype=np.int16), "trial_done": ended}
        recorder.add(info, np.ones(4), ended)
        for env in np.flatnonzero(ended):
            left[env] = rng.choice([1, 50])
            truth[int(env)].append(int(left[env]))
    expected = [truth[k % 4][k // 4] for k in range(40)]
    assert recorder.lengths.tolist() == expected
    assert recorder.returns.tolist() == expected
    assert recorder.trials()["steps"].tolist() == expected


LONG = {
    "ant": {"episodes": 50_000, "steps": 10},
    "barcode_bandit": {"pulls": 50_000},
    "contextual_choice": {"steps": 50_000, "items": 1, "evidence_size": 1, "context_size": 1},
    "episodic_two_step": {"trials": 2**15, "context_bits": 15},
    "half_cheetah": {"episodes": 50_000, "steps": 10},
    "harlow": {"trials": 50_000, "max_steps": 10**6, "levels": 50_000, "split": "all"},
    "matching": {"trials": [50_000, 50_000]},
    "navigation_2d": {"episodes": 50_000, "steps": 10},
    "risky_choice": {"free": 50_000},
    "tabular_mdp": {"episodes": 50_000},
    "volatility": {"block_trials": 12_500},
}
"""Options with which an episode is long; elsewhere `trials` is enough."""


@pytest.mark.parametrize(
    "name",
    [
        name for name in BATCHED if name not in ("psychlab_harlow", "water_maze")
    ],  # draws every score there is; one trial
)
def test_records_count_long_episodes(name):
    """Trial 40,000 is recorded as what it is."""
    env = registry.make_vector(name, 1, **LONG.get(name, {"trials": 50_000}))
    env.reset(seed=0)
    next(iter(play(env, 1)))
    arrays, rng = env.state()
    (counter,) = [key for key in arrays if key.rpartition(".")[2] in ("trial", "_trial", "_step")]
    late = 32_766 if name == "episodic_two_step" else 40_000
    env.restore(arrays | {counter: np.full_like(arrays[counter], late)}, rng)
    recorded = [int(info["trial"][0]) for *_, info in play(env, 400) if info["trial_done"][0]]
    whole = len(recorded) if name != "episodic_two_step" else 2
    assert recorded[:whole] == list(range(late, late + whole))
    assert whole > 1


@variants
def test_actions_outside_of_the_action_space_are_refused(name, options):
    env, single = registry.make_vector(name, 3, **options), registry.make_single(name, **options)
    env.reset(seed=0)
    single.reset(seed=0)
    if isinstance(space := env.single_action_space, Box):
        for wrong in (2 * space.high, np.full(space.shape, np.nan), space.low[:-1]):
            with pytest.raises(ValueError, match="actions lie in Box"):
                env.step(np.array([wrong] * 3))
            with pytest.raises(ValueError, match="actions lie in Box"):
                single.step(wrong)
        return
    count = int(space.n)
    for wrong in (-1, count, 0.5):
        with pytest.raises(ValueError, match=f"whole numbers from 0 to {count - 1}"):
            env.step(np.array([0, 0, wrong]))
        with pytest.raises(ValueError, match=f"whole numbers from 0 to {count - 1}"):
            single.step(wrong)
