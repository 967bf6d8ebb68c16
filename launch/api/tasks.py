"""`prefrontal.tasks` and `prefrontal.make`: the tasks, and environments of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from ...conf.checking import ConfigError, checked
from ...conf.settings import Count, Text, settings
from ...envs import registry
from ...envs.vector import VectorTask
from .given import plain

if TYPE_CHECKING:
    from pandas import DataFrame


@settings
class MakeSettings:
    """Arguments of `make`."""

    task: Annotated[Text, "the name of a task"]
    num_envs: Count = 1
    render_mode: Literal["rgb_array", "ansi"] | None = None


def make(task: str, num_envs: int = 1, render_mode: str | None = None, **task_settings: Any) -> VectorTask:
    """B = `num_envs` episodes of a task side by side: a `gymnasium.vector.VectorEnv` on NumPy arrays.

    `reset(seed=...)` gives observations `[B, ...]` and an empty info; `step(actions)` takes actions `[B, ...]` and
    gives observations, rewards `[B]`, terminated `[B]`, truncated `[B]` and info. An episode that ends is followed at
    once by the next (same-step autoreset): its real last observation lies in `info["final_obs"]`, in the rows of
    `info["_final_obs"]`. `info` has the keys of `info_spec`, arrays `[B]` of the task's truth: the number of the trial,
    where one was completed (`trial_done`), and what it was about; agents do not see it.

    Args:
        task: its name, or `package.module:TASK` of your own.
        num_envs: B.
        render_mode: of `render`, which shows the first episode.
        **task_settings: options of the task (`task.<name>` on the command line).

    Raises:
        ConfigError: for a task or an option that there is not, or a value that cannot be.
        TaskUnavailableError: where what the task is played with is not on this machine.

    Example:
        >>> env = prefrontal.make("bandit", 64, arms="hard")
        >>> obs, _ = env.reset(seed=0)
        >>> obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
    """
    given = {"task": task, "num_envs": plain(num_envs), "render_mode": render_mode}
    told = checked(MakeSettings, given)
    try:
        return registry.make_vector(told.task, told.num_envs, told.render_mode, **plain(task_settings))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def tasks() -> DataFrame:
    """The tasks by name, in alphabetical order: `summary`, `paper` and `gymnasium_id`, which `gymnasium.make` takes."""
    from pandas import DataFrame, Index

    found = registry.tasks().values()
    told = {"summary": "summary", "paper": "paper", "gymnasium_id": "gym_id"}
    columns = {title: [getattr(task, name) for task in found] for title, name in told.items()}
    return DataFrame(columns, index=Index([task.name for task in found], name="task"))
