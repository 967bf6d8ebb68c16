"""The stand-in of `deepmind_lab` refuses what the real one refuses; where that is installed, it is asked too."""

from __future__ import annotations

import copy
import pickle
import threading
import time
import weakref

import numpy as np
import prefrontal.envs  # noqa: F401  # registers the tasks
import pytest
from dmlab_help import (
    make,
)

pytestmark = pytest.mark.usefixtures("standin")
NO_ACTION = np.zeros(7, dtype=np.intc)
MISUSES = {
    "config number": (TypeError, lambda m: m.Lab("seekavoid_arena_01", [], config={"width": 84})),
    "config list": (TypeError, lambda m: m.Lab("seekavoid_arena_01", [], config=["width"])),
    "observations tuple": (TypeError, lambda m: m.Lab("seekavoid_arena_01", ("RGB_INTERLEAVED",))),
    "observation": (ValueError, lambda m: m.Lab("seekavoid_arena_01", ["RGBA"])),
    "level": (RuntimeError, lambda m: m.Lab("seekavoid", [])),
    "key": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", [], config={"with": "84"})),
    "size": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", [], config={"width": "30"})),
    "renderer": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", [], renderer="vulkan")),
    "pickle": (TypeError, lambda m: pickle.dumps(started(m))),
    "copy": (TypeError, lambda m: copy.copy(started(m))),
    "deepcopy": (TypeError, lambda m: copy.deepcopy(started(m))),
    "weak reference": (TypeError, lambda m: weakref.ref(started(m))),
    "subclass": (TypeError, lambda m: type("Mine", (m.Lab,), {})),
    "attribute": (AttributeError, lambda m: setattr(started(m), "name", 1)),
    "seed": (ValueError, lambda m: started(m).reset(seed=np.int64(3))),
    "no pictures": (RuntimeError, lambda m: m.Lab("contributed/psychlab/harlow", []).reset(seed=1)),
    "step before reset": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", []).step(NO_ACTION)),
    "events before reset": (RuntimeError, lambda m: m.Lab("seekavoid_arena_01", []).events()),
    "action list": (TypeError, lambda m: started(m).step([0] * 7)),
    "action dtype": (ValueError, lambda m: started(m).step(np.zeros(7, dtype=np.int64))),
    "action shape": (ValueError, lambda m: started(m).step(np.zeros(6, dtype=np.intc))),
    "step after end": (RuntimeError, lambda m: ended(m).step(NO_ACTION)),
    "frame after end": (RuntimeError, lambda m: ended(m).observations()),
    "frame after close": (RuntimeError, lambda m: closed(m).observations()),
    "step after close": (RuntimeError, lambda m: closed(m).step(NO_ACTION)),
}


def started(module):
    lab = module.Lab("seekavoid_arena_01", ["RGB_INTERLEAVED"], config={"width": "16", "height": "16"})
    lab.reset(seed=1)
    return lab


def ended(module):
    lab = started(module)
    lab.step(NO_ACTION, num_steps=100_000)
    assert not lab.is_running()
    assert lab.events() == []
    return lab


def closed(module):
    lab = started(module)
    assert lab.close()
    assert not lab.close()
    return lab


@pytest.mark.parametrize("name", MISUSES)
def test_standin_refuses(standin, name):
    error, misuse = MISUSES[name]
    with pytest.raises(error):
        misuse(standin)


def test_standin_holds_the_lock_and_speaks_past_python(standin, capfd, monkeypatch):
    lab = standin.Lab("contributed/psychlab/harlow", [], config={"datasetPath": "dummy"})
    lab.reset(seed=1)
    assert "corrID=" in capfd.readouterr().out
    monkeypatch.setattr(standin, "STEP_US", 300_000)
    ticks = []
    thread = threading.Thread(target=lambda: [ticks.append(time.monotonic()) or time.sleep(0.01) for _ in range(20)])
    thread.start()
    before = time.monotonic()
    lab.step(NO_ACTION)
    after = time.monotonic()
    thread.join()
    assert after - before >= 0.3
    assert not [tick for tick in ticks if before + 0.02 < tick < after - 0.02], "another thread ran during the step"


def test_the_old_name_of_the_frame_prints_a_line_at_each_reading(standin, capfd):
    lab = standin.Lab("seekavoid_arena_01", ["RGB_INTERLACED"], config={"logLevel": "NEVER"})
    lab.reset(seed=1)
    for _ in range(2):
        lab.observations()
    assert capfd.readouterr().err.splitlines() == ["Using deprecated observation format: 'RGB_INTERLACED'"] * 2


@pytest.mark.dmlab
@pytest.mark.parametrize("level", ["seekavoid_arena_01", "harlow"])
def test_the_real_game_plays(level):
    env = make(level=level, images="dummy" if level == "harlow" else "", width=84, height=84, max_frames=2000)
    obs, _ = env.reset(seed=1)
    assert obs.shape == (1, 84, 84, 3)
    ends = 0
    for action in np.random.default_rng(0).integers(3, size=1100):
        obs, reward, *_, info = env.step(np.array([action]))
        assert np.isfinite(reward).all()
        assert obs.std() > 1
        ends += int(info["ended"][0])
    assert ends >= 1
    env.close()


@pytest.mark.dmlab
def test_the_real_game_refuses_what_the_standin_refuses(standin):
    for name, (error, misuse) in MISUSES.items():
        with pytest.raises(error):
            misuse(standin)
            pytest.fail(name)
