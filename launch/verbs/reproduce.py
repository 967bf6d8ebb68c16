"""`prefrontal reproduce`: a paper's figures from one command, beside what was published and what is ideal."""

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ...conf.checking import checked
from ..config import plain
from ..failures import reported
from ..reproduction.listing import show_papers
from ..reproduction.paper import Paper
from ..reproduction.whole import ReproduceSettings, reproduce


@hydra.main(config_path="pkg://prefrontal.conf", config_name="reproduce", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text.

    Raises:
        SystemExit: 1 if something failed, 130 after a stop.
    """
    with reported():
        given = plain(composed)
        paper = given.pop("paper", None)
        told = checked(ReproduceSettings, given)
        if paper is None:
            show_papers()
            return
        job = HydraConfig.get()
        search = [source.path for source in job.runtime.config_sources if source.provider == "command-line"]
        status = reproduce(told, str(job.runtime.choices["paper"]), checked(Paper, paper, "paper"), search)
        if status:
            raise SystemExit(status)
