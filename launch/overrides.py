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
    """All arguments of the command line, see `override`; the first one may be a value that stands alone."""
    first = arguments[0] if arguments else "-"
    if verb in ALONE and "=" not in first and not first.startswith(("-", "~")):
        arguments = (f"{ALONE[verb]}={first}", *arguments[1:])
    written = [override(verb, argument) for argument in arguments]
    if verb == "train" and any(map(_of_a_run, arguments)):
        return [f"++{argument}" if argument.startswith(OF_THE_RUN) else argument for argument in written]
    return written


def _of_a_run(argument: str) -> bool:
    name, _, value = argument.partition("=")
    return name == "resume" and value not in ("", "null", "auto")


def override(verb: str, argument: str) -> str:
    """An argument of the command line in the form that Hydra's grammar wants.

    Paths are quoted, since a run folder of a sweep may be called `seed=0,model=gru`. Some verbs know a task's options
    only after they have read the run, and names of columns never: Hydra is told to add what it does not know.
    """
    name, equals, path = argument.partition("=")
    if equals and name.lstrip("+") in PATHS and path not in ("", "null") and not _is_quoted(path):
        return f"{name}={quoted(path)}"
    return f"++{argument}" if argument.startswith(ADDED.get(verb, ())) else argument


def quoted(text: str) -> str:
    """A text as a value."""
    return f"'{_escaped(text)}'"


def _escaped(text: str) -> str:
    """As it stands between single quotes: backslashes before a quote, or at the end, are doubled."""
    return re.sub(r"(\\+)$", r"\1\1", re.sub(r"(\\*)'", r"\1\1\'", text))


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
