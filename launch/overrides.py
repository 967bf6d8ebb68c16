"""Settings of a command line as Hydra's grammar wants them."""

from __future__ import annotations

import re
from collections.abc import Sequence

PATHS = (
    *("run", "run.folder", "resume", "out", "data", "trials", "folder", "bench.out"),
    *("model.weights_from", "model.encoder_from"),
)
"""Settings whose values are taken as they are."""

ADDED = {
    "train": ("evaluate.task.",),
    "evaluate": ("task.",),
    "figures": ("task.", "columns.", "columns={"),
    "fit": ("task.", "columns.", "columns={"),
}
"""How settings begin, by verb, whose names Hydra is not told: options of a task that is known later, columns."""

OF_THE_RUN = ("task.", "model.", "algo.")
"""How those of a training begin that may be known to the run alone that it goes on with."""

ALONE = {"reproduce": "paper"}
"""By verb, the setting whose value may stand alone, as the first argument."""


def overrides(verb: str, arguments: Sequence[str]) -> list[str]:
    """Arguments of a command line as Hydra's grammar wants them; the first one may be a value that stands alone.

    Paths are quoted, since a run folder of a sweep may be called `seed=0,model=gru`. Some verbs know a task's options
    only after they have read the run, and names of columns never: Hydra is told to add what it does not know.
    """
    first = arguments[0] if arguments else "-"
    if verb in ALONE and "=" not in first and not first.startswith(("-", "~")):
        arguments = (f"{ALONE[verb]}={first}", *arguments[1:])
    added = (*ADDED.get(verb, ()), *(OF_THE_RUN if any(map(_goes_on, arguments)) else ()))
    return [_override(argument, added) for argument in arguments]


def _goes_on(argument: str) -> bool:
    name, _, value = argument.partition("=")
    return name == "resume" and value not in ("", "null", "auto")


def _override(argument: str, added: tuple[str, ...]) -> str:
    name, equals, path = argument.partition("=")
    if equals and name.lstrip("+") in PATHS and path not in ("", "null") and not _is_quoted(path):
        return f"{name}={quoted(path)}"
    return f"++{argument}" if argument.startswith(added) else argument


def quoted(text: str) -> str:
    """A text as a value."""
    return f"'{_escaped(text)}'"


def _escaped(text: str) -> str:
    """As it stands between single quotes: backslashes before a quote, or at the end, are doubled."""
    return re.sub(r"(\\+)$", r"\1\1", re.sub(r"(\\*)'", r"\1\1\'", text))


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
