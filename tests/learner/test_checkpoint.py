"""Checkpoints: whole or not there, damage is found, the newest whole one is used, a full disk loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from prefrontal.learner import checkpoint as module
from prefrontal.learner.checkpoint import Checkpoint, CheckpointFolder, DamagedCheckpointError, NoCheckpointError, read


def checkpoint(updates, size=1000):
    tensors = {"agent.w": torch.arange(size, dtype=torch.float32) + updates, "worker.n": torch.tensor([1, 2])}
    return Checkpoint(tensors, {"updates": updates, "rng": {"state": 2**100}, "list": [1, 2.5, None]})


def test_round_trip_and_rotation(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=2)
    folder.save_best(checkpoint(10))
    for updates in (5, 10, 200):
        folder.save(checkpoint(updates))
    names = sorted(p.name for p in folder.folder.iterdir())
    assert names == ["best.safetensors", "update_000000010.safetensors", "update_000000200.safetensors"]
    newest, path, warnings = folder.newest()
    assert (newest.scalars, warnings) == (dict(checkpoint(200).scalars), [])
    assert torch.equal(newest.tensors["agent.w"], checkpoint(200).tensors["agent.w"])
    assert read(folder.folder / "best.safetensors").scalars["updates"] == 10
    assert path.name == names[-1]


@pytest.mark.parametrize("damage", ["cut", "flip", "garbage", "empty"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, damage):
    folder = CheckpointFolder(tmp_path, keep=3)
    folder.save(checkpoint(1))
    path = folder.save(checkpoint(2))
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[-100] ^= 1
    else:
        content = b"not a checkpoint" if damage == "garbage" else b""
    path.write_bytes(content)
    newest, _, warnings = folder.newest()
    assert newest.scalars["updates"] == 1
    assert len(warnings) == 1
    assert path.name in warnings[0]
    with pytest.raises(DamagedCheckpointError):
        read(path)


def test_nothing_usable_is_an_error_that_says_so(tmp_path):
    with pytest.raises(NoCheckpointError, match="no usable checkpoint"):
        CheckpointFolder(tmp_path).newest()


def test_a_full_disk_leaves_the_older_checkpoint_and_no_rubbish(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path)
    folder.save(checkpoint(1))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.save(checkpoint(2))
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["update_000000001.safetensors"]
    assert folder.newest()[0].scalars["updates"] == 1


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoint import CheckpointFolder, checkpoint

folder, n = CheckpointFolder(Path(sys.argv[1]), keep=2), 0
while True:
    n += 1
    folder.save(checkpoint(n, 300_000))
    print(n, flush=True)
"""
"""A process that writes until it is killed."""


def test_killed_while_writing(tmp_path):
    """kill -9 at random moments of endless writing: what has the final name is always whole."""
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)]
    for pause_s in (0.0, 0.013, 0.037):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert [writer.stdout.readline() for _ in range(3)] == ["1\n", "2\n", "3\n"]
            time.sleep(pause_s)
            writer.kill()
        assert writer.returncode == -signal.SIGKILL
        newest, _, warnings = CheckpointFolder(tmp_path).newest()
        assert newest.scalars["updates"] >= 3
        assert warnings == []
        for path in tmp_path.iterdir():
            path.unlink()


def test_what_a_killed_process_was_writing_is_removed_and_the_best_reaches_the_disk(tmp_path, monkeypatch):
    (tmp_path / ".update_000000001.safetensors.4711.tmp").write_bytes(b"half a checkpoint")
    (tmp_path / ".best.safetensors.4711.tmp").write_bytes(b"half a checkpoint")
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        module.os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_ino), fsync(descriptor))
    )
    folder = CheckpointFolder(tmp_path)
    folder.save_best(checkpoint(1))
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]
    assert folder.best.stat().st_ino in synced
