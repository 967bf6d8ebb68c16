"""`prefrontal evaluate`: let a trained agent play fresh episodes with frozen weights; table and figures."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from ..config import verb_settings
from ..console import console
from ..failures import reported
from ..run.evaluation import draw_run, evaluate_run
from ..run.perturbing import control_of
from ..run.places import run_at
from ..run.reevaluation import EvaluateSettings, asked_config, checkpoint_called
from ..run.reporting import show_results


@hydra.main(config_path="pkg://prefrontal.conf", config_name="evaluate", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        told = verb_settings(EvaluateSettings, composed)
        with run_at(told.run, told.files) as folder:
            config = asked_config(folder, told)
            checkpoint = checkpoint_called(folder, told.checkpoint)
            control = control_of(folder, config, checkpoint, told.control) if told.perturbed else None
            output = folder.evaluation_called(told.name) if told.name else folder
            results = evaluate_run(folder, config, checkpoint, output)
            draw_run(folder, config, checkpoint, output, control)
            console.print(f"run folder   {folder.location}", style="dim", markup=False)
            show_results(config, results, output, control)
