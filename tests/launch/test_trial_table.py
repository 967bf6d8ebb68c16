"""The table of trials in parts: the same table, measured block by block, in memory that does not grow with it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from prefrontal.envs import registry
from prefrontal.envs.trials import TrialRecorder
from prefrontal.launch.run import trial_table as module
from prefrontal.launch.run.trial_table import TrialTable, mean_of_blocks, read_trials, whole_episodes


def recorded(name, episodes, take=None, steps=25):
    """Random actions; what was not taken by `take`."""
    env, rng = registry.make_vector(name, 7), np.random.default_rng(1)
    env.reset(seed=2)
    recorder = TrialRecorder(env.info_spec, 7, episodes)
    while not recorder.done:
        for _ in range(steps):
            action = rng.integers(env.single_action_space.n, size=7)
            _, reward, terminated, truncated, info = env.step(action)
            recorder.add(info, reward, terminated | truncated)
        if take is not None:
            take(recorder.take())
    return recorder


@pytest.mark.parametrize("name", ["two_step", "harlow"])
def test_parts_make_the_whole(name):
    whole, parts = recorded(name, 40).trials(), []
    assert len(recorded(name, 40, parts.append).trials()["episode"]) == 0
    parts = [part for part in parts if len(part["episode"])]
    assert len(parts) > 3
    for key, column in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), column)
        assert parts[0][key].dtype == column.dtype


def test_a_table_is_written_whole_and_measured_by_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 650)
    task, path = registry.get("two_step"), tmp_path / "evaluation.parquet"
    settings, whole = task.configure(), recorded("two_step", 20).trials()
    with TrialTable(path, task, settings) as table:
        recorded("two_step", 20, table.add)
        measures = table.measures()
    written = pq.read_table(path)
    assert list(tmp_path.iterdir()) == [path]
    for key, column in whole.items():
        np.testing.assert_array_equal(written[key].to_numpy(), column)

    def block(low, high):
        return {key: column[100 * low : 100 * high] for key, column in whole.items()}

    summaries = [
        (high - low, task.summarise(block(low, high), settings)) for low, high in ((0, 6), (6, 12), (12, 18), (18, 20))
    ]
    expected = {**mean_of_blocks(summaries), **task.analyse(block(0, 6), settings)}
    np.testing.assert_equal(measures, expected)
    assert measures["reward_per_trial"] == pytest.approx(whole["reward"].mean(), rel=1e-12)
    assert table.analysed_episodes == 6
    np.testing.assert_equal(read_trials(path), block(0, 6))


def test_an_evaluation_that_breaks_off_leaves_the_table_before_it(tmp_path):
    path = tmp_path / "evaluation.parquet"
    path.write_bytes(b"the one before")
    task = registry.get("two_step")
    with pytest.raises(RuntimeError), TrialTable(path, task, task.configure()) as table:
        table.add(recorded("two_step", 3).trials())
        table.measures()
        raise RuntimeError
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"the one before"]


def test_blocks_are_whole_episodes():
    episode = np.repeat([0, 1, 2], [4, 3, 5])
    assert [whole_episodes(episode, most) for most in (3, 4, 6, 7, 11, 12, 20)] == [4, 4, 4, 7, 7, 12, 12]


def test_the_mean_of_blocks_counts_episodes_and_leaves_out_what_is_not_known():
    blocks = [(1, {"a": 1.0, "b": [float("nan"), 2.0], "c": {}}), (3, {"a": 5.0, "b": [4.0, float("nan")], "c": {}})]
    assert mean_of_blocks(blocks) == {"a": 4.0, "b": [4.0, 2.0], "c": {}}


PEAK = """
import resource
from pathlib import Path
from prefrontal.actors.rollout import agent_spec
from prefrontal.envs import registry
from prefrontal.launch.config import EvaluateConfig, TrainConfig
from prefrontal.launch.run import evaluation, trial_table
from prefrontal.learner import snapshot
from prefrontal.learner.learner import Learner
from prefrontal.learner.algorithm import AlgorithmConfig
import sys

trial_table.BLOCK = 50_000
config = TrainConfig(task={"name": "two_step"}, cluster="none")
spec = agent_spec(registry.make_vector("two_step", 1), config.model)
checkpoint = snapshot.take(Learner(spec, AlgorithmConfig(), 1000, 0, "cpu", False), {}, {})
for episodes in (600, 6_000):
    played = EvaluateConfig(episodes=episodes, envs=600)
    config = TrainConfig(task={"name": "two_step"}, cluster="none", evaluate=played)
    evaluation.evaluate_checkpoint(config, checkpoint, Path(sys.argv[1]) / "evaluation.parquet")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
"""


def test_memory_does_not_grow_with_the_episodes(tmp_path):
    """600,000 trials need no more than a block of 50,000, a part of it still to come, and the file's buffers."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)], stdout=subprocess.PIPE, text=True, timeout=280, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage tells bytes there, KiB elsewhere
    few, many = (int(line) * unit for line in done.stdout.split())
    assert pq.read_metadata(tmp_path / "evaluation.parquet").num_rows == 600_000
    assert many - few < 150 * 2**20, f"{(many - few) / 2**20:.0f} MiB"
