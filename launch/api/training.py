"""`prefrontal.train`: what `prefrontal train` does, called from Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...conf.checking import ConfigError
from ..composing import composed
from ..overrides import overrides, quoted
from ..run.job import Job
from ..run.whole import whole_run
from .calling import Stopped, called
from .given import arguments_of
from .runs import Run


def train(
    task: str | None = None,
    *,
    seed: int | None = None,
    model: str | Mapping[str, Any] | None = None,
    algo: str | Mapping[str, Any] | None = None,
    experiment: str | None = None,
    env_steps: int | None = None,
    cluster: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    config_dir: str | os.PathLike[str] | None = None,
    **others: Any,
) -> Run:
    """Train an agent, evaluate it with frozen weights, draw the figures; as `prefrontal train` with the same settings.

    What is None is as on the command line, `cluster` too: a call and a command with the same settings make the same
    run. With `cluster="none"` that is bit for bit so, and nothing but this process computes.

    Progress and the table of results are printed. Ctrl-C or SIGTERM (in the main thread) ends the training after its
    update with a checkpoint, a second one at once; afterwards their handlers are what they were. Other threads may call
    this; Hydra, as an application here may use it, is not touched.

    Args:
        task: its name; see `prefrontal.tasks()`.
        seed: of everything random.
        model: the name of a core (`"gru"`), or settings of `model` by name (`{"hidden_sizes": [64]}`).
        algo: `"impala"`, `"a3c"`, `"a2c"`, `"ppo"`, or settings of `algo` by name.
        experiment: a paper's settings.
        env_steps: `run.env_steps`, the length of the training.
        cluster: `"local"` (a Ray on this machine), `"none"` (no Ray), `"auto"` or an address.
        folder: `run.folder`; by default a new one, `runs/<task>/<time>_train`.
        resume: a run to go on with, or its folder.
        settings: any others by their full names, `{"algo.learning_rate.start": 1e-3}`, or as on the command line,
            `["algo.learning_rate.start=1e-3"]`. They come after the arguments above.
        config_dir: a folder with files of settings of your own, as `--config-dir`.
        **others: more settings without a dot (`actors={"num": 4}`).

    Returns:
        The run, evaluated.

    Raises:
        ConfigError: for what cannot be; nothing was started.
        Stopped: a KeyboardInterrupt, after the checkpoint of a training that was asked to stop.
        RuntimeError: for failures in mid-run, such as actors that died too often or a loss that is not finite.

    Example:
        >>> run = prefrontal.train("bandit", env_steps=1_000_000, settings={"task.arms": "hard"})
        >>> run.results["reward_per_trial"]
    """
    first = {"experiment": experiment, "task": task, "model": model, "algo": algo, "seed": seed, "cluster": cluster}
    lengths = {"run.env_steps": env_steps, "run.folder": folder, "resume": resume}
    given = {name: value for name, value in {**first, **lengths}.items() if value is not None}
    with called():
        arguments = overrides("train", [*arguments_of(given), *arguments_of(others), *arguments_of(settings)])
    with called(arguments):
        found, hydra = composed("train", [*_search_path(config_dir), *arguments])
        ended = whole_run(found, Job.told(hydra, ("prefrontal.train", *arguments)))
    run = Run(ended.location)
    if not ended.finished:
        raise Stopped(run)
    return run


def _search_path(folder: str | os.PathLike[str] | None) -> list[str]:
    if folder is None:
        return []
    if not Path(folder).is_dir():
        raise ConfigError(f"config_dir={os.fspath(folder)}: there is no such folder")
    return [f"hydra.searchpath=[{quoted(f'file://{Path(folder).absolute()}')}]"]
