"""`prefrontal evaluate`: let a trained agent play fresh episodes with frozen weights; table and figures."""

from __future__ import annotations

import dataclasses
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from ...learner.checkpoint import Checkpoint, read
from ..config import ConfigError, TrainConfig, train_config
from ..console import console, errors
from ..failures import reported
from ..run.evaluation import evaluate_run, show_results
from ..run.folder import RunFolder
from ..run.mirror import TO_EVALUATE, run_at


def _config(folder: RunFolder, composed: DictConfig) -> TrainConfig:
    config = train_config(folder.read_config())
    changes: dict[str, Any] = {
        name: composed[name] for name in ("episodes", "envs", "greedy") if composed[name] is not None
    }
    if (units := _closed_units(folder, composed)) is not None:
        if not composed.name:
            raise ConfigError("the results of a lesioned agent need a place of their own: give it with name=<name>")
        changes["closed_units"] = units
    options = OmegaConf.to_container(composed.task)
    changes["task"] = {**config.evaluate.task, **(options if isinstance(options, dict) else {})}
    seed = config.seed if composed.seed is None else composed.seed
    changed = dataclasses.replace(config, seed=seed, evaluate=dataclasses.replace(config.evaluate, **changes))
    if changed.evaluate.episodes < 1 or changed.evaluate.envs < 1:
        raise ConfigError("episodes and envs must be at least 1")
    return changed


def _closed_units(folder: RunFolder, composed: DictConfig) -> tuple[int, ...] | None:
    if composed.closed_above is None:
        return None if composed.closed_units is None else tuple(composed.closed_units)
    if composed.closed_units is not None:
        raise ConfigError("give either closed_units or closed_above")
    gates = folder.read_results().get("gate_by_unit") if folder.results.is_file() else None
    if not gates:
        raise ConfigError(
            f"closed_above needs the gates of an evaluation: {folder.location}/results.json holds none "
            "(evaluate an agent with an episodic memory first)"
        )
    units = tuple(unit for unit, gate in enumerate(gates["all"]) if gate > float(composed.closed_above))
    if not units:
        highest = max(gates["all"])
        raise ConfigError(
            f"no unit's mean gate exceeds closed_above={composed.closed_above}; the highest: {highest:.2f}"
        )
    console.print(f"gates closed: {len(units)} of {len(gates['all'])} units", style="dim")
    return units


def _checkpoint(folder: RunFolder, which: str) -> Checkpoint:
    if which != "newest":
        path = folder.path / "checkpoints" / ("best.safetensors" if which == "best" else which)
        if not path.is_file():
            there = ", ".join(sorted(p.name for p in path.parent.glob("*.safetensors"))) or "none"
            raise ConfigError(
                f"checkpoint={which}: there is no {folder.location}/checkpoints/{path.name}; there are: {there}"
            )
        return read(path)
    checkpoint, _, warnings = folder.checkpoints().newest()
    for warning in warnings:
        errors.print(f"warning: {warning}", style="yellow")
    return checkpoint


@hydra.main(config_path="pkg://prefrontal.conf", config_name="evaluate", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported(), run_at(str(composed.run), TO_EVALUATE) as folder:
        config = _config(folder, composed)
        output = folder.evaluation_called(composed.name) if composed.name else folder
        results, _ = evaluate_run(folder, config, _checkpoint(folder, composed.checkpoint), output)
        console.print(f"run folder   {folder.location}", style="dim")
        show_results(config, results, output)
