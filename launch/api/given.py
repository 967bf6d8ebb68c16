"""Values of Python as they are written on a command line: a setting is then checked there and here by the same code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...conf.checking import ConfigError
from ..overrides import quoted

_WORD = re.compile(r"(?!(?i:null|true|false|nan|inf)$)[a-zA-Z_][a-zA-Z0-9_]*")
"""A text that needs no quotes."""


def arguments_of(settings: Mapping[str, Any] | Sequence[str]) -> Iterator[str]:
    """Settings of a training as on its command line.

    Args:
        settings: values by full names (`algo.learning_rate`), where a mapping holds settings below its name; or what
            stands on a command line, one a text.

    Raises:
        ConfigError: for a value that no command line could hold.
    """
    if isinstance(settings, str) or not isinstance(settings, Mapping | Sequence):
        raise ConfigError(f"settings={settings!r}: a mapping of names to values, or a list of texts")
    if not isinstance(settings, Mapping):
        yield from map(str, settings)
        return
    for name, value in settings.items():
        value = plain(value)
        if isinstance(value, Mapping) and value:
            yield from arguments_of({f"{name}.{key}": item for key, item in value.items()})
        else:
            yield f"{name}={_written(name, value)}"


def plain(value: Any) -> Any:
    """A value without types of NumPy, without paths and ranges."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _written(name: str, value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else quoted(value)
    if isinstance(value, list):
        return f"[{','.join(_written(name, item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(name, item)}" for key, item in value.items()) + "}"
    raise ConfigError(f"{name}={value!r}: a number, text, truth value, None, or a list or mapping of these")
