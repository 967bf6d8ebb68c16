"""What the tests of DeepMind Lab share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from PIL import Image
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.envs import registry
from prefrontal.models.agent import ModelConfig

STANDIN = Path(__file__).parents[1] / "standin"
INSTALLED = importlib.util.find_spec("deepmind_lab") is not None
"""Whether the real one is here."""
MODEL = ModelConfig(hidden_sizes=(8,))
SMALL = {"width": 24, "height": 16}
HARLOW = {"level": "harlow", "images": "dummy", "actions": "turn", **SMALL}
NOTHING = 2
"""The action of the set `turn` that does nothing."""


def make(**options):
    return registry.make_vector("dmlab", 1, **{**HARLOW, **options})


def towards(env):
    """The action of `turn` that brings the gaze to the cross or to the left picture (the stand-in tells where)."""
    world = env.game._lab._world
    goal = -17.0 if world.shown == "pictures" else 0.0
    step = 4 * env.settings.turn * 0.1056
    return NOTHING if abs(world.yaw - goal) <= step / 2 else int(world.yaw < goal)


def link_pictures(source, folder):
    """The same pictures in another folder."""
    folder.mkdir(exist_ok=True)
    for path in source.glob("????.png"):
        (folder / path.name).hardlink_to(path)


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


def spec(**options):
    """Of a worker that plays Harlow's level, unless the options say otherwise."""
    return WorkerSpec("dmlab", {**HARLOW, **options}, MODEL, num_envs=1, unroll_length=20, seed=0, actor_id=0)


def worker(**options):
    return RolloutWorker(spec(**options))
