"""Runs with DeepMind Lab: games that abort or hang on a real Ray, the whole program, its errors."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import hydra
import prefrontal.envs  # noqa: F401  # registers the tasks
import pytest
from dmlab_help import (
    HARLOW,
    INSTALLED,
    MODEL,
    STANDIN,
    link_pictures,
    spec,
    spoil,
)
from prefrontal.actors.rollout import agent_spec
from prefrontal.actors.settings import ActorsConfig
from prefrontal.envs import registry
from prefrontal.envs.dmlab.folder import PREFIX
from prefrontal.envs.registry import TaskUnavailableError
from prefrontal.launch.config import ConfigError, train_config
from prefrontal.launch.run.start import check
from prefrontal.models.agent import Agent
from prefrontal.models.flat import Published, to_vector
from program import call, ended, start, wait_until

pytestmark = pytest.mark.usefixtures("standin")
real_one_first = pytest.mark.skipif(INSTALLED, reason="actors would find the real deepmind_lab first")


@pytest.fixture
def pool_of(ray_session):
    from prefrontal.actors.pool import ActorPool

    pools = []

    def make_pool(options, **changes):
        config = ActorsConfig(**{"envs": 1, "backoff_s": 0.05, "cpus": 0.5, "timeout_s": 30.0, **changes})
        pool = ActorPool([spec(**options)], config)
        pools.append(pool)
        agent = Agent(agent_spec(registry.make_vector("dmlab", 1, **{**HARLOW, **options}), MODEL))
        pool.broadcast(1, Published(1, to_vector(agent.parameters()), 0))
        pool.begin()
        return pool

    yield make_pool
    for pool in pools:
        pool.close()


def collect(pool, until, limit_s=150):
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


@real_one_first
def test_a_picture_that_goes_missing_in_mid_run_costs_one_restart(pool_of, pictures, tmp_path):
    """The game aborts its process; the pool replaces the actor, and the run goes on."""
    folder = tmp_path / "pictures"
    link_pictures(pictures, folder)
    pool = pool_of({"images": str(folder)})
    collect(pool, lambda finished: finished)
    away = folder.rename(tmp_path / "away")
    finished = collect(pool, lambda _: pool.restarts == 1)
    away.rename(folder)
    assert {unroll.generation for unroll in finished} <= {0}
    finished = collect(pool, lambda finished: len(finished) >= 3)
    assert {unroll.generation for unroll in finished} == {1}
    assert pool.restarts == 1


@real_one_first
def test_a_game_that_hangs_with_the_lock_is_replaced(pool_of, tmp_path):
    marker = tmp_path / "struck"
    options = {"fault": "hang", "frame": 600, "marker": str(marker)}
    pool = pool_of({"level": "tests/faults", "images": "", "options": options}, timeout_s=10.0)
    finished = collect(pool, lambda finished: any(unroll.generation == 1 for unroll in finished))
    assert {unroll.generation for unroll in finished[:-1]} == {0}, "it played before it hung"
    assert pool.restarts == 1
    assert "hangs: no unroll within 10 s" in pool.last_failure
    deadline = time.monotonic() + 30
    while Path(f"/proc/{marker.read_text()}/exe").exists():  # a dead process that nobody waited for has none
        assert time.monotonic() < deadline, "the hanging process was left behind"
        time.sleep(0.05)


def composed(*overrides):
    with hydra.initialize_config_module("prefrontal.conf", version_base="1.3"):
        return hydra.compose("train", overrides=["task=dmlab", "run.folder=runs/dmlab", *overrides])


def test_the_driver_looks_at_everything_before_it_starts_anything(pictures, tmp_path):
    harlow = ["task.level=harlow", f"task.images={pictures}"]
    check(train_config(composed(*harlow)))
    held_out = f"++evaluate.task.images={tmp_path}"
    with pytest.raises(TaskUnavailableError, match=r"0001\.png is missing"):
        check(train_config(composed(*harlow, held_out)))
    for overrides in (
        ["task.level=seek_avoid"],
        ["+task.options.speed=2"],
        [*harlow, "++evaluate.task.level=seek_avoid"],
    ):
        with pytest.raises(TaskUnavailableError, match="could not start the level"):
            check(train_config(composed(*overrides)))
    for override in ("actors.envs=32", "evaluate.envs=64"):
        with pytest.raises(ConfigError, match=r"set actors\.envs=1 and evaluate\.envs=1"):
            check(train_config(composed(*harlow, override)))


def with_standin(**variables):
    path = os.pathsep.join((str(STANDIN), os.environ["PYTHONPATH"]))
    return {"env": {**os.environ, "PYTHONPATH": path, **variables}}


def test_training_with_a_wrong_picture_ends_before_it_starts(pictures, tmp_path):
    folder = tmp_path / "pictures"
    link_pictures(pictures, folder)
    spoil(folder, 12, size=(300, 300))
    arguments = ["train", "task=dmlab", "task.level=harlow", f"task.images={folder}"]
    output = " ".join(call(tmp_path, *arguments, status=2, **with_standin()).split())
    assert output.startswith("error: task.images:")
    assert "0012.png is 300 x 300 pixels, not 256 x 256" in output
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("task.level=seek_avoid", "levels/seek_avoid.lua"),
        ("+task.options.speed=2", 'Invalid setting: "speed" = "2"'),
    ],
)
def test_a_wrong_level_or_option_is_told_once_before_any_actor_starts(tmp_path, override, words):
    output = " ".join(call(tmp_path, "train", "task=dmlab", override, status=2, **with_standin()).split())
    assert output.startswith("error: DeepMind Lab could not start the level")
    assert output.count(words) == 1
    assert output.endswith("see task.level and task.options")
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(INSTALLED, reason="deepmind_lab is installed")
def test_without_the_package_the_program_says_how_to_get_it(tmp_path):
    output = " ".join(call(tmp_path, "train", "task=dmlab", status=2).split())
    for text in ("error: DeepMind Lab is not installed", "Bazel", "pip install dmlab-gym && dmlab-gym build"):
        assert text in output
    assert "dmlab" in call(tmp_path, "tasks")


@pytest.mark.skipif(INSTALLED, reason="deepmind_lab is installed")
@pytest.mark.parametrize("lacking", ["imp", "pkg_resources", "dm_env"])
def test_a_package_that_cannot_be_loaded_is_told_with_what_it_needs(tmp_path, lacking):
    package = tmp_path / "installed" / "deepmind_lab"
    package.mkdir(parents=True)
    fault = f"""ModuleNotFoundError("No module named '{lacking}'", name="{lacking}")"""
    (package / "__init__.py").write_text(f"import warnings\nwarnings.warn('old')\nraise {fault}\n")
    path = os.pathsep.join((str(package.parent), os.environ["PYTHONPATH"]))
    output = call(tmp_path, "train", "task=dmlab", status=2, env={**os.environ, "PYTHONPATH": path})
    told = " ".join(output.split())
    assert told.startswith("error: deepmind_lab is installed, but Python ")
    for text in (f"(No module named '{lacking}')", "Python 3.11 or older", "pip install 'setuptools<81' dm-env"):
        assert text in told
    assert told.endswith("see docs/dmlab.md"), "one message and no traceback"
    assert not (tmp_path / "runs").exists()


@real_one_first
def test_actors_that_are_asked_to_stop_close_their_games(tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    small = ["run.checkpoint_every_s=0", "run.figures=0", "algo.unroll_length=20", "actors.num=2", "actors.cpus=.5"]
    small += ["model.encoder=none", "model.encoder_sizes=[]", "model.hidden_sizes=[8]"]
    small += ["task.width=24", "task.height=16"]
    options = with_standin(TMPDIR=str(temporary), RAY_TMPDIR=tempfile.gettempdir())
    process = start(tmp_path, "train", "task=dmlab", "algo=a2c", *small, **options)  # its updates wait for both actors
    wait_until(lambda: list((tmp_path / "runs").rglob("*.safetensors")), process)
    assert len(list(temporary.glob(f"{PREFIX}*"))) == 2
    process.send_signal(signal.SIGINT)
    assert "go on with: prefrontal train resume=" in ended(process, 130)
    assert not [path for path in temporary.iterdir() if "dmlab" in path.name]


def test_a_short_training_in_one_process(tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    small = ["run.env_steps=800", "run.figures=1", "run.log_points=2", "evaluate.episodes=2", "model.encoder=none"]
    small += ["model.encoder_sizes=[]", "model.hidden_sizes=[8]", "task.width=24", "task.height=16"]
    harlow = ["task.level=harlow", "task.images=dummy", "task.max_frames=400", "task.actions=turn"]
    output = call(
        tmp_path, "train", "task=dmlab", "cluster=none", *harlow, *small, **with_standin(TMPDIR=str(temporary))
    )
    assert "2 fresh episodes" in output
    (run,) = (path.parent for path in tmp_path.glob("runs/dmlab/*/results.json"))
    names = {path.name for path in (run / "figures").iterdir()}
    assert {"accuracy_by_trial.png", "returns.png", "learning_curve.png", "episode.gif"} <= names
    assert "corrID" not in output
    assert not [path for path in temporary.iterdir() if "dmlab" in path.name]


def test_an_agent_of_our_own_screen_is_evaluated_in_the_game_without_further_settings(tmp_path):
    small = ["run.env_steps=400", "run.figures=0", "run.log_points=1", "evaluate.episodes=2", "actors.envs=4"]
    small += ["model.encoder_sizes=[4,4,8]", "model.hidden_sizes=[8]", "task.size=32", "task.max_frames=100"]
    training = ["train", "task=psychlab_harlow", "cluster=none", "task.actions=glance", *small, "run.folder=run"]
    call(tmp_path, *training)
    asked = ["evaluate", "run=run", "task.env=dmlab", "task.images=dummy"]
    assert "2 fresh episodes" in call(tmp_path, *asked, **with_standin())
    assert "set actors.envs=1 and" in call(tmp_path, *asked, "envs=2", status=2, **with_standin())
