"""The run folder: everything a run leaves behind, by name. No mathematics, only files."""

from __future__ import annotations

import csv
import importlib.metadata
import itertools
import json
import math
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from safetensors.numpy import load_file, save_file

from ...learner.checkpoint import CheckpointFolder
from ...replay.trajectory import Array
from ..console import shell
from .trial_table import read_trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class NotARunFolderError(ValueError):
    """The path does not lead to a run folder."""


def _json_ready(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_json_ready(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


class RunFolder:
    """Paths and files of one run (`runs/<task>/<time>_<name>/`).

    Args:
        path: where the files are.
        url: where a mirror brings them (see `mirror.py`), and so what a person calls the run; None: nowhere.
    """

    def __init__(self, path: Path, url: str | None = None) -> None:
        self.path = path
        self.location = str(path) if url is None else url
        self._url = url
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.csv"
        self.evaluation = path / "evaluation.parquet"
        self.memory = path / "memory.safetensors"
        self.activity = path / "activity.nc"
        self.results = path / "results.json"
        self.provenance = path / "provenance.json"
        self.figures = path / "figures"

    @classmethod
    def new(cls, path: Path) -> RunFolder:
        """A folder for a new run; another name if this one is taken, also by a run of the same second.

        To make its `config.yaml` is to take it: of several processes that want a name, one gets it. (The folder itself
        may be there already: Hydra makes those of a sweep.)
        """
        path = path.absolute()
        for name in itertools.chain([path.name], (f"{path.name}_{number}" for number in itertools.count(2))):
            folder = cls(path.with_name(name))
            folder.path.mkdir(parents=True, exist_ok=True)
            try:
                folder.config.touch(exist_ok=False)
            except FileExistsError:
                continue
            return folder
        raise AssertionError("unreachable: the names never end")

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run.

        Raises:
            NotARunFolderError: saying what is missing.
        """
        folder = cls(Path(path).expanduser().absolute())
        if not folder.path.is_dir():
            raise NotARunFolderError(f"there is no folder {folder.path}")
        if not folder.config.is_file():
            raise NotARunFolderError(
                f"{folder.path} is not a run folder: it has no config.yaml (runs lie under runs/<task>/<time>_<name>)"
            )
        return folder

    def shown(self, path: Path) -> str:
        """A file of this folder as a person would write it in a shell: from the current folder, or as a URL."""
        if self._url is not None:
            return shlex.quote(f"{self._url}/{path.relative_to(self.path).as_posix()}")
        here = Path.cwd()
        return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))

    def checkpoints(self, keep: int = 3) -> CheckpointFolder:
        """The run's checkpoints."""
        return CheckpointFolder(self.path / "checkpoints", keep)

    def inside(self, name: str) -> RunFolder:
        """A folder in this one."""
        return RunFolder(self.path / name, None if self._url is None else f"{self._url}/{name}")

    def evaluation_called(self, name: str) -> RunFolder:
        """Where an evaluation under a name of its own lies."""
        return self.inside(f"evaluations/{name}")

    def write_config(self, composed: DictConfig) -> None:
        """The resolved configuration, as YAML."""
        self.path.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(composed, self.config, resolve=True)

    def read_config(self) -> DictConfig:
        """What `write_config` wrote."""
        loaded = OmegaConf.load(self.config)
        if not isinstance(loaded, DictConfig):
            raise NotARunFolderError(f"{self.config} does not hold a configuration")
        return loaded

    def write_provenance(self, command: Sequence[str]) -> None:
        """Command, versions, git commit and machine; a resumed run adds itself to the list."""
        entries = json.loads(self.provenance.read_text()) if self.provenance.is_file() else []
        packages = ("prefrontal", "torch", "ray", "numpy", "gymnasium", "hydra-core", "safetensors")
        entries.append(
            {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": list(command),
                "python": platform.python_version(),
                "packages": {name: importlib.metadata.version(name) for name in packages},
                "git_commit": git_commit(),
                "machine": {"system": platform.platform(), "processor": platform.machine(), "cpus": os.cpu_count()},
            }
        )
        self.provenance.write_text(json.dumps(entries, indent=2) + "\n")

    def write_results(self, results: Mapping[str, Any], name: str = "results.json") -> None:
        """`results.json`: every number that the end of a run prints, by name; what is not a number becomes null."""
        (self.path / name).write_text(json.dumps(_json_ready(results), indent=2) + "\n")

    def read_results(self) -> dict[str, Any]:
        """What `write_results` wrote."""
        results: dict[str, Any] = json.loads(self.evaluated(self.results).read_text())
        return results

    def read_trials(self) -> dict[str, Array]:
        """The first block of the table of trials (see `trial_table.py`), as columns.

        Raises:
            NotARunFolderError: if the run was not evaluated yet (and how to do that).
        """
        return read_trials(self.evaluated(self.evaluation))

    def evaluated(self, path: Path, **settings: object) -> Path:
        """A file that an evaluation (with these settings) has left.

        Raises:
            NotARunFolderError: if the run was not evaluated (so) yet, and how to do that.
        """
        if not path.is_file():
            way_out = f"prefrontal evaluate {shell(run=self.location, **settings)}"
            raise NotARunFolderError(f"{self.location} has no {path.name} yet: run `{way_out}` first")
        return path

    def write_memory(self, memory: Mapping[str, Array]) -> None:
        """`memory.safetensors`: what an episodic memory held at the end of a life; no file for an agent without."""
        if memory:
            save_file({name: np.ascontiguousarray(column) for name, column in memory.items()}, self.memory)
        else:
            self.memory.unlink(missing_ok=True)  # of an evaluation before this one

    def read_memory(self) -> dict[str, Array]:
        """What `write_memory` wrote; empty if there is no file."""
        return dict(load_file(self.memory)) if self.memory.is_file() else {}

    def read_history(self) -> dict[str, Array]:
        """`metrics.csv` as columns; empty if there is none."""
        if not self.metrics.is_file():
            return {}
        with self.metrics.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            return {}
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}

    def write_figures(self, figures: Mapping[str, Figure]) -> list[Path]:
        """Each figure as PNG and SVG; returns the PNGs' paths."""
        self.figures.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, figure in figures.items():
            # Laid out once, for both files and for whoever draws it again: that takes longer than to write them.
            if (layout := figure.get_layout_engine()) is not None:
                layout.execute(figure)
                figure.set_layout_engine(None)
            size = figure.get_tightbbox().padded(0.1)
            for suffix in ("svg", "png"):
                path = self.figures / f"{name}.{suffix}"
                figure.savefig(path, dpi=150, bbox_inches=size)
            paths.append(path)
        return paths


def git_commit() -> str | None:
    """Of this program; None where it is installed without its history."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # an installed wheel, or no git
    return done.stdout.strip()
