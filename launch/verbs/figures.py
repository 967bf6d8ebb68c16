"""`prefrontal figures`: redraw from saved evaluations and tables of others; several are merged, agents side by side."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from ...conf.settings import settings
from ..config import verb_settings
from ..failures import reported
from ..run.merged import redraw
from ..run.others import Played


@settings
class FiguresSettings(Played):
    """See `conf/figures.yaml`."""


@hydra.main(config_path="pkg://prefrontal.conf", config_name="figures", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        redraw(verb_settings(FiguresSettings, composed))
