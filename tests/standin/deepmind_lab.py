"""Stands in for the package `deepmind_lab` where that is not installed: its Python interface with all its rules.

It refuses what the real one refuses, with the same types of error, holds the interpreter's lock during a step, prints
past Python's stdout, aborts the process for a picture that is missing or wrong, and can be neither pickled nor copied.
Behind it are small worlds (`standin_worlds.py`). Where the environment variable PREFRONTAL_PSYCHLAB_RECORDINGS names a
folder, episodes of Harlow's level whose seed and frame size were recorded there are replayed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile

import numpy as np
from standin_worlds import LEVELS, SETTINGS, recorded

_C = ctypes.PyDLL(None)  # does not release the lock, as the real one does not
STEP_US = 0
"""How long a step takes. Even a short sleep costs milliseconds where other processes wait for the core."""
_CLOSED, _NEW, _STARTED, _ENDED = range(4)


def version():
    return "1.0"


def runfiles_path():
    return os.path.dirname(__file__)  # noqa: PTH120


class Lab:
    # No weak references.
    __slots__ = ("_cache", "_config", "_episode", "_frames", "_observations", "_own_folder", "_status", "_world")

    def __init_subclass__(cls, **kwargs):
        raise TypeError("type 'deepmind_lab.Lab' is not an acceptable base type")

    def __init__(self, level, observations, config=None, renderer="software", level_cache=None, temp_folder=None):
        self._status, self._own_folder = _CLOSED, None
        for name, value, kind in (
            ("level", level, str),
            ("observations", observations, list),
            ("renderer", renderer, str),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"argument {name} must be {kind.__name__}, not {type(value).__name__}")
        config = {} if config is None else config
        if type(config) is not dict:
            raise TypeError(f"argument 3 must be dict, not {type(config).__name__}")
        if renderer not in ("software", "hardware", ""):
            raise RuntimeError(f'Failed to set renderer must be "hardware" or "software" actual "{renderer}"!')
        if any(not isinstance(text, str) for text in (*config, *config.values())):
            raise TypeError("bad argument type for built-in operation")
        for key in {"width", "height"} & set(config):
            if int(config[key]) % 4:
                text = f"'{key}' must be a positive multiple of 4. Actual {config[key]}"
                raise RuntimeError(f"Failed to apply setting '{key} = {config[key]}' - \"{text}\"")
        if temp_folder is None:
            temp_folder = self._own_folder = tempfile.mkdtemp(prefix="dmlab_temp_folder_")
        os.mkdir(f"{temp_folder}/baselab")  # noqa: PTH102
        self._status = _NEW
        scripts = f"{runfiles_path()}/baselab/game_scripts"
        if level not in LEVELS:
            text = f"Level not found: Failed to open file '{scripts}/levels/{level}.lua'"
            raise RuntimeError(f'Failed to init environment - "{text}"')
        for key, value in config.items():
            if key not in SETTINGS | LEVELS[level].settings:
                text = f'{scripts}/decorators/setting_overrides.lua:140: Invalid setting: "{key}" = "{value}"'
                raise RuntimeError(f'Failed to init environment - "{text}"')
        for name in observations:
            if name not in ("RGB_INTERLEAVED", "RGB_INTERLACED", "RGB"):
                raise ValueError(f"Unknown observation '{name}'.")
        for _ in range(6):  # never given back
            os.open(os.devnull, os.O_RDONLY)
        self._observations, self._config, self._cache = list(observations), dict(config), level_cache
        self._episode, self._frames = 0, 0
        self._world = LEVELS[level](config)

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle 'deepmind_lab.Lab' object")

    def reset(self, episode=-1, seed=None):
        if self._status == _CLOSED:
            raise RuntimeError("Failed to start environment")
        if seed is None:
            seed = int.from_bytes(os.urandom(3), "little")
        elif not isinstance(seed, int):
            raise ValueError(f"'seed' must be int or None, was '{type(seed).__module__}.{type(seed).__name__}'.")
        seed = ctypes.c_int(ctypes.c_long(seed).value).value
        if episode >= 0:
            self._episode = episode
        replay = recorded(self._config, seed) if self._world.recorded else None
        self._world = replay or LEVELS[self._world.level](self._config)
        try:
            told = self._world.start(self._episode, seed, self._cache)
        except AssertionError as error:
            raise RuntimeError(f'Failed to start environment - "{error}"') from None
        if self._config.get("logLevel") != "NEVER":
            os.write(1, b"".join(f"level: {line}\n".encode() for line in [*["loading"] * 44, told]))
        self._episode += 1
        self._frames, self._status = 0, _STARTED
        return True

    def is_running(self):
        return self._status == _STARTED

    def num_steps(self):
        return self._frames

    def fps(self):
        return 60

    def step(self, action, num_steps=1):
        if not isinstance(action, np.ndarray):
            raise TypeError(f"argument 1 must be numpy.ndarray, not {type(action).__name__}")
        if self._status != _STARTED:
            raise RuntimeError("Environment in wrong status to advance.")
        if action.shape != (7,):
            raise ValueError("action must have shape (7)")
        if action.dtype != np.intc:
            raise ValueError("action must have dtype np.intc")
        # Seven numbers from where the array begins: strides are not looked at.
        numbers = list((ctypes.c_int * 7).from_address(action.ctypes.data))
        if STEP_US:
            _C.usleep(STEP_US)
        reward = self._world.advance(numbers, num_steps)
        self._frames += num_steps
        self._status = _STARTED if self._world.running else _ENDED
        return float(reward)

    def observations(self):
        if self._status != _STARTED:
            raise RuntimeError("Environment in wrong status for call to observations()")
        frame = self._world.picture()
        if "RGB_INTERLACED" in self._observations:
            os.write(2, b"Using deprecated observation format: 'RGB_INTERLACED'\n")
        shapes = dict.fromkeys(("RGB_INTERLEAVED", "RGB_INTERLACED"), frame)
        shapes["RGB"] = np.ascontiguousarray(frame.transpose(2, 0, 1))
        return {name: shapes[name].copy() for name in self._observations}

    def events(self):
        if self._status not in (_STARTED, _ENDED):
            raise RuntimeError("Environment in wrong status for call to events()")
        return list(self._world.events)

    def action_spec(self):
        names = ("LOOK_LEFT_RIGHT_PIXELS_PER_FRAME", "LOOK_DOWN_UP_PIXELS_PER_FRAME", "STRAFE_LEFT_RIGHT")
        names += ("MOVE_BACK_FORWARD", "FIRE", "JUMP", "CROUCH")
        bounds = [(-512, 512)] * 2 + [(-1, 1)] * 2 + [(0, 1)] * 3
        return [{"name": name, "min": low, "max": high} for name, (low, high) in zip(names, bounds, strict=True)]

    def close(self):
        was_open, self._status = self._status != _CLOSED, _CLOSED
        if was_open and self._own_folder:
            shutil.rmtree(self._own_folder)  # one that it was given stays, with all that is in it
        return was_open

    def __del__(self):
        self.close()
