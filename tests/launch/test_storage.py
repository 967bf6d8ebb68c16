"""Run folders at URLs: what is there is whole, a storage that fails loses nothing, runs go on from there."""

from __future__ import annotations

import itertools
import json
import signal
import sys
import threading

import fsspec
import pytest
import torch
from faulty_storage import Failing, installed
from prefrontal.launch.run import mirror as module
from prefrontal.launch.run import storage as storage_module
from prefrontal.launch.run.folder import NotARunFolderError, RunFolder
from prefrontal.launch.run.mirror import Mirror, NotUploadedError
from prefrontal.launch.run.places import fetched_mirror, mirror_of, new_mirror
from prefrontal.launch.run.storage import Storage, StorageError
from prefrontal.learner.checkpoint import Checkpoint, CheckpointFolder
from program import ended, start, wait_until

SMALL = ["cluster=none", "actors.envs=8", "run.figures=0", "evaluate.episodes=20", "run.log_points=10"]


@pytest.fixture
def url():
    """A folder in memory that nobody has used."""
    Failing.left = None
    return f"failing://runs/{next(NUMBERS)}"


NUMBERS = itertools.count()


def save(folder, updates, best=False):
    tensors = {"agent.w": torch.arange(500, dtype=torch.float32) + updates}
    checkpoints, checkpoint = (
        CheckpointFolder(folder / "checkpoints", keep=2),
        Checkpoint(tensors, {"updates": updates}),
    )
    checkpoints.save(checkpoint)
    if best:
        checkpoints.save_best(checkpoint)


def run_in(folder, *updates):
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("seed: 0\n")
    for number in updates:
        save(folder, number)
    return folder


def checkpoints(url):
    return Storage(url).names(("checkpoints/*",))


def newest_after_fetch(url, folder):
    mirror = Mirror(folder, Storage(url))
    mirror.fetch()
    checkpoint, _, warnings = RunFolder(folder).checkpoints().newest()
    return checkpoint.scalars["updates"], warnings


def test_what_is_gone_here_goes_there_and_a_fetched_run_is_the_same(tmp_path, url):
    here = run_in(tmp_path / "here", 1, 2)
    mirror = Mirror(here, Storage(url))
    mirror.finish()
    assert checkpoints(url) == ["checkpoints/update_000000001.safetensors", "checkpoints/update_000000002.safetensors"]
    (here / ".half.tmp").write_text("being written")
    save(here, 3, best=True)
    mirror.upload_soon()
    mirror.finish()
    names = [path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file() and path.name[0] != "."]
    assert Storage(url).names() == sorted(names)
    assert len(checkpoints(url)) == 3, "two numbered ones and the best"
    there = tmp_path / "there"
    assert newest_after_fetch(url, there) == (3, [])
    for name in names:
        assert (there / name).read_bytes() == (here / name).read_bytes(), name


@pytest.mark.parametrize("taken", range(5))
def test_broken_off_anywhere_the_newest_whole_checkpoint_is_found(tmp_path, url, taken):
    """The storage breaks at each file in turn of a second upload; nothing there is ever a part of a file."""
    here = run_in(tmp_path / "here", 1, 2)
    mirror = Mirror(here, Storage(url))
    mirror.finish()
    (here / "metrics.csv").write_text("env_steps\n1\n")
    save(here, 3)
    save(here, 4, best=True)
    Failing.left = taken
    mirror.upload_soon()
    with mirror._wake:
        mirror._wake.wait_for(lambda: mirror._done == mirror._wanted)
    newest, warnings = newest_after_fetch(url, tmp_path / "there")
    assert (newest, warnings) == (4 if taken > 1 else 2, [])
    if newest == 4:
        assert (tmp_path / "there" / "metrics.csv").is_file(), "curves come before their checkpoint"
    Failing.left = None
    mirror.finish()
    assert newest_after_fetch(url, tmp_path / "later") == (4, [])
    assert len(checkpoints(url)) == 3


def test_a_storage_that_stays_down_is_named_at_the_end(tmp_path, url, monkeypatch, capsys):
    monkeypatch.setattr(module, "LAST_PAUSE_S", 0.0)
    mirror = Mirror(run_in(tmp_path / "here", 1), Storage(url))
    Failing.left = 1
    mirror.upload_soon()
    with pytest.raises(NotUploadedError) as caught:
        mirror.finish("; use this")
    assert "1 file(s) (checkpoints/update_000000001.safetensors) could not be brought to failing://" in str(
        caught.value
    )
    assert str(caught.value).endswith(f"everything lies in {tmp_path / 'here'}; use this")
    assert "the storage hung up" in str(caught.value)
    assert "training goes on" in capsys.readouterr().err


def test_an_upload_that_hangs_is_named_at_the_end(tmp_path, url, monkeypatch):
    monkeypatch.setattr(module, "STUCK_S", 0.1)
    mirror, over = Mirror(run_in(tmp_path / "here", 1), Storage(url)), threading.Event()
    monkeypatch.setattr(mirror.storage, "upload", lambda *_: over.wait())
    with pytest.raises(NotUploadedError, match=r"2 file\(s\) .*no file was taken for 0.1 s\nnothing is lost"):
        mirror.finish()
    over.set()


def test_a_damaged_checkpoint_there_is_passed_over(tmp_path, url):
    Mirror(run_in(tmp_path / "here", 1, 2), Storage(url)).finish()
    path = url + "/checkpoints/update_000000002.safetensors"
    file_system = fsspec.filesystem("failing")
    file_system.pipe_file(path, file_system.cat_file(path)[:1000])
    newest, warnings = newest_after_fetch(url, tmp_path / "there")
    assert newest == 1
    assert "update_000000002" in warnings[0]


def test_new_runs_and_runs_that_go_on_have_folders_of_their_own(tmp_path, url, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = new_mirror(url)
    run_in(first.folder, 1)
    first.finish()
    assert first.folder.relative_to(tmp_path).parts[:3] == ("runs", "failing", "runs")
    second = new_mirror(url)
    assert second.storage.url == f"{url}_2"
    assert run_in(second.folder) != first.folder
    again = fetched_mirror(url)
    assert again.storage.url == url
    assert again.folder not in (first.folder, second.folder)
    with pytest.raises(NotARunFolderError, match="it has no config"):
        fetched_mirror(f"{url}_nothing")
    behind = RunFolder(run_in(tmp_path / "behind", 0))
    with pytest.raises(StorageError, match=f"has a newer checkpoint than .*resume={url}"):
        mirror_of(behind, url)
    save(behind.path, 5)
    mirror_of(behind, url).finish()
    assert newest_after_fetch(url, tmp_path / "there")[0] == 5


def test_urls_that_cannot_be_used(monkeypatch):
    with pytest.raises(StorageError, match="no storage is called sthree://"):
        Storage("sthree://bucket/run")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(StorageError, match=r"pip install --editable '.\[s3\]'"):
        Storage("s3://bucket/run")
    with pytest.raises(StorageError, match="cannot be written"):
        Storage("file:///dev/null/run").check_writable()
    monkeypatch.setattr(storage_module, "ANSWER_S", 0.2)
    with pytest.raises(StorageError, match=r"no answer within 0\.2 s"):
        Storage("silent://run").check_writable()


# Through the program ----------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path):
    """Starts the program in a folder that is not the storage."""
    environment = installed(tmp_path / "package")
    (tmp_path / "work").mkdir()
    return lambda *arguments: start(tmp_path / "work", *arguments, env=environment)


def test_killed_and_started_again_then_evaluated_and_drawn(tmp_path, program):
    """kill -9 in mid-run on a storage where half files can be seen, and the next start on another machine."""
    there = tmp_path / "there" / "run"
    url = f"slow://{there}"
    command = ["train", "resume=auto", f"run.folder={url}", "run.checkpoint_every_s=0.1", *SMALL]
    process = program(*command, "run.env_steps=10000000")
    wait_until(lambda: len(list(there.glob("checkpoints/update_*"))) >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    reached = CheckpointFolder(there / "checkpoints").newest()[0].scalars["env_steps"]
    assert reached > 0
    (tmp_path / "work").rename(tmp_path / "lost")
    (tmp_path / "work").mkdir()
    output = ended(program(*command, f"run.env_steps={reached + 40_000}"))
    assert f"going on from {url}/checkpoints/update_" in output
    assert f"({reached:,} steps)" in output
    assert f"all numbers  {url}/results.json" in output
    assert list(there.glob("events.out.tfevents.*"))
    assert len(list(there.glob("checkpoints/update_*"))) == 3
    rows = (there / "metrics.csv").read_text().splitlines()
    steps = [int(float(row.split(",")[0])) for row in rows[1:]]
    assert steps == sorted(set(steps))
    ended(program("evaluate", f"run={url}", "name=short", "episodes=10", "record=true"))
    output = ended(program("analyse", f"run={url}", "name=short", "shuffles=2", "variables=[choice]"))
    assert f"all numbers  {url}/evaluations/short/analyses/analyses.json" in output
    assert (there / "evaluations" / "short" / "analyses" / "figures" / "coding.svg").is_file()
    assert json.loads((there / "evaluations" / "short" / "results.json").read_text())["episodes"] == 10
    for path in (there / "figures").iterdir():
        path.unlink()
    output = ended(program("figures", f"run=slow://{there.parent}/*"))
    assert f"figure       {url}/figures/stay_probability.png" in output
    assert (there / "figures" / "stay_probability.svg").is_file()


def test_a_storage_that_fails_in_mid_run(tmp_path, program):
    there = tmp_path / "there"
    url = f"slow://{there}"
    process = program("train", f"run.folder={url}", "run.checkpoint_every_s=0.1", *SMALL, "run.env_steps=100000000")
    wait_until(lambda: list(there.glob("checkpoints/update_*")), process)
    (tmp_path / "package" / "down").touch()
    local = next((tmp_path / "work" / "runs").rglob("config.yaml")).parent
    newest = max(there.glob("checkpoints/update_*"))
    wait_until(lambda: min(local.glob("checkpoints/update_*")).name > newest.name, process)
    process.send_signal(signal.SIGTERM)
    output = ended(process, status=1)
    assert "takes no files, training goes on" in output
    assert f"bring it there with: prefrontal train resume={local} run.folder={url}" in " ".join(output.split())
    (tmp_path / "package" / "down").unlink()
    reached = CheckpointFolder(local / "checkpoints").newest()[0].scalars["env_steps"]
    ended(program("train", f"resume={local}", f"run.folder={url}", f"run.env_steps={reached}"))
    assert CheckpointFolder(there / "checkpoints").newest()[0].scalars["env_steps"] == reached


def test_a_sweep_is_merged_at_the_url(tmp_path, program):
    there = tmp_path / "there"
    output = ended(program("train", "-m", "seed=0,1", f"run.folder=slow://{there}", *SMALL, "run.env_steps=8000"))
    assert "2 runs" in output
    assert {path.parent.name[-6:] for path in there.glob("*/results.json")} == {"seed=0", "seed=1"}
    assert len(json.loads((there / "merged_results.json").read_text())["runs"]) == 2
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"runs"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "run.folder=nowhere://x"], "no storage is called nowhere://"),
        (["train", "run.folder=file:///dev/null/x"], "cannot be written"),
        (["train", "resume=file:///nowhere"], "file:///nowhere is not a run folder"),
        (["evaluate", "run=file:///nowhere"], "file:///nowhere is not a run folder"),
        (["figures", "run=file:///nowhere/*"], "nothing matches"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_urls_end_before_anything_starts(tmp_path, program, arguments, message):
    output = ended(program(*arguments), status=2)
    assert message in output
    assert "Traceback" not in output
    assert not list((tmp_path / "work").iterdir())
