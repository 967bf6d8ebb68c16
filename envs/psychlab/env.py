"""PsychLab's Harlow task on our own screen, behind the interface of all tasks: a shell around `screen.Screen`.

DeepMind Lab's level `contributed/psychlab/harlow` (Leibo et al. 2018; after Harlow 1949 and Wang et al. 2016, 2018),
without the game: look at the cross for four frames, then at one of two pictures. Which one pays stays the same for
the episode; its side changes. Actions and options are those of the real one, so that an agent moves between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from ..vector import Array, Mask, VectorTask
from .machine import Machine
from .options import PsychLabSettings
from .screen import Screen
from .view import View

FRAMES_PER_SECOND = 60

_RENDERED = 336
"""Side of rendered frames, for videos and players."""
_DISPLAYS = ("blank", "cross", "pictures")
_SCREEN = "screen."


class ScreenEnv(VectorTask):
    """B episodes on the CPU; see `Screen`."""

    info_spec: ClassVar = Screen.info_spec

    def __init__(self, settings: PsychLabSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self.metadata = {**self.metadata, "render_fps": FRAMES_PER_SECOND / settings.step_frames}
        self.screen = Screen(settings, num_envs, torch.device("cpu"), lazily=True)
        self._set_spaces(self.screen.single_observation_space, self.screen.single_action_space)
        self._large: View | None = None
        self._total = np.zeros(num_envs, dtype=np.float32)
        self._last = np.zeros(num_envs, dtype=np.float32)
        self._seen = torch.zeros(num_envs, *self.screen.single_observation_space.shape, dtype=torch.uint8)
        """The views, where they are not stale."""
        self._stale = torch.ones(num_envs, dtype=torch.bool)

    @property
    def machine(self) -> Machine:
        """The rules, for baselines that are told the truth."""
        return self.screen.machine

    def _begin(self, which: Mask) -> None:
        numbers = self.rng.random((self.num_envs, self.screen.numbers))
        self.screen.begin(torch.from_numpy(which), torch.from_numpy(numbers))
        self._total[which] = self._last[which] = 0
        self._stale |= torch.from_numpy(which)

    def _observe(self) -> Array:
        rows = torch.nonzero(self._stale).squeeze(1)
        if len(rows) == self.num_envs:
            self._seen = self.screen.observe()
        elif len(rows):
            self._seen[rows] = self.screen.observe(rows)
        self._stale[:] = False
        return self._seen.numpy().copy()

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        played = self.screen.advance(torch.from_numpy(np.asarray(action, dtype=np.int64)))
        self._stale[:] = True
        reward = played.reward.numpy()
        self._total += reward
        self._last = reward.copy()
        info = {name: column.numpy() for name, column in played.info.items()}
        return reward, played.terminated.numpy(), played.truncated.numpy(), info

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """See `VectorTask.state`."""
        arrays, rng_state = super().state()
        return arrays | {_SCREEN + name: value for name, value in self.screen.state().items()}, rng_state

    def restore(self, arrays: Mapping[str, Array], rng_state: Mapping[str, Any]) -> None:
        """See `VectorTask.restore`."""
        super().restore({name: value for name, value in arrays.items() if not name.startswith(_SCREEN)}, rng_state)
        self.screen.restore({n.removeprefix(_SCREEN): a for n, a in arrays.items() if n.startswith(_SCREEN)})
        self._stale[:] = True

    def _render_rgb(self) -> Array:
        if self._large is None:
            self._large = self.screen.view_of(_RENDERED)
        return self.screen.draw(self._large, torch.zeros(1, dtype=torch.long))[0].numpy()

    def _render_ansi(self) -> str:
        pixels = self._seen[0].numpy() if not self._stale[0] else self._observe()[0]
        shades = np.array(list(" .:-=+*#%@"))
        rows, columns = (np.linspace(0, len(pixels) - 1, n).astype(int) for n in (26, 56))
        grey = pixels[rows][:, columns].astype(float).mean(-1)
        picture = "\n".join("".join(line) for line in shades[(grey * len(shades) / 256).astype(int)])
        state = self.machine.state
        trial = min(int(state.trial[0]) + 1, self.settings.trials)
        shown = _DISPLAYS[int(state.display[0])]
        paid = f"   {self._last[0]:+.1f}" if self._last[0] else ""
        return f"{picture}\ntrial {trial} of {self.settings.trials}   {shown}   total {self._total[0]:+.1f}{paid}"
