"""Trials of others: what a person says of them, and the table as it is read from its file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from omegaconf import OmegaConf

from ...conf.checking import shown
from ...conf.settings import Many, Text, settings
from ...envs import registry
from ...envs.registry import Task
from ...envs.table_columns import TableError
from ...envs.tables import Subject, trials_of_others
from ...replay.trajectory import Array
from ..config import ConfigError
from ..console import errors


@settings
class Played:
    """Whose trials a verb is about: runs, a table of others, or both."""

    run: Annotated[Text, "a run folder (a path or a URL), or a pattern of several"] | None = None
    trials: Annotated[Text, "a CSV or Parquet file"] | None = None
    columns: dict[str, Text] | Annotated[Text, "a YAML file of them"] = field(default_factory=dict)
    actions: Many[Any] = ()
    task: dict[str, Any] = field(default_factory=dict)
    out: Text | None = None

    def __post_init__(self) -> None:
        if self.run is None and self.trials is None and not self.needs_none:
            raise ValueError(
                "run has to be given: a run folder (a path or a URL), or a pattern of several; or trials=<table> with "
                "task.name=<task>"
            )
        if self.run is not None and self.task:
            raise ValueError(f"task={shown(self.task)}: with runs their own task and options hold")
        if self.run is None and "name" not in self.task:
            raise ValueError("task.name has to be given where there is no run")
        for name in ("columns", "actions"):
            if self.trials is None and getattr(self, name):
                raise ValueError(f"{name}={shown(getattr(self, name))}: there is no table, trials=<table>, to read so")

    @property
    def needs_none(self) -> bool:
        """Whether there is something to do without any trials."""
        return False

    def beside_table(self) -> str:
        """Where results about a table go."""
        return str(Path(self.trials or "").expanduser().with_suffix(""))


def subjects_of(played: Played, task: Task, settings: Any, wanted: Collection[str] | None = None) -> list[Subject]:
    """The subjects of a table; none if there is no table.

    Args:
        played: says where it is, and what its columns are called.
        task: that they played.
        settings: of the task.
        wanted: columns that are needed; None: what the task's analyses read.

    Raises:
        ConfigError: for a file that cannot be read, or a table that does not hold what is needed.
    """
    if played.trials is None:
        return []
    if task.table is None:
        able = ", ".join(name for name, other in registry.tasks().items() if other.table is not None)
        raise ConfigError(f"trials={played.trials}: no tables of others are read for task {task.name}, but for: {able}")
    path = Path(played.trials).expanduser()
    try:
        subjects = trials_of_others(
            _read(path),
            task.table,
            settings,
            called=path.stem,
            names=_names(played.columns),
            actions=played.actions,
            wanted=wanted,
        )
    except TableError as error:
        raise ConfigError(f"trials={played.trials}: {error}") from error
    if wanted is None:
        _warn_of_lengths(subjects, task.table.session_trials(settings))
    return subjects


def _read(path: Path) -> dict[str, Array]:
    """Columns of a file."""
    try:
        table = (
            pq.read_table(path)
            if path.suffix == ".parquet"
            else pyarrow.csv.read_csv(path, parse_options=_options(path))
        )
    except FileNotFoundError:
        raise TableError("there is no such file") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        raise TableError(f"no {kind} file that can be read ({str(error).splitlines()[0]})") from error
    if not table.num_rows:
        raise TableError("the table has no rows")
    return {name: table[name].to_numpy() for name in table.column_names}


def _options(path: Path) -> pyarrow.csv.ParseOptions:
    return pyarrow.csv.ParseOptions(delimiter="\t" if ".tsv" in path.suffixes else ",")


def _names(columns: dict[str, str] | str) -> dict[str, str]:
    """The mapping, which may lie in a YAML file."""
    if not isinstance(columns, str):
        return columns
    try:
        found = OmegaConf.to_container(OmegaConf.load(Path(columns).expanduser()))
    except FileNotFoundError:
        raise ConfigError(f"columns={columns}: there is no such file") from None
    except Exception as error:  # whatever YAML makes of it
        raise ConfigError(f"columns={columns}: no YAML that can be read ({str(error).splitlines()[0]})") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for pair in found.items() for name in pair):
        raise ConfigError(f"columns={columns}: lines such as `subject: rat` are needed")
    return {str(ours): str(theirs) for ours, theirs in found.items()}


def _warn_of_lengths(subjects: Sequence[Subject], needed: int | None) -> None:
    """Some figures are about whole sessions only: say so."""
    counts = np.concatenate([np.unique(one.trials["episode"], return_counts=True)[1] for one in subjects])
    others = int((counts != needed).sum()) if needed is not None else 0
    if others:
        errors.print(
            f"warning: {others} of {len(counts)} sessions do not have {needed} trials: curves by trial leave them out "
            "(task.trials says how many a session has)",
            style="yellow",
        )


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A tidy table, one dict a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.csv.write_csv(pa.Table.from_pylist(list(rows)), path)
