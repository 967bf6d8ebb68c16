"""`prefrontal fit`: fit models of choices to trials of agents, animals or people."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from ..config import verb_settings
from ..failures import reported
from ..run.fits import FitSettings, fit_all


@hydra.main(config_path="pkg://prefrontal.conf", config_name="fit", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        fit_all(verb_settings(FitSettings, composed))
