"""Files of DeepMind Lab: pictures are looked at before anything starts, compiled maps are kept."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import prefrontal.envs  # noqa: F401  # registers the tasks
import pytest
from dmlab_help import (
    link_pictures,
    make,
    spoil,
    towards,
)
from prefrontal.envs.dmlab.cache import LevelCache
from prefrontal.envs.dmlab.folder import PREFIX, GameFolder, sweep
from prefrontal.envs.dmlab.images import check_images
from prefrontal.envs.registry import TaskUnavailableError

pytestmark = pytest.mark.usefixtures("standin")


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
    link_pictures(pictures, tmp_path)
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


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's temporary folder, empty."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


HOLD = "from prefrontal.envs.dmlab.folder import GameFolder; held = GameFolder(); print(held.path, flush=True); input()"


def test_folders_of_games_go_with_the_game_its_process_or_the_next_game(temporary):
    held = GameFolder()
    others = [temporary / "dmlab_temp_folder_abc", temporary / f"new_{PREFIX}abc"]
    for folder in others:
        folder.mkdir()
    processes = [subprocess.Popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True) for _ in range(2)]
    paths = [Path(process.stdout.readline().strip()) for process in processes]
    (held.path / "baselab").mkdir()
    sweep()
    assert sorted(temporary.iterdir()) == sorted([*others, held.path, *paths])
    processes[0].send_signal(signal.SIGKILL)
    processes[1].communicate("\n")  # its end removes the folder
    processes[0].communicate()
    assert paths[0].exists()
    assert not paths[1].exists()
    GameFolder().remove()  # sweeps first
    assert sorted(temporary.iterdir()) == sorted([*others, held.path])
    held.remove()
    held.remove()
    assert sorted(temporary.iterdir()) == others


def test_a_game_leaves_no_folder_however_it_ends(temporary):
    env = make()
    assert list(temporary.iterdir()) == []
    env.check()
    assert list(temporary.iterdir()) == []
    env.reset(seed=1)
    (folder,) = temporary.iterdir()
    assert folder.name.startswith(PREFIX)
    assert [path.name for path in folder.iterdir()] == ["baselab"], "the game uses it"
    env.check()
    assert folder.exists(), "a game that plays is not closed"
    env.close()
    assert list(temporary.iterdir()) == []
    with pytest.raises(TaskUnavailableError):
        make(level="nowhere", images="").reset(seed=1)
    assert list(temporary.iterdir()) == []


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
