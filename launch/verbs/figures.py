"""`prefrontal figures`: redraw from saved evaluations and tables of others; several are merged, agents side by side."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from ...conf.checking import shown
from ...conf.settings import Many, Name, settings
from ..config import verb_settings
from ..failures import reported
from ..run.merged import redraw
from ..run.others import Played


@settings
class FiguresSettings(Played):
    """See `conf/figures.yaml`."""

    evaluations: Many[Name] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.evaluations and self.run is None:
            raise ValueError(f"evaluations={shown(self.evaluations)}: there is no run whose they could be")


@hydra.main(config_path="pkg://prefrontal.conf", config_name="figures", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        told = verb_settings(FiguresSettings, composed)
        redraw(told, told.evaluations)
