"""Sweeps: a job that fails lets the others go on, a stop waits for the last checkpoints, names may hold brackets."""

from __future__ import annotations

import json
import os
import shlex
import signal

import pytest
from prefrontal.launch.console import console, shell
from prefrontal.launch.run.folder import RunFolder
from prefrontal.launch.run.merged import _matches
from program import ONE_PROCESS, SMALL, call, ended, newest, start, wait_until


def test_what_failed_is_told_and_what_did_not_is_merged(tmp_path):
    sizes = "model.hidden_sizes=[8],[0],[16]"  # brackets, in the folders' names too
    output = call(tmp_path, "train", "-m", sizes, *ONE_PROCESS, "run.folder=of all", status=1)
    assert "2 runs" in output, "those that can be are drawn"
    assert "1 job(s) failed" in output
    assert "Traceback" not in output
    (note,) = (tmp_path / "of all" / "failed").iterdir()
    told = json.loads(note.read_text())
    assert "hidden_sizes=[0]" in told["job"]
    assert told["traceback"].startswith("Traceback")
    folder = tmp_path / "of all"
    assert len(list(folder.glob("*/evaluation.parquet"))) == 2
    assert not list(folder.glob("*hidden_sizes=?0?*")), "nothing is left of the job that could not begin"
    assert len(json.loads((folder / "merged_results.json").read_text())["runs"]) == 2
    (one,) = folder.glob("*hidden_sizes=?8?*")
    assert "hidden_sizes=[8]" in call(tmp_path, "figures", f"run={one}"), "a path, not a pattern"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_waits_for_the_last_checkpoints_of_all_jobs(tmp_path, number):
    """Ctrl-C as a terminal does it, every process gets it; SIGTERM to the main process alone."""
    long = ["run.env_steps=100000000", "run.checkpoint_every_s=0.5", "run.folder=jobs"]
    workers = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    process = start(tmp_path, "train", "-m", "seed=0,1,2", *workers, *SMALL, *long, start_new_session=True)
    found = (tmp_path / "jobs").glob
    wait_until(lambda: len({path.parent for path in found("*/checkpoints/update_*.safetensors")}) == 2, process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    output = ended(process, 130)
    assert "Traceback" not in output
    assert output.count("go on with: prefrontal train resume=") == 2
    stopped = [path.parent for path in (tmp_path / "jobs").glob("*/config.yaml")]
    assert len(stopped) == 2, "the third job was not begun"
    assert all(newest(run).scalars["env_steps"] > 0 for run in stopped)


def test_what_is_printed_can_be_pasted(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "seed=0,sizes=[8] [red]x" / "run")
    folder.path.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    shown = folder.shown(folder.results)
    assert shlex.split(shown) == [str(folder.results.relative_to(tmp_path))]
    assert shlex.split(shell(resume=folder.path)) == [f"resume={folder.path}"]
    with console.capture() as capture:
        console.print(f"all numbers  {shown}", style="bold")
    assert shown in capture.get()
    assert _matches(str(folder.path)) == [str(folder.path)]
