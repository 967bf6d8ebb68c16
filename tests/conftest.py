"""What several tests share: the tests' own modules on the path of Ray workers too, and one Ray for all of them."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest
import torch
from prefrontal.launch import environment

SUPPORT = str(Path(__file__).parent / "support")
sys.path.insert(0, SUPPORT)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (SUPPORT, os.environ.get("PYTHONPATH"))))
os.environ.setdefault("RAY_worker_niceness", "10")  # trainings that a test watches leave the cores to tests beside it
environment.set_for_good()  # as the program does: for Ray, and all processes that tests start
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ray_session():
    """One Ray with four (logical) CPUs for the whole session; starting it takes seconds."""
    import logging

    import ray

    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=256 * 2**20,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    yield ray
    ray.shutdown()


@pytest.fixture
def standin(request, monkeypatch):
    """The stand-in as `deepmind_lab`, here and in actors, which search where the driver does; else the real one."""
    if request.node.get_closest_marker("dmlab"):
        return pytest.importorskip("deepmind_lab", reason="deepmind_lab is not installed")
    monkeypatch.syspath_prepend(Path(__file__).parent / "standin")
    monkeypatch.setitem(sys.modules, "deepmind_lab", None)  # what stands here now comes back
    del sys.modules["deepmind_lab"]
    return importlib.import_module("deepmind_lab")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with all pictures of PsychLab's Harlow level, which are names of two files."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    for number, color in ((0, (200, 30, 30)), (1, (30, 200, 30))):
        Image.new("RGB", (256, 256), color).save(folder / f"{number}.png")
    for number in range(1, 1001):
        (folder / f"{number:04d}.png").hardlink_to(folder / f"{number % 2}.png")
    return folder
