"""Settings composed by Hydra outside of its applications; its errors in a person's words."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.version import VersionBase
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from ..conf.checking import joined, unknown

_GRAMMAR = (
    "a setting is name=value; what holds spaces, brackets or commas stands in quotes that the shell leaves alone: "
    "\"name='value'\""
)


_ONE_AT_A_TIME = threading.Lock()

_OF_AN_APPLICATION = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)
"""What Hydra keeps one of in a process."""


def composed(name: str, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
    """The settings of the file `name` in `conf/` with overrides, and what Hydra says of itself.

    Whatever Hydra holds for an application that runs in this process stays as it is. Threads may call this.

    Raises:
        HydraException, OmegaConfBaseException, ValueError: see `explained`.
    """
    with _ONE_AT_A_TIME, _hydra_of_our_own():
        with initialize_config_module("prefrontal.conf", version_base="1.3"):
            found = compose(name, list(overrides), return_hydra_config=True)
        hydra = found.hydra
        with open_dict(found):
            del found["hydra"]
    return found, hydra


@contextlib.contextmanager
def _hydra_of_our_own() -> Iterator[None]:
    """Without the state of an application, which is there again afterwards."""
    Plugins.instance()  # what it finds stays
    before = Singleton._instances
    Singleton._instances = {kind: one for kind, one in before.items() if kind not in _OF_AN_APPLICATION}
    try:
        yield
    finally:
        Singleton._instances = before


def explained(error: BaseException, asked: Sequence[str]) -> str | None:
    """What was wrong with the command line or the YAML files; None for an error that is not Hydra's or OmegaConf's.

    Args:
        error: any.
        asked: overrides that were given.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return unknown(f"{group}={name}", (f"{group}={option}" for option in error.options), "choice")
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not understood; {_GRAMMAR}"
    cause = error.__cause__
    if isinstance(error, HydraException) and isinstance(cause, OmegaConfBaseException) and cause.full_key:
        named = re.match(r"Could not override '(.+?)'", str(error))
        return _of_a_setting(cause, named[1] if named else "")
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {_first_line(error)}"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _of_several_values(str(error)) or " ".join(str(error).split())
    if isinstance(error, ValueError) and _raised_by_hydra(error.__traceback__):
        return f"{_first_line(error)} (in: {' '.join(asked)})"
    return None


def _of_several_values(text: str) -> str | None:
    found = re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'", text)
    if found is None:
        return None
    return f"{found[1]}: several values are tried one by one with -m; a list stands in brackets, text in quotes"


def _of_a_setting(cause: OmegaConfBaseException, asked: str) -> str:
    parent = cause.parent_node
    if not isinstance(parent, Mapping) or cause.key in parent:
        return f"{cause.full_key}: {_first_line(cause)}"
    name, above = str(cause.full_key), str(cause.full_key).rpartition(".")[0]
    return unknown(asked or name, (joined(above, str(other)) for other in parent if other != "hydra"))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _raised_by_hydra(traceback: TracebackType | None) -> bool:
    """Whether an error of no special type was raised in Hydra's own code."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get("__name__", "") if traceback is not None else ""
    return str(module).partition(".")[0] in ("hydra", "omegaconf")
