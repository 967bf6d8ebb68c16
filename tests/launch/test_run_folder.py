"""The run folder: its making is a lock, its curves lose no column, an evaluation leaves nothing of the one before."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from prefrontal.launch.engines.protocol import Counters
from prefrontal.launch.run.folder import RunFolder
from prefrontal.launch.run.metrics_file import MetricsFile
from prefrontal.launch.run.tracker import Tracker


@pytest.fixture
def restless_threads():
    """Threads take turns as often as they can: whoever looks before it leaps is overtaken."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_of_several_runs_that_want_a_folder_each_gets_its_own(tmp_path, restless_threads):
    wanting, names = 8, 50
    together = threading.Barrier(wanting)

    def make(name):
        together.wait(60)
        return RunFolder.new(tmp_path / name).path

    with ThreadPoolExecutor(wanting) as pool:
        for number in range(names):
            made = list(pool.map(make, [str(number)] * wanting))
            assert {path.name for path in made} == {str(number), *(f"{number}_{n}" for n in range(2, wanting + 1))}


def test_a_column_that_comes_later_stays(tmp_path):
    path = tmp_path / "metrics.csv"
    first = MetricsFile(path, 0)
    for steps in (100, 200, 300):
        first.append({"env_steps": steps, "old": steps / 2})
    with path.open("a") as file:
        file.write("1")  # killed in mid-row
    again = MetricsFile(path, 200)
    again.append({"env_steps": 300, "new": 7.0})
    again.append({"env_steps": 400, "old": 5.0, "new": 8.0})
    history = RunFolder(tmp_path).read_history()
    np.testing.assert_array_equal(history["env_steps"], [100, 200, 300, 400])
    np.testing.assert_array_equal(history["old"], [50, 100, np.nan, 5])
    np.testing.assert_array_equal(history["new"], [np.nan, np.nan, 7, 8])
    assert MetricsFile(path, 0) is not None
    assert not path.exists()


def test_curves_and_table_keep_the_same_points_after_a_resume(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = RunFolder(tmp_path)
    for resumed_at, logged in ((0, (100, 200, 300)), (200, (400,))):
        tracker = Tracker(folder, resumed_at)
        for steps in logged:
            tracker.env_steps = steps
            tracker.log(Counters(0.0, 0.0, 0, 1, 0, 0), {"score": float(steps)})
        tracker.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [point.step for point in events.Scalars("task/score")] == [100, 200, 400]
    np.testing.assert_array_equal(folder.read_history()["env_steps"], [100, 200, 400])


def test_an_agent_without_a_memory_leaves_no_memory_of_another(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_memory({"keys": np.zeros((2, 3), dtype=np.float32)})
    folder.write_memory({})
    assert folder.read_memory() == {}
