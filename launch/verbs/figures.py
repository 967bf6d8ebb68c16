"""`prefrontal figures`: redraw from the saved evaluation; several runs of one task are seeds and agents, merged."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from ..failures import reported
from ..run.merged import redraw


@hydra.main(config_path="pkg://prefrontal.conf", config_name="figures", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        redraw(str(composed.run), composed.out)
