"""`activity.nc`: what is recorded of an evaluation is what was played, whatever was played side by side."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numerics import IDENTITY, precision
from prefrontal.actors.activity import Column, columns_of, shown_by_default
from prefrontal.actors.evaluation import Replayed, evaluate
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec, agent_spec
from prefrontal.envs import registry
from prefrontal.launch.config import ConfigError, EvaluateConfig, TrainConfig
from prefrontal.launch.run import activity_file
from prefrontal.launch.run.activity_file import ActivityFile, chunk_of
from prefrontal.launch.run.evaluation import evaluate_checkpoint
from prefrontal.launch.run.recording import Recording, opened
from prefrontal.learner import snapshot
from prefrontal.learner.algorithm import AlgorithmConfig
from prefrontal.learner.learner import Learner
from prefrontal.learner.objective import returns_of
from prefrontal.models.agent import ModelConfig
from prefrontal.models.flat import to_vector

LENGTHS = [3, 9, 1, 4, 4, 4, 11, 2, 5, 8, 1, 6]
"""Of the episodes that are written below."""

Disk = namedtuple("Disk", "total used free")


def entry(episode, step):
    """What stands at a place of the file."""
    return 100 * episode + step


def unrolls(rows, length):
    """The episodes of LENGTHS and what follows them, as `rows` environments would play them: columns and ends."""
    streams = []
    for row in range(rows):
        wanted = range(row, len(LENGTHS) + 20 * rows, rows)
        steps = [(k, s, s == n - 1) for k in wanted for n in [(LENGTHS + [7] * 1000)[k]] for s in range(n)]
        streams.append(steps)
    total = max(sum(LENGTHS[row::rows]) for row in range(rows))
    for start in range(0, total, length):
        part = [[stream[t] for stream in streams] for t in range(start, start + length)]
        number = np.array([[entry(k, s) for k, s, _ in step] for step in part])
        columns = {
            "hidden": Column(np.stack([number, -number], -1).astype(np.float32), ("unit",), "network"),
            "trial": Column(number.astype(np.int32), (), "task"),
            "byte": Column((number % 256).astype(np.uint8), (), "task"),
            "even": Column(number % 2 == 0, (), "task"),
            "said": Column(number.astype(str), (), "task"),
        }
        yield columns, np.array([[end for *_, end in step] for step in part])


def written(path, rows, length, **options):
    with ActivityFile(path, len(LENGTHS), 4.5, {"task": "made up"}) as file:
        for columns, ended in unrolls(rows, length):
            file.add(columns, ended)
    with opened(path) as data:
        return data.load()


@pytest.mark.parametrize(("rows", "length"), [(1, 100), (3, 5), (4, 7), (5, 1), (12, 11), (12, 2)])
def test_a_file_holds_each_step_at_its_place_whatever_was_played_side_by_side(tmp_path, rows, length):
    data = written(tmp_path / "activity.nc", rows, length)
    episode, step = np.meshgrid(np.arange(12), np.arange(11), indexing="ij")
    there = step < np.array(LENGTHS)[:, None]
    number = entry(episode, step)
    np.testing.assert_array_equal(data["mask"], there)
    np.testing.assert_array_equal(data["length"], LENGTHS)
    np.testing.assert_array_equal(data["hidden"], np.where(there[..., None], np.stack([number, -number], -1), np.nan))
    np.testing.assert_array_equal(data["trial"], np.where(there, number, -1))
    np.testing.assert_array_equal(data["byte"], np.where(there, number % 256, 0))
    np.testing.assert_array_equal(data["even"], there & (number % 2 == 0))
    np.testing.assert_array_equal(data["said"].values.astype(str), np.where(there, number.astype(str), ""))
    kinds = {name: data[name].dtype.kind for name in ("hidden", "trial", "byte", "even", "mask", "length")}
    assert kinds == {"hidden": "f", "trial": "i", "byte": "u", "even": "b", "mask": "b", "length": "i"}
    assert data.attrs["task"] == "made up"
    assert list(tmp_path.iterdir()) == [tmp_path / "activity.nc"]


def test_chunks_are_filled_by_episodes_of_the_expected_length():
    assert chunk_of(192, 100, 1000) == (2**18 // (50 * 192), 50)
    assert chunk_of(192, 10, 3) == (3, 10)
    assert chunk_of(10**7, 3600, 1000) == (1, 64)
    assert chunk_of(1, 1, 2) == (2, 1)


def worker_of(task, options, model, seed=0, **changes):
    changes = {"num_envs": 5, "unroll_length": 17, "seed": 3, "actor_id": 0} | changes
    worker = RolloutWorker(WorkerSpec(task, options, model, **changes))
    size = len(to_vector(worker.agent.parameters()))
    worker.load(1, 0.4 * np.random.default_rng(seed).standard_normal(size, dtype=np.float32))
    return worker


@pytest.mark.parametrize("truncate", [False, True])
@pytest.mark.parametrize("core", ["lstm", "gru", "ep_lstm", "mlp"])
def test_prediction_errors_are_the_learners_advantages_without_traces(core, truncate):
    """TD(0) of the learner's own returns, whose ends of episodes are terminations or cuts."""
    config = AlgorithmConfig(returns="td0", discount=0.7)
    with precision(torch.float64):
        model = ModelConfig(core=core, hidden_sizes=(12,))
        worker = worker_of("continuous:TASK", {"actions": "choices", "length": 7, "truncate": truncate}, model)
        for _ in range(3):
            replayed = Replayed.of(worker.unroll(), worker.agent, 0.7)
            batch = replayed.batch
            assert batch.first[1:].any()
            assert (batch.last is not None) == truncate
            zeros = torch.zeros_like(batch.reward)
            target, advantage = returns_of(worker.agent, batch, zeros, replayed.value, config)
            torch.testing.assert_close(replayed.rpe, advantage, atol=IDENTITY, rtol=0)
            torch.testing.assert_close(replayed.rpe + replayed.value[:-1], target, atol=IDENTITY, rtol=0)
            following = batch.reward + 0.7 * replayed.value[1:] - replayed.value[:-1]
            assert ((following - replayed.rpe).abs() > 1e-3)[batch.first[1:]].any(), "what follows is another episode"


@pytest.mark.parametrize(("actions", "names"), [("box", {"policy_mean", "policy_sd"}), ("choices", {"policy"})])
def test_what_is_recorded_is_what_was_played(actions, names):
    with precision(torch.float64):
        model = ModelConfig(core="stacked_lstm", hidden_sizes=(12, 5))
        worker = worker_of("continuous:TASK", {"actions": actions, "length": 7}, model)
        unroll = worker.unroll()
        replayed = Replayed.of(unroll, worker.agent, 0.7)
        columns = columns_of(replayed, observation=True)
        played, acting = unroll.trajectory, worker._acting
        assert names <= set(columns)
        for name, data in (
            ("action", played.action),
            ("reward", played.reward),
            ("first", played.first[:-1]),
            ("prev_action", played.prev_action[:-1]),
            ("prev_reward", played.prev_reward[:-1]),
            ("observation", played.obs[:-1]),
            ("trial", unroll.info["trial"]),
            ("trial_reward", unroll.info["reward"]),
        ):
            np.testing.assert_array_equal(columns[name].data, data, err_msg=name)
        unit = np.finfo(np.float32).eps
        for name, part in worker.agent.policy.described(acting.policy).items():
            np.testing.assert_allclose(columns[name].data, part, rtol=4 * unit, atol=4 * unit)
        for name, state in zip(("hidden_1", "cell_1", "hidden_2", "cell_2"), acting.state, strict=True):
            np.testing.assert_allclose(columns[name].data[-1], state, rtol=4 * unit, atol=4 * unit)
            assert columns[name].axes == (f"unit_{name[-1]}",)
        assert columns["forget_gate_1"].data.shape[-1] == 12
        assert columns["forget_gate_2"].meaning == "forget gate of each unit"
        assert all(column.data.dtype != np.float64 for column in columns.values())
        assert "observation" not in columns_of(replayed, observation=False)


def config_of(task="two_step", options=(), model=None, **evaluate):
    return TrainConfig(
        task={"name": task, **dict(options)},
        cluster="none",
        model=model or ModelConfig(hidden_sizes=(6,)),
        algo=AlgorithmConfig(discount=0.6),
        evaluate=EvaluateConfig(**evaluate),
    )


def checkpoint_of(config, seed=1):
    spec = agent_spec(registry.make_vector(config.task_name, 1, **config.task_options), config.model)
    learner = Learner(spec, AlgorithmConfig(), 1000, seed, "cpu", False)
    with torch.no_grad():
        for parameter in learner.agent.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return snapshot.take(learner, {}, {})


@pytest.mark.parametrize(
    ("task", "options", "model"),
    [
        ("two_step", {"trials": 12, "steps_per_trial": 2}, ModelConfig(hidden_sizes=(6,))),
        ("harlow", {}, ModelConfig(core="gru", hidden_sizes=(6,))),
        ("episodic_two_step", {"trials": 12}, ModelConfig(core="ep_lstm", hidden_sizes=(6,))),
    ],
    ids=["two_step", "harlow", "episodic_two_step"],
)
def test_rows_of_the_table_of_trials_join_on_episode_and_trial(tmp_path, task, options, model):
    config = config_of(task, options, model, episodes=11, envs=4)
    path = tmp_path / "activity.nc"
    asked = Recording(path, "runs/mine")
    evaluate_checkpoint(config, checkpoint_of(config), tmp_path / "evaluation.parquet", asked)
    table = pq.read_table(tmp_path / "evaluation.parquet").to_pandas().set_index(["episode", "trial"])
    with opened(path) as data:
        last = data["trial_done"].values
        joined = table.loc[list(zip(np.nonzero(last)[0], data["trial"].values[last], strict=True))]
        assert len(joined) == len(table)
        phases = registry.make_vector(task, 1, **options).phases
        episode, step = np.nonzero(last)
        for ahead, phase in enumerate(reversed(phases)):
            for name in ("value", "rpe"):
                recorded = data[name].values[episode, step - ahead]
                np.testing.assert_array_equal(recorded, joined.pop(f"{name}_{phase}"), err_msg=f"{name}_{phase}")
        for name in set(joined) - {"steps", "gate"}:
            recorded = data[f"trial_{name}" if f"trial_{name}" in data else name].values[last]
            np.testing.assert_array_equal(recorded, joined[name].to_numpy(), err_msg=name)
        if "gate" in table:
            gate = data["reinstatement_gate"].values[last].mean(-1)
            np.testing.assert_allclose(gate, joined["gate"], rtol=0, atol=1e-6)
            assert {"reinstated", "recalled", "sought", "hit"} <= set(data)
        assert np.isfinite(data["hidden"].values[data["mask"].values]).all()
        assert np.isnan(data["hidden"].values[~data["mask"].values]).all()
        assert int(data["length"].sum()) == int(data["mask"].sum()) >= table["steps"].sum()
        assert data["rpe"].attrs["units"] == "reward"
        told = {name: data.attrs[name] for name in ("run", "task", "discount", "output", "checkpoint_updates")}
        assert told == {"run": "runs/mine", "task": task, "discount": 0.6, "output": "hidden", "checkpoint_updates": 0}
        assert json.loads(data.attrs["task_options"]) == options
        assert json.loads(data.attrs["versions"])["torch"].startswith(torch.__version__.split("+")[0])


def test_an_evaluation_that_is_watched_is_the_same():
    def table(watch):
        worker = worker_of("two_step", {"trials": 10}, ModelConfig(hidden_sizes=(6,)))
        return evaluate(worker, 9, 0.5, watch=watch).trials()

    seen = []
    np.testing.assert_equal(table(None), table(seen.append))
    assert len(seen) == 2


def test_pictures_are_left_out_unless_somebody_asks_for_them(tmp_path):
    model = ModelConfig(encoder="conv", encoder_sizes=(4, 4, 8), hidden_sizes=(6,))
    there = {}
    for told in (None, True):
        config = config_of(
            "psychlab_harlow", {"trials": 2, "max_frames": 90}, model, episodes=1, envs=1, record_observation=told
        )
        path = tmp_path / f"{told}.nc"
        evaluate_checkpoint(config, checkpoint_of(config), tmp_path / "evaluation.parquet", Recording(path))
        with opened(path) as data:
            there[told] = "observation" in data
            if told:
                assert data["observation"].dtype == np.uint8
                assert data["observation"].dims == ("episode", "step", "feature_1", "feature_2", "feature_3")
    assert there == {None: False, True: True}
    assert shown_by_default((12,))


def test_a_disk_without_room_is_told_before_anything_is_played(tmp_path, monkeypatch):
    config = config_of(options={"trials": 50}, episodes=40, envs=4)
    spare = activity_file.SPARE_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(0, 0, spare + 100_000))
    table, path = tmp_path / "evaluations" / "a" / "evaluation.parquet", tmp_path / "evaluations" / "a" / "activity.nc"
    with pytest.raises(ConfigError) as told:
        evaluate_checkpoint(config, checkpoint_of(config), table, Recording(path))
    text = str(told.value)
    assert "40 episodes would take about" in text
    assert "100 kB free" in text
    room = int(text.split("episodes=")[1].split(")")[0])
    assert 1 <= room < 40
    assert not list(tmp_path.iterdir())
    fits = config_of(options={"trials": 50}, episodes=room, envs=4)
    evaluate_checkpoint(fits, checkpoint_of(config), table, Recording(path))
    assert path.is_file()


def test_a_disk_that_fills_up_meanwhile_ends_it_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "activity.nc"
    left = iter([10**9, 10**9, activity_file.SPARE_BYTES])
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Disk(0, 0, next(left)))
    with pytest.raises(OSError, match=r"the disk is full .* after \d+ of 12 episodes"):
        written(path, 3, 5)
    assert list(tmp_path.iterdir()) == []


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from prefrontal.actors.activity import Column
from prefrontal.launch.run.activity_file import ActivityFile

ROWS, STEPS, UNITS = 100, 50, 100
hidden = np.random.default_rng(0).standard_normal((STEPS, ROWS, UNITS), dtype=np.float32)
ended = np.zeros((STEPS, ROWS), bool)
ended[-1] = True
for episodes in (200, 15_000):
    with ActivityFile(Path(sys.argv[1]), episodes, STEPS, {}) as file:
        for start in range(0, episodes, ROWS):
            file.add({"hidden": Column(hidden, ("unit",), "network")}, ended)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
"""


def test_memory_does_not_grow_with_what_is_written(tmp_path):
    path = tmp_path / "activity.nc"
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage tells bytes there, KiB elsewhere
    few, many = (int(line) * unit for line in done.stdout.split())
    assert path.stat().st_size > 300 * 10**6
    assert many - few < 20 * 2**20, f"{(many - few) / 2**20:.0f} MiB"


def test_the_file_stands_alone(tmp_path):
    """Opened by xarray where nothing of ours is imported."""
    path = tmp_path / "activity.nc"
    written(path, 4, 7)
    code = (
        "import sys, xarray; data = xarray.open_dataset(sys.argv[1]); "
        "print(int(data.mask.sum()), float(data.hidden.isel(unit=0).sum()), 'prefrontal' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    total = sum(entry(k, s) for k, n in enumerate(LENGTHS) for s in range(n))
    assert done.stdout.split() == [str(sum(LENGTHS)), str(float(total)), "False"]


def test_what_is_no_such_file_is_named(tmp_path):
    path = tmp_path / "activity.nc"
    path.write_text("nothing of the kind")
    with pytest.raises(ConfigError, match=r"activity\.nc is no netCDF file"):
        opened(path)
