"""Train agents that learn how to learn, and look at what they do; see `docs/python.md`.

    import prefrontal

    run = prefrontal.train("two_step", algo="a2c", seed=1)
    run.results["stay_probability"]
    run.evaluate(episodes=500, common=0.9).trials

This folder is the package itself (`package-dir` in `pyproject.toml`): beside it lie the packages of the repository,
`prefrontal.envs` and the others. Nothing of them is imported before it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefrontal.conf.checking import ConfigError as ConfigError
    from prefrontal.launch.api.calling import Stopped as Stopped
    from prefrontal.launch.api.evaluations import Evaluation as Evaluation
    from prefrontal.launch.api.runs import Run as Run
    from prefrontal.launch.api.runs import load as load
    from prefrontal.launch.api.runs import runs as runs
    from prefrontal.launch.api.tasks import make as make
    from prefrontal.launch.api.tasks import tasks as tasks
    from prefrontal.launch.api.training import train as train

_PLACES = {
    "ConfigError": "conf.checking",
    "Evaluation": "launch.api.evaluations",
    "Run": "launch.api.runs",
    "Stopped": "launch.api.calling",
    "load": "launch.api.runs",
    "make": "launch.api.tasks",
    "runs": "launch.api.runs",
    "tasks": "launch.api.tasks",
    "train": "launch.api.training",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'prefrontal' has no attribute '{name}'; it has {', '.join(_PLACES)}")
    globals()[name] = found = getattr(import_module(f"prefrontal.{_PLACES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
