"""One DeepMind Lab with plain arguments: the rules of its Python interface are kept here and nowhere else.

The game is made at the first `reset`, so that who only asks for sizes does not build it. It is one object a process:
`step` holds Python's interpreter lock for all its time, and the object cannot be pickled or copied. Installing it:
`docs/dmlab.md`.
"""

from __future__ import annotations

import importlib
import os
import platform
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..registry import TaskUnavailableError
from .actions import Table
from .cache import LevelCache
from .events import Event
from .folder import GameFolder
from .images import check_images
from .levels import find_level

Frame = NDArray[np.uint8]

OBSERVATION = "RGB_INTERLEAVED"
Renderer = Literal["software", "hardware"]
LARGEST_SEED = 2**31 - 1

MISSING = (
    "DeepMind Lab is not installed: Python finds no package deepmind_lab, and no registry has a wheel of it. Build it "
    "with Bazel from github.com/google-deepmind/lab (python/pip_package), or with the builder of the package "
    "dmlab-gym (pip install dmlab-gym && dmlab-gym build; Python 3.13 and Docker or Podman); see docs/dmlab.md"
)
BROKEN = (
    "deepmind_lab is installed, but Python {python} cannot load it ({error}). It must be built for this Python and its "
    "NumPy. Upstream's package needs Python 3.11 or older (later ones have no module imp) and what its wheel does not "
    "ask for: pip install 'setuptools<81' dm-env; see docs/dmlab.md"
)


class GameStep(NamedTuple):
    """What one action gave."""

    reward: float
    """Summed over the frames."""
    running: bool
    """False if the episode has ended. The frame at its end cannot be read: `Game.frame` stays the one before."""
    events: list[Event]
    """Of these frames; see `events.responses`."""


def load_module() -> Any:
    """The module `deepmind_lab`.

    Raises:
        TaskUnavailableError: if it is not there, with the ways to get it, or cannot be loaded, with what it may lack.
    """
    # Threads of the software renderer would fight with the other actors; read when the renderer is loaded.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        with warnings.catch_warnings(action="ignore"):  # its own imports are of modules that will go
            return importlib.import_module("deepmind_lab")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "deepmind_lab":
            raise TaskUnavailableError(MISSING) from error
        raise TaskUnavailableError(BROKEN.format(python=platform.python_version(), error=error)) from error


class Game:
    """Plays one level, episode after episode.

    Args:
        level: its path below `levels/`, or a short name (see `levels.SHORT_NAMES`).
        actions: table [A, 7] of `np.intc` (see `actions`).
        width: of a frame, in pixels.
        height: of a frame, in pixels.
        action_repeat: frames that an action lasts.
        images: folder of the pictures that PsychLab's levels show, or `dmlab.images.DUMMY`.
        cache: folder of compiled maps; empty: none.
        renderer: `software` (OSMesa) or `hardware` (EGL).
        options: further settings of the level, each value as text.

    Raises:
        TaskUnavailableError: if the module or a picture is missing or wrong.
        ValueError: for an argument that cannot be.
    """

    def __init__(
        self,
        level: str,
        actions: Table,
        *,
        width: int = 84,
        height: int = 84,
        action_repeat: int = 4,
        images: str = "",
        cache: str = "",
        renderer: Renderer = "software",
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.level = find_level(level)
        if cache and not Path(cache).expanduser().is_absolute():
            raise ValueError(f"dmlab: cache={cache} must be an absolute path: actors may run in another folder")
        self._module = load_module()
        # The game reads seven numbers from where a row begins, whatever the array's strides and type say.
        self._actions = np.ascontiguousarray(actions, dtype=np.intc)
        self._action_repeat = int(action_repeat)
        self._renderer = renderer
        self._cache = Path(cache).expanduser() if cache else None
        # At its usual level the game prints which picture is rewarded, among 45 lines an episode, past Python's stdout.
        self._config = {"width": str(width), "height": str(height), "logLevel": "NEVER"}
        path = check_images(images, self.level.images, self.level.name)
        if path:
            self._config["datasetPath"] = path
        self._config |= {str(key): str(value) for key, value in (options or {}).items()}
        self._lab: Any = None
        self._folder: GameFolder | None = None
        self.frame: Frame = np.zeros((height, width, 3), dtype=np.uint8)
        """The last frame seen, [H, W, 3]."""

    def check(self) -> None:
        """That the game takes the level and all settings: it is made and closed, and plays nothing.

        Raises:
            TaskUnavailableError: if the game does not know the level or an option, with its own words.
        """
        if self._lab is None:
            self._lab = self._make()
            self.close()

    def reset(self, seed: int) -> Frame:
        """Start an episode and return its first frame.

        Raises:
            TaskUnavailableError: see `check`.
        """
        if self._lab is None:
            self._lab = self._make()
        # A Python int: the game refuses NumPy's.
        self._lab.reset(seed=int(seed) & LARGEST_SEED)
        self.frame = self._observe()
        return self.frame

    def step(self, action: int) -> GameStep:
        """Play row `action` of the table for `action_repeat` frames, or until the episode ends."""
        reward = self._lab.step(self._actions[int(action)], num_steps=self._action_repeat)
        running = bool(self._lab.is_running())
        if running:
            self.frame = self._observe()
        return GameStep(float(reward), running, self._lab.events())

    @property
    def frames(self) -> int:
        """Frames asked for since the episode began."""
        return int(self._lab.num_steps())

    def close(self) -> None:
        """End the game; another `reset` would make a new one."""
        if self._lab is not None:
            self._lab.close()
            self._lab = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def _make(self) -> Any:
        cache = {} if self._cache is None else {"level_cache": LevelCache(self._cache)}
        self._folder = GameFolder()
        try:
            return self._module.Lab(
                self.level.name,
                [OBSERVATION],
                config=self._config,
                renderer=self._renderer,
                temp_folder=str(self._folder.path),
                **cache,
            )
        except RuntimeError as error:
            self.close()
            raise TaskUnavailableError(
                f"DeepMind Lab could not start the level {self.level.name} with {self._config}: {error}; "
                "see task.level and task.options"
            ) from error

    def _observe(self) -> Frame:
        frame: Frame = self._lab.observations()[OBSERVATION]
        return frame
