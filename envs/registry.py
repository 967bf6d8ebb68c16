"""Name -> task. Every folder of this package that defines `TASK` is a task; nothing else has to be told of it.

A folder holds `env.py` (the settings and the environment), `baselines.py` (ideal observer, random, classical
agents) and `analysis.py` (behaviour measures, reference values, figures); its `__init__.py` ties them together
in one `Task`. Light tasks are registered with Gymnasium on import of `prefrontal.envs`.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from ..conf.checking import checked
from .behaviour.model import ChoiceModel, Learner
from .tables import TableForm
from .trials import Baseline, Evaluation, Reference, Trials
from .vector import SingleTask, VectorTask

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from .tensors import TensorTask


class UnknownTaskError(ValueError):
    """Raised for a name that no task has."""


class TaskUnavailableError(RuntimeError):
    """What a task is played with (a package, files) is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Task:
    """All that the rest of the system knows of a task."""

    name: str
    gym_id: str
    summary: str
    """One line for `prefrontal tasks`."""
    paper: str
    settings: type[Any]
    """The task's options with their defaults and ranges, made by `conf.settings.settings`."""
    make: Callable[..., VectorTask]
    """`make(settings, num_envs, render_mode=None)`."""
    actions: tuple[str, ...] | Callable[[Any], tuple[str, ...]]
    """Names of the actions, for `play` and for films; a function of the settings where these decide which there are."""
    baselines: Mapping[str, Callable[[VectorTask], Baseline]]
    """Agents to compare with, by name; each factory gets the environment that the agent is going to play."""
    summarise: Callable[[Trials, Any], dict[str, Any]]
    """Behaviour measures of a table of trials, by the names of `results.json`: numbers, lists or dicts of numbers."""
    analyse: Callable[[Trials, Any], dict[str, Any]]
    """Slower measures (regressions, tests) of whole evaluations; joined to those of `summarise` in `results.json`."""
    references: Callable[[Any], Sequence[Reference]]
    """Ideal and published values of the same measures, for the settings given."""
    figures: Callable[[Sequence[Evaluation], Any], Iterable[tuple[str, Figure]]]
    """Figures of one or several evaluated seeds by name, main figure first; each is drawn when it is asked for."""
    headline: str = field(default="reward_per_trial")
    """The measure (a scalar of `summarise`) that tells how far training is."""
    compared: tuple[str, ...] = field(default=())
    """Scalars of `summarise` in which agents are tested against each other; empty: the headline."""
    side_by_side: bool = field(default=False)
    """Whether `figures` shows several agents (`Evaluation.group`) side by side; if not, each gets its own figures."""
    tensors: Callable[[Any], Callable[..., TensorTask] | None] = field(default=lambda _: None)
    """What plays it on a torch device with the settings given, `(settings, num_envs, device)`; None if nothing does."""
    alone: Callable[[Any], bool] = field(default=lambda _: False)
    """Whether a process plays no more than one episode of it at a time, for the settings given."""
    models: Callable[[Any], Sequence[ChoiceModel]] = field(default=lambda _: ())
    """Models of choices that can be fitted to its trials, for the settings given."""
    player: Callable[[VectorTask, Learner, np.random.Generator], Baseline] | None = field(default=None)
    """What plays an environment by such a model, a row a session; None where there are no models."""
    table: TableForm | None = field(default=None)
    """What it needs of a table of trials that others made; None: such tables are not read."""
    coded: tuple[str, ...] = field(default=())
    """What is looked for in the activity of units unless somebody asks for something else: columns of the table of
    trials, `previous_<column>` for those of the trial before, products (`choice*previous_reward`); the first two that
    take few values tell conditions apart. Empty: all columns."""
    life: tuple[str, ...] = field(default=())
    """Options that say how an agent meets the task (for how many episodes, whether their start is told) and not what it
    is: runs in one figure may differ in them."""
    condition: str = field(default="")
    """Column of the table of trials by whose values memory measures (gate, hits) are told apart; empty: none."""

    def action_names(self, settings: Any) -> tuple[str, ...]:
        """Names of the actions that there are with these settings; empty if they are not known."""
        return self.actions(settings) if callable(self.actions) else self.actions

    def configure(self, options: Mapping[str, Any] | None = None, at: str = "task") -> Any:
        """The task's settings with `options` over the defaults.

        Args:
            options: by the names of the settings' fields.
            at: path to them, for messages.

        Raises:
            ConfigError: a ValueError, for an option that the task does not have (lists those it has) or a bad value.
        """
        return checked(self.settings, options or {}, at)


@functools.cache
def tasks() -> Mapping[str, Task]:
    """All tasks by name, in alphabetical order."""
    package = importlib.import_module(__package__ or "")
    found: dict[str, Task] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg:
            task = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "TASK", None)
            if isinstance(task, Task):
                found[task.name] = task
    return dict(sorted(found.items()))


def get(name: str) -> Task:
    """The task called `name`, or a task of your own: `package.module:ATTRIBUTE`.

    Raises:
        UnknownTaskError: listing the tasks there are.
    """
    module, _, attribute = name.partition(":")
    if attribute:
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except ModuleNotFoundError as error:
            raise UnknownTaskError(f"the task '{name}' cannot be imported: {error}; is it on PYTHONPATH?") from error
        if not isinstance(found, Task):
            raise UnknownTaskError(f"{module} has no Task called {attribute}")
        return found
    try:
        return tasks()[name]
    except KeyError:
        close = difflib.get_close_matches(name, tasks(), n=1)
        hint = f"; did you mean {close[0]}? The" if close else "; the"
        raise UnknownTaskError(
            f"there is no task '{name}'{hint} tasks are: {', '.join(tasks())} (or package.module:TASK for your own)"
        ) from None


def make_vector(task: str, num_envs: int = 1, render_mode: str | None = None, **options: Any) -> VectorTask:
    """B = `num_envs` episodes of a task side by side."""
    found = get(task)
    return found.make(found.configure(options), num_envs, render_mode=render_mode)


def tensor_task(task: str, **options: Any) -> Callable[[int, torch.device], TensorTask]:
    """What makes B episodes of a task on a torch device: `(num_envs, device)`.

    Raises:
        NoTensorTaskError: if nothing plays this task, with these options, there.
    """
    from .tensors import NoTensorTaskError

    found = get(task)
    settings = found.configure(options)
    make = found.tensors(settings)
    if make is None:
        able = ", ".join(name for name, other in tasks().items() if other.tensors(other.configure()) is not None)
        raise NoTensorTaskError(
            f"task '{task}' with these options is not written for the learner's device (these are, with their default "
            f"options: {able}): play it with actors.device=host"
        )
    return functools.partial(make, settings)


def make_single(task: str, render_mode: str | None = None, **options: Any) -> SingleTask:
    """One episode of a task as a plain Gymnasium environment."""
    return SingleTask(make_vector(task, 1, render_mode, **options))


def register_all() -> None:
    """Register every task with Gymnasium: `gymnasium.make(gym_id)` and `gymnasium.make_vec(gym_id, num_envs=B)`."""
    for task in tasks().values():
        gymnasium.register(
            id=task.gym_id,
            entry_point=f"{__name__}:make_single",
            vector_entry_point=f"{__name__}:make_vector",
            kwargs={"task": task.name},
        )
