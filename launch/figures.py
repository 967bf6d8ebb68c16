"""`prefrontal figures`: redraw from the saved evaluation; several runs of one task are seeds and are merged."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from ..envs import registry
from ..envs.trials import Evaluation
from .config import ConfigError, TrainConfig, task_settings, train_config
from .console import console, errors
from .evaluation import BOOK_KEEPING, long_measures, short
from .failures import reported
from .measures import results_table
from .run_folder import NotARunFolderError, RunFolder


def _folders(pattern: str) -> list[RunFolder]:
    matches = glob.glob(str(Path(pattern).expanduser()))  # noqa: PTH207  # absolute patterns too
    runs = [path for path in matches if (Path(path) / "config.yaml").is_file()]
    paths = sorted(runs or matches)  # a pattern also matches what lies beside the runs
    if not paths:
        raise NotARunFolderError(f"nothing matches run={pattern}")
    folders = []
    for path in paths:
        try:
            folder = RunFolder.open(path)
            folder.read_trials()
            folders.append(folder)
        except NotARunFolderError as error:
            if len(paths) == 1:
                raise
            errors.print(f"warning: left out: {error}", style="yellow")
    if not folders:
        raise NotARunFolderError(f"none of the {len(paths)} paths that match run={pattern} is an evaluated run")
    return folders


def _one_task(configs: list[TrainConfig], folders: list[RunFolder]) -> None:
    differing = [f.path for c, f in zip(configs, folders, strict=True) if c.task != configs[0].task]
    if differing:
        raise ConfigError(
            f"runs of one figure must have one task with one set of options; {differing[0]} differs from "
            f"{folders[0].path}"
        )


@hydra.main(config_path="pkg://prefrontal.conf", config_name="figures", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        folders = _folders(str(composed.run))
        configs = [train_config(folder.read_config()) for folder in folders]
        _one_task(configs, folders)
        config = configs[0]
        task = registry.get(config.task_name)
        settings = task_settings({"name": config.task_name, **config.evaluation_task_options})
        evaluations = [
            Evaluation(folder.read_trials(), folder.read_history(), label=f"seed {c.seed}")
            for folder, c in zip(folders, configs, strict=True)
        ]
        if composed.out is not None:
            output = Path(composed.out)
        else:
            output = folders[0].path if len(folders) == 1 else folders[0].path.parent
        merged = RunFolder(output.absolute())
        paths = merged.write_figures(task.figures(evaluations, settings))
        if len(folders) > 1:
            _merge_results(folders, merged, task.name, task.references(settings))
        for path in paths:
            console.print(f"figure       {short(path)}")


def _merge_results(folders: list[RunFolder], merged: RunFolder, task: str, references: Any) -> None:
    runs: list[dict[str, Any]] = [folder.read_results() for folder in folders]
    (merged.path / "merged_results.json").write_text(json.dumps(runs, indent=2) + "\n")
    measures = [{k: v for k, v in run.items() if k not in BOOK_KEEPING and k not in long_measures(run)} for run in runs]
    total_s = sum(run["wall_s"] for run in runs)
    title = f"{task}: {len(runs)} runs, {sum(run['episodes'] for run in runs):,} episodes, {total_s:.0f} s of training"
    console.print(results_table(title, measures, references))
