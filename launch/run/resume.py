"""Which run a training goes on with, and with what settings: those of the run, and what the command line changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ...conf.checking import by_full_name, shown
from ..config import ConfigError
from ..console import console, shell
from .job import Job
from .places import has_checkpoint
from .storage import is_url

AUTO = "auto"
"""`resume`: go on with `run.folder` if it holds a checkpoint, else begin there."""


def run_to_resume(composed: DictConfig) -> str | None:
    """The folder of the run to go on with; with `resume=auto` that of `run.folder`, if it holds a checkpoint already.

    Raises:
        ConfigError: for what is no folder, or if `resume=auto` could never find the run again.
    """
    if composed.resume is not None and not isinstance(composed.resume, str):
        raise ConfigError(f"resume={shown(composed.resume)}: a run folder (a path or URL), auto or null")
    if composed.resume != AUTO:
        return None if composed.resume is None else str(composed.resume)
    node = OmegaConf.to_container(composed, resolve=False)
    if isinstance(node, dict) and "${now:" in str(node["run"]["folder"]):
        raise ConfigError("resume=auto needs a folder that is the same each time: run.folder=<folder>")
    if is_url(composed.run.folder):
        return str(composed.run.folder) if has_checkpoint(composed.run.folder) else None
    folder = Path(composed.run.folder)
    return str(folder) if list((folder / "checkpoints").glob("*.safetensors")) else None


def settings_to_go_on_with(saved: DictConfig, composed: DictConfig, job: Job) -> DictConfig:
    """The settings of a run that goes on; prints what is not as it was.

    With `resume=auto` a run is started again by the same command: that command says everything. With `resume=<folder>`
    the run says everything but what the command line changes.

    Raises:
        ConfigError: for a whole group (`experiment=...`, `task=...`) beside `resume=<folder>`: its settings are meant
            for a run from the start.
    """
    merged = composed if composed.resume == AUTO else _with_overrides(saved, composed, job)
    before, now = (
        by_full_name(cast(dict[str, Any], OmegaConf.to_container(node, resolve=True))) for node in (saved, merged)
    )
    for name in sorted({*before, *now} - {"resume"}):
        if before.get(name) != now.get(name):
            console.print(f"changed      {name}: {before.get(name)} -> {now.get(name)}", style="dim")
    return merged


def _with_overrides(saved: DictConfig, composed: DictConfig, job: Job) -> DictConfig:
    merged = saved.copy()
    OmegaConf.set_struct(merged, False)
    for override in job.overrides:
        key, _, value = override.lstrip("+~").partition("=")
        key = key.partition("@")[0]
        if key == "resume":
            continue
        if key in job.groups:
            raise ConfigError(
                f"{shell(**{key: value})}: a run that goes on keeps its {key}; leave it out, change single settings "
                "(such as algo.discount=0.9), or start a new run"
            )
        node = OmegaConf.select(composed, key)
        OmegaConf.update(merged, key, node, merge=not OmegaConf.is_config(node))
    return merged
