"""From what a person wrote (id, module, options, wrappers) to one environment, or to an error in a line or two."""

from __future__ import annotations

import copy
import difflib
import importlib.util
import inspect
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from ...conf.checking import ConfigError, unknown
from ..registry import TaskUnavailableError
from .settings import GymnasiumSettings

Single = gymnasium.Env[Any, Any]

NEUROGYM = (
    "NeuroGym is installed with: pip install --no-deps neurogym, and pip install pydantic-settings loguru tomlkit "
    "natsort tqdm (its own requirements are older than ours; docs/gymnasium.md)"
)


def find_spec(settings: GymnasiumSettings) -> EnvSpec:
    """What Gymnasium knows of the environment, once the modules that register it are imported.

    Raises:
        TaskUnavailableError: for a module that cannot be imported.
        ConfigError: for an id that is not registered, with the closest ones.
    """
    if settings.module is not None:
        imported(settings.module, "task.module")
    module, _, name = settings.id.rpartition(":")
    if module:
        imported(module, "task.id")
    if name in gymnasium.registry:
        return gymnasium.registry[name]
    versions = [known for known in gymnasium.registry if known.rpartition("-v")[0] == name]
    close = versions or difflib.get_close_matches(name, gymnasium.registry, n=5, cutoff=0.5)
    closest = f"; the closest are: {', '.join(close)}" if close else ""
    raise ConfigError(
        f"task.id={settings.id}: Gymnasium has no environment of this name{closest}. What a package registers is there "
        "once it is imported: task.module=<package>, or task.id=<package.module>:<name>"
    )


def imported(module: str, setting: str) -> ModuleType:
    """A module that registers environments, or has wrappers.

    Raises:
        TaskUnavailableError: if it cannot be imported, and why.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        way = NEUROGYM if module.partition(".")[0] == "neurogym" else "is it installed, or on PYTHONPATH?"
        raise TaskUnavailableError(f"{setting}: {module} cannot be imported: {error}; {way}") from error
    except Exception as error:  # whatever the code of others does when it is imported
        raise TaskUnavailableError(
            f"{setting}: {module} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def make_single(settings: GymnasiumSettings, spec: EnvSpec, *, pictures: bool) -> Single:
    """One environment with the wrappers, and with the time limit that it is registered with, if there is no other.

    Args:
        settings: of the task.
        spec: of the environment.
        pictures: make it so that it can be rendered, if it can.

    Raises:
        ConfigError: for options or wrappers that it does not take.
        TaskUnavailableError: if a package that it needs is missing.
    """
    creator = _creator(spec)
    options = plain_lists(settings.options)
    named = _named_arguments(creator)
    if named is not None:
        _check_options(spec, options, named)
    modes = getattr(creator, "metadata", {}).get("render_modes") or ()
    if pictures and "rgb_array" in modes and (named is None or "render_mode" in named):
        options = {"render_mode": "rgb_array", **options}
    # NeuroGym's wrappers look at attributes of the environment itself, which nothing may stand before.
    bare = copy.deepcopy(spec)
    bare.order_enforce = False
    limit = None if settings.max_steps is None else -1
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*metadata doesn't include `render_modes`")  # most of NeuroGym's
            env: Single = gymnasium.make(bare, max_episode_steps=limit, disable_env_checker=True, **options)
    except gymnasium.error.DependencyNotInstalled as error:
        raise TaskUnavailableError(f"task.id={settings.id}: {error}") from error
    except Exception as error:  # whatever the constructor of others raises
        given = f" with task.options={options}" if settings.options else ""
        raise ConfigError(
            f"task.id={settings.id} cannot be made{given}: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    for wrapper in settings.wrappers:
        env = _wrapped(env, wrapper, settings)
    return env


def _creator(spec: EnvSpec) -> Callable[..., Any]:
    if spec.entry_point is None:
        raise ConfigError(f"task.id={spec.id} is registered without an entry point for single environments")
    if callable(spec.entry_point):
        return spec.entry_point
    try:
        creator: Callable[..., Any] = load_env_creator(spec.entry_point)
        return creator
    except Exception as error:
        raise TaskUnavailableError(
            f"task.id={spec.id}: {spec.entry_point} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _named_arguments(creator: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """The arguments of a constructor by name; None if it takes any."""
    # Of a class its own: that of a metaclass, as NeuroGym's have one, says nothing.
    function = creator.__init__ if inspect.isclass(creator) else creator
    parameters = dict(inspect.signature(function).parameters)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    parameters.pop("self", None)
    return parameters


def _check_options(spec: EnvSpec, options: Mapping[str, Any], named: Mapping[str, inspect.Parameter]) -> None:
    known = [f"task.options.{name}" for name in named if name != "render_mode"]
    wrong = [unknown(f"task.options.{name}", known, "option") for name in options if name not in named]
    missing = [
        f"task.options.{name}"
        for name, parameter in named.items()
        if parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_POSITIONAL
        and name not in {*options, *spec.kwargs}
    ]
    if missing:
        wrong.append(f"task.id={spec.id} has to be given: {', '.join(missing)}")
    if wrong:
        raise ConfigError("\n".join(wrong))


def _wrapped(env: Single, wrapper: str | Mapping[str, Any], settings: GymnasiumSettings) -> Single:
    arguments = {"name": wrapper} if isinstance(wrapper, str) else dict(plain_lists(wrapper))
    name = arguments.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"task.wrappers: a wrapper is a name, or {{name: ..., and its arguments}}, not {wrapper}")
    found = _find_wrapper(name, settings)
    try:
        return found(env, **arguments)
    except Exception as error:
        raise ConfigError(f"task.wrappers: {name} cannot be made: {type(error).__name__}: {error}") from error


def _find_wrapper(name: str, settings: GymnasiumSettings) -> type[gymnasium.Wrapper[Any, Any, Any, Any]]:
    module, _, attribute = name.rpartition(":")
    named = [imported(module, "task.wrappers")] if module else []
    places = named or [gymnasium.wrappers, *_wrapper_modules(settings.module)]
    known = {
        each: found
        for place in places
        for each, found in vars(place).items()
        if inspect.isclass(found) and issubclass(found, gymnasium.Wrapper)
    }
    if attribute in known:
        return known[attribute]
    close = difflib.get_close_matches(attribute, known, n=3)
    closest = f"; the closest are: {', '.join(close)}" if close else ""
    raise ConfigError(
        f"task.wrappers: there is no wrapper {name}{closest} "
        "(a name of gymnasium.wrappers or of the module's wrappers, or package.module:Name)"
    )


def _wrapper_modules(module: str | None) -> list[ModuleType]:
    """`task.module` itself, and where it has one its part `wrappers`, as NeuroGym does."""
    if module is None:
        return []
    found = imported(module, "task.module")
    inner = f"{module}.wrappers"
    if not hasattr(found, "__path__") or importlib.util.find_spec(inner) is None:
        return [found]
    return [found, imported(inner, "task.module")]


def plain_lists(value: Any) -> Any:
    """Settings as constructors expect them: tuples, as they are kept, become lists again."""
    if isinstance(value, Mapping):
        return {key: plain_lists(item) for key, item in value.items()}
    return [plain_lists(item) for item in value] if isinstance(value, tuple) else value
