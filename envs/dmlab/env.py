"""Any level of DeepMind Lab as a task: pixels, one episode a process, new trials told by the level's own events.

Two things differ from the tasks that are played by NumPy. The frame at the end of an episode cannot be read: where the
game ends one, `final_obs` is the last frame seen, at most `action_repeat` frames old. And a game cannot be put back
into the middle of an episode: after a resume new episodes begin. The same seeds give the same episodes in a new
process only.

An end by the level is a termination, unless its clock ran out (`clock_frames`): that is a truncation, and so is a cut
after `max_frames`. Each row of the table of trials is a trial that was answered (levels of PsychLab say so) or,
with `responded` False, the end of an episode that did not end with an answer.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete

from ...conf.settings import Count, CountOrZero, Text, settings
from ..vector import Array, Mask, VectorTask
from .actions import ActionSet, action_table
from .events import FRAMES_PER_SECOND, Event, Response, responses
from .game import LARGEST_SEED, Game, Renderer
from .levels import find_level


@settings
class DMLabSettings:
    """Options of the task; see `conf/task/dmlab.yaml`.

    Raises:
        ValueError: for a value that cannot be.
    """

    level: Text = "seekavoid_arena_01"
    width: Count = 84
    height: Count = 84
    action_repeat: Count = 4
    actions: ActionSet = "impala"
    turn: Count = 20
    max_frames: CountOrZero = 0
    clock_frames: CountOrZero | None = None
    images: str = ""
    cache: str = ""
    renderer: Renderer = "software"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        action_table(self.actions, self.turn)

    @property
    def clock(self) -> int:
        """Frames after which the level's own clock ends an episode; 0: not known."""
        return find_level(self.level).clock_frames if self.clock_frames is None else self.clock_frames


def as_text(value: Any) -> str:
    """A setting as the level scripts read it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class DMLabEnv(VectorTask):
    """One episode. Observation: a frame [H, W, 3], uint8. Actions: the rows of an action set's table.

    Raises:
        ValueError: if asked for more than one episode.
        TaskUnavailableError: if the game or a picture that the level needs is not on this machine.
    """

    metadata: ClassVar[dict[str, Any]] = {**VectorTask.metadata, "render_fps": 15}  # type: ignore[misc]
    restorable = False
    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "responded": np.bool_,
        "correct": np.bool_,
        "chose_right": np.bool_,
        "rewarded_right": np.bool_,
        "reaction_frames": np.int32,
        "ended": np.bool_,
        "episode_return": np.float32,
    }

    def __init__(self, settings: DMLabSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        if num_envs != 1:
            raise ValueError(
                f"dmlab: a process plays one episode, not {num_envs}: DeepMind Lab holds the interpreter for the whole "
                "of a step, so that several in one process would only wait for each other; set actors.envs=1 and "
                "evaluate.envs=1, and take more actors (actors.num)"
            )
        self.settings = settings
        table = action_table(settings.actions, settings.turn)
        self.game = Game(
            settings.level,
            table,
            width=settings.width,
            height=settings.height,
            action_repeat=settings.action_repeat,
            images=settings.images,
            cache=settings.cache,
            renderer=settings.renderer,
            options={key: as_text(value) for key, value in settings.options.items()},
        )
        self.metadata = {**self.metadata, "render_fps": FRAMES_PER_SECOND / settings.action_repeat}  # type: ignore[misc]
        self._set_spaces(Box(0, 255, (settings.height, settings.width, 3), np.uint8), Discrete(len(table)))
        self.events: list[Event] = []
        """What the level told in the last step, as it told it."""
        self._trial = 0
        self._return = 0.0
        self._last_reward = 0.0

    def _begin(self, which: Mask) -> None:  # noqa: ARG002  # there is one row
        self.game.reset(int(self.rng.integers(LARGEST_SEED)))
        self._trial, self._return = 0, 0.0

    def _observe(self) -> Array:
        return self.game.frame[None].copy()

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        step = self.game.step(int(action[0]))
        self.events, self._last_reward = step.events, step.reward
        self._return += step.reward
        frames, settings = self.game.frames, self.settings
        over = not step.running
        out_of_time = over and 0 < settings.clock <= frames
        cut = not over and 0 < settings.max_frames <= frames
        answered = responses(step.events)
        info = self._info(answered[-1] if answered else None, over or cut)
        self._trial += bool(answered)
        terminated = np.array([over and not out_of_time])
        return np.array([step.reward], dtype=np.float32), terminated, np.array([cut or out_of_time]), info

    def _info(self, response: Response | None, ended: bool) -> dict[str, Array]:
        values: dict[str, Any] = {
            "trial": self._trial,
            "trial_done": response is not None or ended,
            "responded": response is not None,
            "correct": response is not None and response.correct,
            "chose_right": response is not None and response.chose_right,
            "rewarded_right": response is not None and response.rewarded_right,
            "reaction_frames": -1 if response is None else response.reaction_frames,
            "ended": ended,
            "episode_return": self._return,
        }
        return {key: np.array([values[key]], dtype=dtype) for key, dtype in self.info_spec.items()}

    def check(self) -> None:
        """See `VectorTask.check`."""
        self.game.check()

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002  # Gymnasium's signature
        """End the game."""
        self.game.close()

    def _render_rgb(self) -> Array:
        return self.game.frame.copy()

    def _render_ansi(self) -> str:
        shades = np.array(list(" .:-=+*#%@"))
        height, width, _ = self.game.frame.shape
        rows = np.linspace(0, height - 1, 28).astype(int)
        columns = np.linspace(0, width - 1, 64).astype(int)
        grey = self.game.frame[rows][:, columns].astype(float).mean(-1)
        picture = "\n".join("".join(line) for line in shades[(grey * len(shades) / 256).astype(int)])
        return f"{picture}\ntrial {self._trial + 1}   reward {self._last_reward:+.1f}   total {self._return:+.1f}"
