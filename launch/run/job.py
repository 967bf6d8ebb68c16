"""What a training is told beside its settings: the words it was asked for in, and its place in a sweep of Hydra's."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

STOP = "stop"
"""In a sweep's folder: its jobs are to end."""


@dataclass(frozen=True)
class Sweeping:
    """Of a job of a sweep."""

    folder: Path
    """Of the job, which Hydra has made."""
    subdir: str
    """Its name in the sweep's folder."""
    stop: Path
    """What stops this job when it appears."""
    side_by_side: bool
    """Whether the jobs run at the same time, in processes of their own."""


@dataclass(frozen=True)
class Job:
    """One training."""

    command: tuple[str, ...]
    """As it was asked for, for the records."""
    overrides: tuple[str, ...]
    """What was asked for that is not as the files of settings say."""
    groups: frozenset[str]
    """Names of settings that choose a file (`task`, `algo`, ...)."""
    sweep: Sweeping | None = None

    @property
    def side_by_side(self) -> bool:
        """Whether others run beside it."""
        return self.sweep is not None and self.sweep.side_by_side

    @classmethod
    def told(cls, hydra: DictConfig, command: tuple[str, ...]) -> Job:
        """A job of its own, from what Hydra says of how it composed the settings."""
        return cls(command, tuple(hydra.overrides.task), frozenset(hydra.runtime.choices))

    @classmethod
    def of_this_process(cls) -> Job:
        """That of Hydra's application which is running here."""
        hydra = HydraConfig.get()
        alone = cls.told(hydra, tuple(sys.argv))
        if hydra.mode != RunMode.MULTIRUN:
            return alone
        sweep = Sweeping(
            folder=Path(hydra.runtime.output_dir),
            subdir=hydra.sweep.subdir,
            stop=sweep_folder(hydra) / STOP,
            side_by_side="Basic" not in hydra.launcher._target_,
        )
        return cls(alone.command, alone.overrides, alone.groups, sweep)


def sweep_folder(hydra: DictConfig) -> Path:
    """Of the sweep, wherever the job runs."""
    return Path(hydra.runtime.cwd, hydra.sweep.dir)
