"""From what a person wrote to settings, or to one line for each value that cannot be.

A line names the setting in full, the value, and what may stand there: `task.trials=abc: a whole number, at least 1`.
What may stand there is read off the declared types (`conf.settings`).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import pydantic
from annotated_types import Ge, Gt, Le, Lt

from .settings import LARGEST, LARGEST_RECORDED, is_settings

T = TypeVar("T")

MISSING = "???"
"""What stands in a YAML file for a value that has to be given."""

_LONGEST_SHOWN = 60
_UNSAID = (LARGEST, LARGEST_RECORDED)
"""Upper bounds that nobody needs to be told who stays below."""
_BOUNDS = {Ge: ("ge", "at least"), Gt: ("gt", "above"), Le: ("le", "at most"), Lt: ("lt", "below")}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", dict: "names with values"}
_PLURALS = {int: "whole numbers", float: "numbers", bool: "truth values", str: "texts"}


class ConfigError(ValueError):
    """A setting that cannot be; the message names it and what may stand there."""


def checked(cls: type[T], values: Mapping[str, Any], at: str = "") -> T:
    """Settings of the class `cls` with `values` over its defaults; nested settings are mappings.

    Args:
        cls: made by `settings.settings` (any other dataclass is made as it is).
        values: by the names of the fields.
        at: path to these settings, for messages: `task`.

    Raises:
        ConfigError: with a line for each value that cannot be, or unknown name.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{at}={shown(values)}: {expected(cls)}")
    hints = get_type_hints(cls, include_extras=True)
    known = [f.name for f in dataclasses.fields(cast("Any", cls)) if f.init]
    problems = [
        unknown(joined(at, name), (joined(at, other) for other in known)) for name in values if name not in known
    ]
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            continue
        hint = hints[name]
        if isinstance(value, str) and value == MISSING:
            problems.append(f"{joined(at, name)} has to be given: {expected(hint)}")
            continue
        try:
            given[name] = _nested(hint, value, joined(at, name))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        return cls(**given)
    except pydantic.ValidationError as error:
        lines = dict.fromkeys(_line(problem, given, hints, at) for problem in error.errors(include_url=False))
        raise ConfigError("\n".join(lines)) from None
    except (TypeError, ValueError) as error:  # of a dataclass that checks itself
        raise ConfigError(f"{at}: {error}" if at else str(error)) from error


def _nested(hint: Any, value: Any, at: str) -> Any:
    """The value of a field, settings made of what is there for settings, alone or in a list."""
    if is_settings(hint) and isinstance(value, Mapping):
        return checked(hint, value, at)
    if (item := _listed(hint)) is not None and isinstance(value, list | tuple):
        return tuple(checked(item, one, f"{at}[{i}]") for i, one in enumerate(value))
    return value


def _listed(hint: Any) -> type[Any] | None:
    """The settings of which a type holds any number."""
    if get_origin(hint) in (Union, UnionType):
        return next((item for kind in get_args(hint) if (item := _listed(kind)) is not None), None)
    base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    items = get_args(base)
    return items[0] if get_origin(base) is tuple and is_settings(items[0]) else None


def unknown(name: str, known: Iterable[str], what: str = "setting") -> str:
    """That there is no setting of this (full) name, what is closest to it, and what there is."""
    there = list(known)
    close = difflib.get_close_matches(name, there, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return f"{name}: there is no such {what}{hint} There is: {', '.join(there) or 'none'}"


def joined(at: str, name: str) -> str:
    """The full name of a setting."""
    return f"{at}.{name}" if at else name


def by_full_name(settings: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """Nested settings by their full names: `{"algo": {"discount": 0.9}}` -> `{"algo.discount": 0.9}`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        full = joined(at, name)
        flat |= by_full_name(value, full) if isinstance(value, Mapping) and value else {full: value}
    return flat


def shown(value: Any) -> str:
    """A value as it is written on a command line; the beginning of a long one."""
    if value is None:
        text = "null"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, list | tuple):
        text = f"[{','.join(shown(item) for item in value)}]"
    elif isinstance(value, Mapping):
        text = "{" + ",".join(f"{name}:{shown(item)}" for name, item in value.items()) + "}"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def expected(annotation: Any) -> str:
    """What may stand in a field with this type, in words."""
    if get_origin(annotation) in (Union, UnionType):
        return _one_of(get_args(annotation))
    if get_origin(annotation) is Literal:
        choices = [shown(choice) for choice in get_args(annotation)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if is_settings(annotation):
        return f"settings by name ({', '.join(f.name for f in dataclasses.fields(annotation))})"
    if get_origin(annotation) is Annotated and (words := [item for item in get_args(annotation) if type(item) is str]):
        return words[-1]
    base, bounds = _taken_apart(annotation)
    if get_origin(base) is tuple:
        return _several(get_args(base))
    if isinstance(base, type) and base is str:
        return bounds or _WORDS[str]
    word = _WORDS.get(get_origin(base) or base, "a value")
    return f"{word}, {bounds}" if bounds else word


def _one_of(kinds: Iterable[Any]) -> str:
    words: list[str] = []
    for kind in kinds:
        words += ["true", "false"] if kind is bool else ["null"] if kind is NoneType else [expected(kind)]
    return f"{', '.join(words[:-1])}, or {words[-1]}"


def _several(items: tuple[Any, ...]) -> str:
    if is_settings(items[0]):
        return f"a list of {expected(items[0])}"
    base, bounds = _taken_apart(items[0])
    word = _PLURALS.get(base, "values")
    number = "a list of" if items[-1] is Ellipsis else "a pair of" if len(items) == 2 else f"{len(items)}"
    return f"{number} {word}{f', each {bounds}' if bounds else ''}"


def _taken_apart(annotation: Any) -> tuple[Any, str]:
    """A type without its annotations, and the bounds that they set, in words."""
    if get_origin(annotation) is not Annotated:
        return annotation, ""
    base, *metadata = get_args(annotation)
    bounds: dict[type, Any] = {}
    for item in metadata:
        if type(item) in _BOUNDS:
            bounds[type(item)] = getattr(item, _BOUNDS[type(item)][0])
    low, high = bounds.get(Ge), bounds.get(Le)
    if low is not None and high is not None and high not in _UNSAID:
        return base, f"{low:g} to {high:g}" if isinstance(high, float) else f"{low} to {high}"
    words = [f"{_BOUNDS[kind][1]} {bound}" for kind, bound in bounds.items() if bound not in _UNSAID]
    return base, " and ".join(words)


def _line(problem: Any, given: Mapping[str, Any], hints: Mapping[str, Any], at: str) -> str:
    """One line of an error of pydantic."""
    if not problem["loc"]:  # of `__post_init__`
        return joined(at, str(problem["ctx"]["error"]))
    name = str(problem["loc"][0])
    if problem["type"] == "missing" and name not in given:
        return f"{joined(at, name)} has to be given: {expected(hints[name])}"
    most = problem.get("ctx", {}).get("le")
    too_large = f" and at most {most}" if most in _UNSAID else ""
    return f"{joined(at, name)}={shown(given[name])}: {expected(hints[name])}{too_large}"
