"""DeepMind Lab as a task: each rule of its Python interface is kept; actions, levels, events, measures."""

from __future__ import annotations

import os
from pathlib import Path

import gymnasium
import numpy as np
import prefrontal.envs  # noqa: F401  # registers the tasks
import pytest
from dmlab_help import (
    HARLOW,
    MODEL,
    NOTHING,
    SMALL,
    make,
    towards,
    worker,
)
from matplotlib.figure import Figure
from prefrontal.actors.rollout import agent_spec
from prefrontal.envs import registry
from prefrontal.envs.dmlab.actions import ACTION_SETS, action_names, action_table
from prefrontal.envs.dmlab.analysis import analyse, figures, references, summarise
from prefrontal.envs.dmlab.events import Response, parse_table, responses
from prefrontal.envs.dmlab.game import Game
from prefrontal.envs.dmlab.levels import SHORT_NAMES, find_level
from prefrontal.envs.psychlab.actions import actions_of
from prefrontal.envs.registry import TaskUnavailableError
from prefrontal.envs.trials import Evaluation, simulate
from prefrontal.launch.run.film import column_names
from prefrontal.launch.run.measures import flatten
from prefrontal.models.policy import discrete

pytestmark = pytest.mark.usefixtures("standin")


def test_constructor_builds_no_game_and_knows_the_spaces(standin, monkeypatch):
    monkeypatch.setattr(standin, "Lab", None)
    env = make(actions="impala", width=96, height=72)
    assert env.single_observation_space == gymnasium.spaces.Box(0, 255, (72, 96, 3), np.uint8)
    spec = agent_spec(env, MODEL)
    assert (spec.obs_shape, spec.actions) == ((72, 96, 3), discrete(9))
    env.close()


def test_settings_arrive_as_text(standin, monkeypatch):
    made = []

    real = standin.Lab

    def lab(*args, config, **kwargs):
        made.append(config)
        return real(*args, config=config, **kwargs)

    monkeypatch.setattr(standin, "Lab", lab)
    env = make(level="seekavoid_arena_01", images="", options={"episodeLengthSeconds": 5, "hasAltCameras": False})
    env.reset(seed=np.int64(3))
    assert made == [
        {
            "width": "24",
            "height": "16",
            "logLevel": "NEVER",
            "episodeLengthSeconds": "5",
            "hasAltCameras": "false",
        }
    ]


def test_nothing_is_printed(capfd):
    env = make()
    env.reset(seed=1)
    env.step(np.array([0]))
    assert capfd.readouterr() == ("", "")


def test_renderer_threads_are_off_unless_asked_for(monkeypatch):
    monkeypatch.delenv("LP_NUM_THREADS", raising=False)
    make()
    assert os.environ["LP_NUM_THREADS"] == "0"
    monkeypatch.setenv("LP_NUM_THREADS", "2")
    make()
    assert os.environ["LP_NUM_THREADS"] == "2"


def test_one_game_for_all_episodes_leaks_no_descriptors():
    env = make(max_frames=40)
    env.reset(seed=1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    ends = sum(bool(env.step(np.array([0]))[3][0]) for _ in range(50))
    assert ends == 5
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    env.close()
    env.close()


def test_same_seed_in_a_new_game_same_frames_and_later_episodes_differ():
    first, second = make(), make()
    start, _ = first.reset(seed=np.int64(5))
    assert np.array_equal(start, second.reset(seed=5)[0])
    for action in np.random.default_rng(0).integers(3, size=50):
        one, other = first.step(np.array([action])), second.step(np.array([action]))
        assert all(np.array_equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))
    frames = [first.reset()[0].tobytes() for _ in range(3)]
    assert len({start.tobytes(), *frames}) == 4


def test_a_whole_episode_same_step_autoreset_and_the_frame_before_the_end():
    """The best player of the stand-in's Harlow: always the left picture. Events become the columns of a trial."""
    env = make(turn=4)
    obs, _ = env.reset(seed=3)
    rows, total, seen = [], 0.0, []
    while len(seen) < 300:
        world = env.game._lab._world
        right = world.right.copy()
        seen.append(obs)
        obs, reward, terminated, truncated, info = env.step(np.array([towards(env)]))
        assert obs.shape == (1, 16, 24, 3)
        assert obs.dtype == np.uint8
        assert set(info) - {"final_obs", "_final_obs"} == set(env.info_spec)
        assert all(info[key].dtype == dtype and info[key].shape == (1,) for key, dtype in env.info_spec.items())
        total += float(reward[0])
        if info["trial_done"][0]:
            rows.append({key: value[0] for key, value in info.items() if key in env.info_spec})
        if terminated[0]:
            break
    assert terminated[0]
    assert not truncated[0]
    assert [row["trial"] for row in rows] == list(range(6))
    assert [bool(row["rewarded_right"]) for row in rows] == right.tolist()
    assert not any(row["chose_right"] for row in rows)
    assert all(row["correct"] != row["rewarded_right"] for row in rows)
    assert all(20 <= row["reaction_frames"] <= 50 for row in rows)
    assert total == rows[-1]["episode_return"] == 6 + 15 - 15
    assert [bool(row["ended"]) for row in rows] == [False] * 5 + [True]
    assert env.events[0][0] == "xdata:psychlab"
    assert np.array_equal(info["final_obs"], seen[-1]), "the last frame that could be read"
    assert np.array_equal(obs[0], env.game.frame), "the first frame of the next episode"
    assert not np.array_equal(obs, info["final_obs"])


@pytest.mark.parametrize(
    ("options", "frames", "truncated"),
    [
        ({"action_repeat": 1000}, 18_000, True),  # the clock of Harlow's level
        ({"action_repeat": 1000, "clock_frames": 0}, 18_000, False),
        ({"max_frames": 42}, 44, True),  # cut by us, at the end of a step
        ({"level": "seekavoid_arena_01", "images": ""}, 1200, False),
        ({"level": "seekavoid_arena_01", "images": "", "clock_frames": 1200}, 1200, True),
        ({"level": "seekavoid_arena_01", "images": "", "options": {"episodeLengthSeconds": 1}}, 60, False),
    ],
)
def test_how_episodes_end(options, frames, truncated):
    env = make(**options)
    env.reset(seed=1)
    steps, info = 0, {"ended": [False]}
    while not info["ended"][0]:
        last = env.game.frame.copy()
        *_, terminated, was_truncated, info = env.step(np.array([NOTHING]))
        steps += 1
    assert steps * env.settings.action_repeat == frames
    assert (bool(terminated[0]), bool(was_truncated[0])) == (not truncated, truncated)
    assert info["trial_done"][0]
    assert info["ended"][0]
    assert not info["responded"][0]
    if "max_frames" not in options:
        assert np.array_equal(info["final_obs"][0], last)


def test_recorded_episodes_of_the_real_game():
    """Where recordings are at hand: their rewards, frames and events come through the wrapper as they were."""
    folder = os.environ.get("PREFRONTAL_PSYCHLAB_RECORDINGS", "")
    paths = sorted(Path(folder).glob("*.npz")) if folder else []
    if not paths:
        pytest.skip("PREFRONTAL_PSYCHLAB_RECORDINGS names no folder of recordings")
    for path in paths:
        with np.load(path) as loaded:
            kept = dict(loaded)
        size, seed = kept["frames"].shape[1], int(path.stem.split("seed")[1].split("_")[0])
        actions = np.zeros((len(kept["reward"]), 7), dtype=np.intc)
        actions[:, :2] = kept["action_look"]
        repeat = int(kept["num_steps"][0])
        game = Game("harlow", actions, width=size, height=size, action_repeat=repeat, images="dummy")
        assert np.array_equal(game.reset(seed), kept["frames"][0])
        found = []
        for i in range(len(actions)):
            step = game.step(i)
            assert step.reward == kept["reward"][i]
            assert step.running == (i + 1 < len(kept["frames"]))
            assert np.array_equal(game.frame, kept["frames"][min(i + 1, len(kept["frames"]) - 1)])
            found += [(i, r.trial, r.correct, 1 + r.rewarded_right) for r in responses(step.events)]
        assert found == [tuple(row) for row in kept["events"].reshape(-1, 4).tolist()]
        game.close()


@pytest.mark.parametrize("name", ACTION_SETS)
def test_action_tables_fit_the_game(standin, name):
    table = action_table(name, 33)
    bounds = standin.Lab("seekavoid_arena_01", []).action_spec()
    assert table.dtype == np.intc
    assert table.shape == (len(action_names(name)), 7)
    assert len({tuple(row) for row in table.tolist()}) == len(table) == len(set(action_names(name)))
    assert all((table[:, i] >= b["min"]).all() and (table[:, i] <= b["max"]).all() for i, b in enumerate(bounds))
    assert np.abs(table[:, :2]).max() == (4 * 33 if name in ("leap", "saccade") else 33)
    assert make(actions=name).single_action_space.n == len(table)


def test_sizes_and_meaning_of_action_sets():
    sizes = {"impala": 9, "turn": 3, "five": 5, "leap": 5, "look": 9, "saccade": 7, "full": 48}
    assert {name: len(action_names(name)) for name in ACTION_SETS} == sizes
    assert action_table("turn", 40)[:, 0].tolist() == [-40, 40, 0]
    task = registry.get("dmlab")
    assert task.action_names(task.configure()) == action_names("impala")
    for name, size in sizes.items():
        settings = task.configure({"actions": name, "turn": 2})
        assert tuple(column_names(task, settings, discrete(size))) == action_names(name)
    with pytest.raises(ValueError, match="turn=0: 1 to 512"):
        action_table("turn", 0)
    with pytest.raises(ValueError, match="turn=200: 1 to 128"):
        action_table("saccade", 200)


def test_actions_that_lie_apart_in_memory_are_played_as_meant():
    """The game reads seven numbers in a row, whatever the array's strides."""
    apart = np.zeros((7, 3), dtype=np.int64).T
    apart[0, 0], apart[1, 0] = -512, 512
    game = Game("harlow", apart, images="dummy", action_repeat=1, **SMALL)
    game.reset(1)
    before = game._lab._world.yaw
    game.step(1)
    assert game._lab._world.yaw - before == pytest.approx(512 * 0.1056)
    assert game._lab._world.pitch == 0


def test_levels_by_short_name():
    assert find_level("harlow").name == "contributed/psychlab/harlow"
    assert find_level("rooms_watermaze").name == "contributed/dmlab30/rooms_watermaze"
    assert find_level("contributed/psychlab/harlow").images == 1000
    assert find_level("tests/my_own").name == "tests/my_own"
    assert sum("dmlab30" in name for name in SHORT_NAMES.values()) == 32
    make(level="rooms_watermaze", images="").reset(seed=0)


def test_events_of_levels():
    text = "{\n  ['stepCount'] = 12\n  ['inner'] = {\n    ['x'] = 1\n  }\n  ['response'] = %s\n  ['correct'] = %d\n"
    told = [
        (
            "xdata:psychlab",
            [text % ("correct_image_button", 1) + "  ['correctResponse'] = 2\n  ['trial'] = 3\n}\n", "harlow"],
        ),
        ("xdata:psychlab", [text % ("incorrect_image_button", 0) + "  ['correctResponse'] = 2\n}\n", "harlow"]),
        ("xdata:psychlab", [text % ("left", 0) + "  ['correctResponse'] = right\n}\n"]),
        ("xdata:psychlab", ["{\n  ['correct'] = 1\n  ['correctResponse'] = north\n  ['reactionTime'] = 0.25\n}\n"]),
        ("xdata:psychlab", ["{\n  ['note'] = 1\n}\n"]),
        ("score", [np.ones(1)]),
    ]
    assert responses(told) == [
        Response(3, True, True, True, 12),
        Response(0, False, True, False, 12),
        Response(0, False, True, False, 12),
        Response(0, True, False, False, 15),
    ]
    assert parse_table("nonsense") == {}


def test_more_than_one_episode_a_process_is_refused():
    with pytest.raises(ValueError, match=r"holds the interpreter .* set actors\.envs=1 and\s+evaluate\.envs=1"):
        registry.make_vector("dmlab", 2, **HARLOW)


def test_settings_are_checked():
    for bad, message in (
        ({"width": 0}, "width"),
        ({"action_repeat": 0}, "action_repeat"),
        ({"level": ""}, "level=: text"),
        ({"renderer": "vulkan"}, "renderer=vulkan: one of software, hardware"),
        ({"actions": "all"}, "actions=all: one of impala"),
        ({"max_frames": -1}, "max_frames=-1: a whole number, at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            registry.get("dmlab").configure(bad)


def test_an_unknown_level_or_option_is_told_in_the_games_own_words():
    for options, message in (
        ({"level": "seek_avoid"}, "Level not found: Failed to open file '.*/levels/seek_avoid.lua'"),
        ({"options": {"speed": 2}}, 'Invalid setting: "speed" = "2"'),
        ({"width": 30}, "'width' must be a positive multiple of 4. Actual 30"),
    ):
        with pytest.raises(TaskUnavailableError, match=message):
            make(**options).reset(seed=1)


def test_gymnasium_single_environment_and_renderings():
    env = gymnasium.make("prefrontal/DMLab-v0", render_mode="rgb_array", **HARLOW, max_frames=100)
    obs, _ = env.reset(seed=1)
    assert env.observation_space.contains(obs)
    for _ in range(25):
        obs, _, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(obs)
    assert (terminated, truncated) == (False, True)
    assert info["ended"]
    assert np.array_equal(env.render(), obs)
    text = registry.make_single("dmlab", "ansi", **HARLOW)
    text.reset(seed=1)
    assert text.render().count("\n") == 28
    assert "trial 1   reward +0.0   total +0.0" in text.render()
    assert make().metadata["render_fps"] == 15


def test_unrolls_hold_bytes_and_truncations():
    unroll = worker(max_frames=40).unroll()
    assert unroll.trajectory.obs.dtype == np.uint8
    assert unroll.trajectory.obs.shape == (21, 1, 16, 24, 3)
    assert unroll.report.lengths.tolist() == [10, 10]
    assert unroll.trajectory.last is not None
    assert unroll.trajectory.last.time.tolist() == [9, 19]
    assert unroll.trajectory.discount.min() == 1


def test_after_a_resume_new_episodes_begin_with_the_seeds_that_would_have_followed():
    saved = worker(max_frames=200)
    saved.unroll()
    arrays, scalars = saved.state()
    assert not arrays["worker.first"][0]
    resumed = worker(max_frames=200)
    resumed.restore(arrays, scalars)
    anew, _ = resumed.state()
    assert anew["worker.first"][0]
    assert anew["worker.length"][0] == 0
    assert anew["worker.prev_action"][0] == -1
    assert not anew["core.0"].any()
    saved.env.reset()
    assert saved.env.state()[1] == resumed.env.state()[1]
    assert resumed.unroll().trajectory.first[0, 0]


def test_measures_and_figures():
    task = registry.get("dmlab")
    settings = task.configure(HARLOW)
    env = make(max_frames=4000)
    trials, returns = simulate(env, task.baselines["random"](env), 4, seed=2)
    measures = summarise(trials, settings)
    assert measures["return"] == pytest.approx(returns.mean())
    answered = trials["responded"]
    assert answered.any()
    assert measures["accuracy"] == pytest.approx(trials["correct"][answered].mean())
    assert np.isfinite(measures["accuracy_by_trial"][0])
    assert analyse(trials, settings)["answers_per_episode"] == answered.sum() / 4
    assert set(references(settings)[0].values) <= set(measures)
    assert references(settings)[0].values["return"] == 31
    steps = np.linspace(1e4, 1e6, 20)
    history = {"env_steps": steps, "episode_return": steps}
    for played in ([Evaluation(trials, {})], [Evaluation(trials, history)] * 3):
        drawn = dict(figures(played, settings))
        assert next(iter(drawn)) == "accuracy_by_trial"
        assert all(isinstance(figure, Figure) for figure in drawn.values())
    arena = task.configure({"level": "seekavoid_arena_01"})
    assert set(summarise(trials, arena)) == {"return"}
    assert set(dict(figures([Evaluation(trials, history)], arena))) == {"returns", "learning_curve"}
    assert references(arena) == []
    for none in (settings, arena):
        assert all(np.isnan(value) for value in flatten(summarise({}, none)).values())
        assert dict(figures([Evaluation({}, {})], none))


def test_psychlab_harlow_is_played_in_the_game_too():
    """`psychlab_harlow env=dmlab`: the game's own trials, told and paid as those of `screen` are."""
    options = {"size": 32, "actions": "turn", "turn": 5, "reward_correct": 2.0, "reward_wrong": -0.5}
    env = registry.make_vector("psychlab_harlow", 1, env="dmlab", images="dummy", **options)
    screen = registry.make_vector("psychlab_harlow", 1, env="screen", **options)
    assert env.single_observation_space == screen.single_observation_space
    assert env.single_action_space == screen.single_action_space
    env.reset(seed=4)
    rewards, trials = [], []
    for _ in range(3000):
        _, reward, terminated, truncated, info = env.step(np.array([towards(env.game)]))
        rewards.append(float(reward[0]))
        if info["trial_done"][0]:
            trials.append({key: info[key][0] for key in ("trial", "correct", "chose_right", "rewarded_right")})
            assert reward[0] == (2.0 if info["correct"][0] else -0.5)
        if terminated[0] or truncated[0]:
            break
    assert terminated[0]
    assert [trial["trial"] for trial in trials] == [0, 1, 2, 3, 4, 5]
    assert all(trial["correct"] == (trial["chose_right"] == trial["rewarded_right"]) for trial in trials)
    assert sum(trial["rewarded_right"] for trial in trials) == 3
    assert rewards.count(1.0) == 6, "each trial starts with a fixation"
    with pytest.raises(ValueError, match="6 trials"):
        registry.make_vector("psychlab_harlow", 1, env="dmlab", images="dummy", trials=10)
    with pytest.raises(ValueError, match="balanced"):
        registry.make_vector("psychlab_harlow", 1, env="dmlab", images="dummy", sides="random")


def test_a_glance_in_the_game_is_a_trial_in_one_step():
    """Its parts are played one after the other, what they pay is added up, and it stops where the episode ends."""
    env = registry.make_vector("psychlab_harlow", 1, env="dmlab", images="dummy", size=32, actions="glance", turn=8)
    glance_left = actions_of("glance").names.index("glance left")
    assert env.metadata["render_fps"] == 60 / 16
    env.reset(seed=4)
    points, trials = 0.0, []
    for _ in range(60):
        ready = env.game.game._lab._world.shown == "pictures"
        action = glance_left if ready else towards(env.game)
        _, reward, terminated, _, info = env.step(np.array([action]))
        points += float(reward[0])
        if info["trial_done"][0]:
            assert not info["chose_right"][0]
            trials.append(int(info["trial"][0]))
        if terminated[0]:
            break
    assert terminated[0]
    assert trials == [0, 1, 2, 3, 4, 5]
    assert points == 6, "three hits and three misses on the same side, and six fixations"
