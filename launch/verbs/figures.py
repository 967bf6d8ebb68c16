"""`prefrontal figures`: redraw from the saved evaluation; several runs of one task are seeds and agents, merged."""

from __future__ import annotations

from typing import Annotated

import hydra
from omegaconf import DictConfig

from ...conf.settings import Text, settings
from ..config import verb_settings
from ..failures import reported
from ..run.merged import redraw


@settings
class FiguresSettings:
    """See `conf/figures.yaml`."""

    run: Annotated[Text, "a run folder (a path or a URL), or a pattern of several"]
    out: Text | None = None


@hydra.main(config_path="pkg://prefrontal.conf", config_name="figures", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        told = verb_settings(FiguresSettings, composed)
        redraw(told.run, told.out)
