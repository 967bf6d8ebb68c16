"""`prefrontal analyse`: what units of a recorded agent code, what can be decoded from them, how they move."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from ..config import verb_settings
from ..failures import reported
from ..run.analysing import AnalyseSettings, analyse_all


@hydra.main(config_path="pkg://prefrontal.conf", config_name="analyse", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        analyse_all(verb_settings(AnalyseSettings, composed))
