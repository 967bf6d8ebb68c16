"""DeepMind Lab: each rule of its Python interface, kept by the wrapper; a strict stand-in plays where it is missing."""

from __future__ import annotations

import copy
import importlib
import os
import pickle
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import gymnasium
import hydra
import numpy as np
import prefrontal.envs  # noqa: F401  # registers the tasks
import pytest
from matplotlib.figure import Figure
from PIL import Image
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec, agent_spec
from prefrontal.actors.settings import ActorsConfig
from prefrontal.envs import registry
from prefrontal.envs.dmlab.actions import ACTION_SETS, action_names, action_table
from prefrontal.envs.dmlab.analysis import analyse, figures, references, summarise
from prefrontal.envs.dmlab.cache import LevelCache
from prefrontal.envs.dmlab.env import DMLabSettings
from prefrontal.envs.dmlab.events import Response, parse_table, responses
from prefrontal.envs.dmlab.game import Game
from prefrontal.envs.dmlab.images import check_images
from prefrontal.envs.dmlab.levels import SHORT_NAMES, find_level
from prefrontal.envs.registry import TaskUnavailableError
from prefrontal.envs.trials import Evaluation, simulate
from prefrontal.launch.config import ConfigError, train_config
from prefrontal.launch.measures import flatten
from prefrontal.launch.train import _check
from prefrontal.models.agent import Agent, ModelConfig
from prefrontal.models.flat import to_vector

STANDIN = Path(__file__).parent / "standin"
PROGRAM = [sys.executable, "-m", "prefrontal.launch.cli"]
MODEL = ModelConfig(hidden_sizes=(8,))
SMALL = {"width": 24, "height": 16}
HARLOW = {"level": "harlow", "images": "dummy", "actions": "turn", **SMALL}
NOTHING = 2
"""The action of the set `turn` that does nothing."""


@pytest.fixture(autouse=True)
def standin(request, monkeypatch):
    """The stand-in as `deepmind_lab`, here and in the actors, which search where the driver does."""
    if request.node.get_closest_marker("dmlab"):
        return pytest.importorskip("deepmind_lab", reason="deepmind_lab is not installed")
    monkeypatch.syspath_prepend(STANDIN)
    monkeypatch.setitem(sys.modules, "deepmind_lab", None)  # what stands here now comes back
    del sys.modules["deepmind_lab"]
    return importlib.import_module("deepmind_lab")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with all pictures of Harlow's level (names of two files)."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, color in ((0, (200, 30, 30)), (1, (30, 200, 30))):
        Image.new("RGB", (256, 256), color).save(folder / f"{number}.png")
    for number in range(1, 1001):
        os.link(folder / f"{number % 2}.png", folder / f"{number:04d}.png")
    return folder


def make(**options):
    return registry.make_vector("dmlab", 1, **{**HARLOW, **options})


def towards(env):
    """The action of `turn` that brings the gaze to the cross or to the left picture (the stand-in tells where)."""
    world = env.game._lab._world
    goal = -17.0 if world.shown == "pictures" else 0.0
    step = 4 * env.settings.turn * 0.1056
    return NOTHING if abs(world.yaw - goal) <= step / 2 else int(world.yaw < goal)


# The stand-in refuses what the real module refuses ------------------------------------------------------------

NO_ACTION = np.zeros(7, dtype=np.intc)
MISUSES = {
    "config number": (TypeError, lambda m: m.Lab("seekavoid_arena_01", [], config={"width": 84})),
    "config list": (TypeError, lambda m: m.Lab("seekavoid_arena_01", [], config=["width"])),
    "observations tuple": (TypeError, lambda m: m.Lab("seekavoid_arena_01", ("RGB_INTERLACED",))),
    "observation": (ValueError, lambda m: m.Lab("seekavoid_arena_01", ["RGBA"])),
    "level": (RuntimeError, lambda m: m.Lab("seekavoid", [])),
    "key": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", [], config={"with": "84"})),
    "renderer": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", [], renderer="vulkan")),
    "pickle": (TypeError, lambda m: pickle.dumps(started(m))),
    "copy": (TypeError, lambda m: copy.copy(started(m))),
    "deepcopy": (TypeError, lambda m: copy.deepcopy(started(m))),
    "weak reference": (TypeError, lambda m: weakref.ref(started(m))),
    "subclass": (TypeError, lambda m: type("Mine", (m.Lab,), {})),
    "attribute": (AttributeError, lambda m: setattr(started(m), "name", 1)),
    "seed": (ValueError, lambda m: started(m).reset(seed=np.int64(3))),
    "no pictures": (RuntimeError, lambda m: m.Lab("contributed/psychlab/harlow", []).reset(seed=1)),
    "step before reset": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", []).step(NO_ACTION)),
    "events before reset": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", []).events()),
    "action list": (TypeError, lambda m: started(m).step([0] * 7)),
    "action dtype": (ValueError, lambda m: started(m).step(np.zeros(7, dtype=np.int64))),
    "action shape": (ValueError, lambda m: started(m).step(np.zeros(6, dtype=np.intc))),
    "step after end": (RuntimeError, lambda m: ended(m).step(NO_ACTION)),
    "frame after end": (RuntimeError, lambda m: ended(m).observations()),
    "frame after close": (RuntimeError, lambda m: closed(m).observations()),
    "step after close": (RuntimeError, lambda m: closed(m).step(NO_ACTION)),
}


def started(module):
    lab = module.Lab("seekavoid_arena_01", ["RGB_INTERLACED"], config={"width": "16", "height": "16"})
    lab.reset(seed=1)
    return lab


def ended(module):
    lab = started(module)
    lab.step(NO_ACTION, num_steps=100_000)
    assert not lab.is_running()
    assert lab.events() == []
    return lab


def closed(module):
    lab = started(module)
    assert lab.close()
    assert not lab.close()
    return lab


@pytest.mark.parametrize("name", MISUSES)
def test_standin_refuses(standin, name):
    error, misuse = MISUSES[name]
    with pytest.raises(error):
        misuse(standin)


def test_standin_holds_the_lock_and_speaks_past_python(standin, capfd, monkeypatch):
    import threading

    lab = standin.Lab("contributed/psychlab/harlow", [], config={"datasetPath": "dummy"})
    lab.reset(seed=1)
    assert "corrID=" in capfd.readouterr().out
    monkeypatch.setattr(standin, "STEP_US", 300_000)
    ticks = []
    thread = threading.Thread(target=lambda: [ticks.append(time.monotonic()) or time.sleep(0.01) for _ in range(20)])
    thread.start()
    before = time.monotonic()
    lab.step(NO_ACTION)
    after = time.monotonic()
    thread.join()
    assert after - before >= 0.3
    assert not [tick for tick in ticks if before + 0.02 < tick < after - 0.02], "another thread ran during the step"


# The wrapper keeps the rules ----------------------------------------------------------------------------------


def test_constructor_builds_no_game_and_knows_the_spaces(standin, monkeypatch):
    monkeypatch.setattr(standin, "Lab", None)
    env = make(actions="impala", width=96, height=72)
    assert env.single_observation_space == gymnasium.spaces.Box(0, 255, (72, 96, 3), np.uint8)
    spec = agent_spec(env, MODEL)
    assert (spec.obs_shape, spec.num_actions) == ((72, 96, 3), 9)
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


# Actions, levels, events --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTION_SETS)
def test_action_tables_fit_the_game(standin, name):
    table = action_table(name, 33)
    bounds = started(standin).action_spec()
    assert table.dtype == np.intc
    assert table.shape == (len(action_names(name)), 7)
    assert len({tuple(row) for row in table.tolist()}) == len(table) == len(set(action_names(name)))
    assert all((table[:, i] >= b["min"]).all() and (table[:, i] <= b["max"]).all() for i, b in enumerate(bounds))
    assert np.abs(table[:, :2]).max() == 33
    assert env_actions(name) == len(table)


def env_actions(name):
    return int(make(actions=name).single_action_space.n)


def test_sizes_and_meaning_of_action_sets():
    assert {name: len(action_names(name)) for name in ACTION_SETS} == {"impala": 9, "turn": 3, "look": 9, "full": 48}
    assert action_table("turn", 40)[:, 0].tolist() == [-40, 40, 0]
    assert registry.get("dmlab").actions == action_names("impala")
    with pytest.raises(ValueError, match="choose one of: impala, turn"):
        action_table("all", 20)
    with pytest.raises(ValueError, match="between 1 and 512"):
        action_table("turn", 0)


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


# Pictures -----------------------------------------------------------------------------------------------------


def spoil(folder, number, **how):
    """Another file in the place of a picture."""
    path = folder / f"{number:04d}.png"
    path.unlink(missing_ok=True)
    size, mode = how.get("size", (256, 256)), how.get("mode", "RGB")
    if "text" in how:
        path.write_bytes(how["text"])
    elif how:
        Image.new(mode, size).save(path)
        if "cut" in how:
            path.write_bytes(path.read_bytes()[: how["cut"]])


@pytest.mark.parametrize(
    ("number", "how", "message"),
    [
        (1000, {}, r"1000\.png is missing;"),
        (1, {"size": (128, 256)}, r"0001\.png is 128 x 256 pixels, not 256 x 256;"),
        (7, {"mode": "RGBA"}, r"0007\.png has 8-bit RGB with alpha pixels, not 8-bit RGB;"),
        (7, {"mode": "L"}, r"0007\.png has 8-bit grey pixels"),
        (7, {"mode": "P"}, r"0007\.png has \d-bit palette pixels"),
        (7, {"mode": "I;16"}, r"0007\.png has 16-bit grey pixels"),
        (7, {"text": b"GIF89a"}, r"0007\.png is no PNG;"),
        (7, {"text": b""}, r"0007\.png is no PNG;"),
        (7, {"cut": -20}, r"0007\.png is cut off;"),
    ],
)
def test_wrong_pictures_are_named_before_anything_starts(pictures, tmp_path, number, how, message):
    for path in pictures.glob("????.png"):
        os.link(path, tmp_path / path.name)
    make(images=str(tmp_path)).close()
    spoil(tmp_path, number, **how)
    with pytest.raises(TaskUnavailableError, match=message) as caught:
        make(images=str(tmp_path))
    assert "1 of the 1000 pictures that the level contributed/psychlab/harlow" in str(caught.value)
    assert "resize((256, 256))" in str(caught.value)


def test_folders_of_pictures(pictures, tmp_path, monkeypatch):
    for images, message in (
        ("", "task.images=dummy"),
        ("pictures", "must be an absolute path"),
        (str(tmp_path / "nowhere"), "there is no folder"),
        (str(tmp_path), r"0001\.png is missing; .* 1000 of the 1000"),
    ):
        with pytest.raises(TaskUnavailableError, match=message):
            make(images=images)
    monkeypatch.setenv("HOME", str(pictures.parent))
    assert check_images(f"~/{pictures.name}", 1000, "harlow") == str(pictures)
    assert check_images("", 0, "seekavoid_arena_01") == ""
    env = make(images=str(pictures), width=84, height=84)
    env.reset(seed=1)
    colors = set()
    for _ in range(60):
        env.step(np.array([towards(env)]))
        colors |= {tuple(c) for c in env.game.frame.reshape(-1, 3)}
    assert {(200, 30, 30), (30, 200, 30)} & colors, "the folder's pictures are on the screen"


# The cache of compiled maps -----------------------------------------------------------------------------------


def test_maps_are_compiled_once(tmp_path):
    folder = tmp_path / "maps" / "here"
    for _ in range(2):
        make(level="seekavoid_arena_01", images="", cache=str(folder)).reset(seed=1)
        (kept,) = folder.iterdir()
        before = kept.stat().st_mtime_ns, kept.name
    assert before == (kept.stat().st_mtime_ns, "maps%2Farena%2001.pk3")
    with pytest.raises(ValueError, match="absolute path"):
        make(cache="maps")


def test_a_cache_that_fails_never_ends_a_run(tmp_path):
    cache, source, target = LevelCache(tmp_path / "cache"), tmp_path / "new.pk3", tmp_path / "wanted.pk3"
    assert cache.fetch("a", str(target)) is False
    cache.write("a", str(source))  # there is no such file
    assert list((tmp_path / "cache").iterdir()) == []
    source.write_bytes(b"map")
    cache.write("a", str(source))
    cache.write("a", str(source))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["a.pk3"]
    assert cache.fetch("a", str(target)) is True
    assert target.read_bytes() == b"map"
    (tmp_path / "cache" / "b.pk3").mkdir()
    assert cache.fetch("b", str(target)) is False
    assert not target.exists(), "half a map must not be left for the game"


# As a task ----------------------------------------------------------------------------------------------------


def test_more_than_one_episode_a_process_is_refused():
    with pytest.raises(ValueError, match=r"holds the interpreter .* set actors\.envs=1 and\s+evaluate\.envs=1"):
        registry.make_vector("dmlab", 2, **HARLOW)


def test_settings_are_checked():
    for bad, message in (
        ({"width": 0}, "width"),
        ({"action_repeat": 0}, "action_repeat"),
        ({"level": ""}, "give a level"),
        ({"renderer": "vulkan"}, "software, hardware"),
        ({"actions": "all"}, "choose one of: impala"),
        ({"max_frames": -1}, "negative"),
    ):
        with pytest.raises(ValueError, match=f"dmlab: .*{message}"):
            DMLabSettings(**bad)


def test_an_unknown_level_or_option_is_told_in_the_games_own_words():
    for options, message in (
        ({"level": "seek_avoid"}, "cannot open levels/seek_avoid.lua"),
        ({"options": {"speed": 2}}, "Failed to apply setting 'speed = 2'"),
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


def spec(**options):
    return WorkerSpec("dmlab:TASK", {**HARLOW, **options}, MODEL, num_envs=1, unroll_length=20, seed=0, actor_id=0)


def worker(**options):
    return RolloutWorker(replace(spec(**options), task="dmlab"))


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
    assert not saved._first[0]
    arrays, scalars = saved.state()
    resumed = worker(max_frames=200)
    resumed.restore(arrays, scalars)
    assert resumed._first[0]
    assert resumed._length[0] == 0
    assert resumed._prev_action[0] == -1
    assert not resumed._state[0].any()
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
        drawn = figures(played, settings)
        assert next(iter(drawn)) == "accuracy_by_trial"
        assert all(isinstance(figure, Figure) for figure in drawn.values())
    arena = task.configure({"level": "seekavoid_arena_01"})
    assert set(summarise(trials, arena)) == {"return"}
    assert set(figures([Evaluation(trials, history)], arena)) == {"returns", "learning_curve"}
    assert references(arena) == []
    for none in (settings, arena):
        assert all(np.isnan(value) for value in flatten(summarise({}, none)).values())
        assert figures([Evaluation({}, {})], none)


# On Ray -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pool_of(ray_session):
    from prefrontal.actors.pool import ActorPool

    pools = []

    def make_pool(options, **changes):
        config = ActorsConfig(**{"envs": 1, "backoff_s": 0.05, "cpus": 0.5, "timeout_s": 30.0, **changes})
        pool = ActorPool([replace(spec(**options), task="dmlab")], config)
        pools.append(pool)
        agent = Agent(agent_spec(registry.make_vector("dmlab", 1, **{**HARLOW, **options}), MODEL))
        pool.broadcast(1, to_vector(agent.parameters()))
        pool.begin()
        return pool

    yield make_pool
    for pool in pools:
        pool.close()


def collect(pool, until, limit_s=90):
    """Unrolls, until the pool is as wanted."""
    import ray

    finished, deadline = [], time.monotonic() + limit_s
    while not until(finished):
        assert time.monotonic() < deadline, f"{len(finished)} unrolls; last failure: {pool.last_failure}"
        ready, _ = ray.wait(pool.waitables(), timeout=0.1) if pool.waitables() else ([], [])
        for unroll in pool.collect(ready):
            finished.append(unroll)
            pool.feed(unroll)
        time.sleep(0.005)
    return finished


def test_a_picture_that_goes_missing_in_mid_run_costs_one_restart(pool_of, pictures, tmp_path):
    """The game aborts its process; the pool replaces the actor, and the run goes on."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in pictures.glob("????.png"):
        os.link(path, folder / path.name)
    pool = pool_of({"images": str(folder)})
    collect(pool, lambda finished: finished)
    away = folder.rename(tmp_path / "away")
    finished = collect(pool, lambda _: pool.restarts == 1)
    away.rename(folder)
    assert {unroll.generation for unroll in finished} <= {0}
    finished = collect(pool, lambda finished: len(finished) >= 3)
    assert {unroll.generation for unroll in finished} == {1}
    assert pool.restarts == 1


def test_a_game_that_hangs_with_the_lock_is_replaced(pool_of, tmp_path):
    marker = tmp_path / "struck"
    options = {"fault": "hang", "frame": 600, "marker": str(marker)}
    pool = pool_of({"level": "tests/faults", "images": "", "options": options}, timeout_s=3.0)
    import ray

    collect(pool, lambda finished: finished)
    process, _ = ray.get(pool.handles()[0].ready.remote()) if not marker.exists() else (0, "")
    finished = collect(pool, lambda finished: any(unroll.generation == 1 for unroll in finished))
    assert pool.restarts == 1
    assert "hangs: no unroll within 3 s" in pool.last_failure
    assert finished
    deadline = time.monotonic() + 20
    while process and Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline, "the hanging process was left behind"
        time.sleep(0.1)


# The program --------------------------------------------------------------------------------------------------


def composed(*overrides):
    with hydra.initialize_config_module("prefrontal.conf", version_base="1.3"):
        return hydra.compose("train", overrides=["task=dmlab", "run.folder=runs/dmlab", *overrides])


def test_the_driver_looks_at_everything_before_it_starts_anything(pictures, tmp_path):
    harlow = ["task.level=harlow", f"task.images={pictures}"]
    _check(train_config(composed(*harlow)))
    held_out = f"++evaluate.task.images={tmp_path}"
    with pytest.raises(TaskUnavailableError, match=r"0001\.png is missing"):
        _check(train_config(composed(*harlow, held_out)))
    for override in ("actors.envs=32", "evaluate.envs=64"):
        with pytest.raises(ConfigError, match=r"set actors\.envs=1 and evaluate\.envs=1"):
            _check(train_config(composed(*harlow, override)))


def call(folder, *arguments, status=0, **environment):
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == status, done.stdout[-3000:]
    return " ".join(done.stdout.split())


def with_standin():
    return {"PYTHONPATH": os.pathsep.join((str(STANDIN), os.environ["PYTHONPATH"]))}


def test_training_with_a_wrong_picture_ends_before_it_starts(pictures, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in pictures.glob("????.png"):
        os.link(path, folder / path.name)
    spoil(folder, 12, size=(300, 300))
    arguments = ["train", "task=dmlab", "task.level=harlow", f"task.images={folder}"]
    output = call(tmp_path, *arguments, status=2, **with_standin())
    assert output.startswith("error: task.images:")
    assert "0012.png is 300 x 300 pixels, not 256 x 256" in output
    assert not (tmp_path / "runs").exists()


def test_without_the_package_the_program_says_how_to_get_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import deepmind_lab"], capture_output=True, env=os.environ, check=False
    )
    if done.returncode == 0:
        pytest.skip("deepmind_lab is installed")
    output = call(tmp_path, "train", "task=dmlab", status=2)
    for text in ("error: DeepMind Lab is not installed", "Bazel", "pip install dmlab-gym && dmlab-gym build"):
        assert text in output
    assert "dmlab" in call(tmp_path, "tasks")


def test_a_short_training_in_one_process(tmp_path):
    small = ["run.env_steps=800", "run.figures=1", "run.log_points=2", "evaluate.episodes=2", "model.encoder=none"]
    small += ["model.encoder_sizes=[]", "model.hidden_sizes=[8]", "task.width=24", "task.height=16"]
    harlow = ["task.level=harlow", "task.images=dummy", "task.max_frames=400", "task.actions=turn"]
    output = call(tmp_path, "train", "task=dmlab", "cluster=none", *harlow, *small, **with_standin())
    assert "2 fresh episodes" in output
    (run,) = (path.parent for path in tmp_path.glob("runs/dmlab/*/results.json"))
    names = {path.name for path in (run / "figures").iterdir()}
    assert {"accuracy_by_trial.png", "returns.png", "learning_curve.png", "episode.gif"} <= names
    assert "corrID" not in output


# The real thing -----------------------------------------------------------------------------------------------


@pytest.mark.dmlab
@pytest.mark.parametrize("level", ["seekavoid_arena_01", "harlow"])
def test_the_real_game_plays(level):
    env = make(level=level, images="dummy" if level == "harlow" else "", width=84, height=84, max_frames=2000)
    obs, _ = env.reset(seed=1)
    assert obs.shape == (1, 84, 84, 3)
    ends = 0
    for action in np.random.default_rng(0).integers(3, size=1100):
        obs, reward, *_, info = env.step(np.array([action]))
        assert np.isfinite(reward).all()
        assert obs.std() > 1
        ends += int(info["ended"][0])
    assert ends >= 1
    env.close()


@pytest.mark.dmlab
def test_the_real_game_refuses_what_the_standin_refuses(standin):
    for name, (error, misuse) in MISUSES.items():
        with pytest.raises(error):
            misuse(standin)
            pytest.fail(name)
