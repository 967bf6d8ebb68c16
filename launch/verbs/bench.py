"""`prefrontal bench`: how fast this machine trains, and what limits it. Prints a table and writes JSON.

In one run, for one task, network and batch shape: the environment alone, acting alone, the learner alone (the same
update on one batch, again and again), and everything together, in one process and through Ray, with trajectories and
with gradients by the actors. Rates are environment steps per second of wall time and per CPU-second of *all* processes
(driver, learner, actors and Ray's own). Steps are trained steps, except in the first two rows. A network with an
episodic memory is measured beside a plain LSTM of the same size. Where JAX is installed the same training as one XLA
program runs beside ours (`bench.jax`). All rows are measured in turn, `bench.repeats` times.

With `actors.device=learner` everything is measured on the learner's device, in one process without Ray.
"""

from __future__ import annotations

import json
from pathlib import Path

import hydra
from omegaconf import DictConfig

from ...conf.checking import checked
from ...conf.settings import Count, Many, Positive, Text, settings
from ..bench.table import measure, show
from ..config import ConfigError, plain, train_config
from ..console import console
from ..failures import reported
from ..run.start import check


@settings
class BenchSettings:
    """See `conf/bench.yaml`."""

    seconds: Positive = 5.0
    repeats: Count = 3
    actor_counts: Many[Count] = (1, 2)
    simulated_actors: Many[Count] = ()
    jax: bool = True
    out: Text = "bench.json"


def run(composed: DictConfig) -> None:
    """Measure, show, write."""
    with reported():
        told = checked(BenchSettings, plain(composed)["bench"], "bench")
        config = train_config(composed, beside=("bench",))
        check(config)
        if not Path(told.out).absolute().parent.is_dir():
            raise ConfigError(f"bench.out={told.out}: there is no such folder to write into")
        result = measure(config, told.seconds, told.repeats, told.actor_counts, told.simulated_actors, told.jax)
        show(result)
        Path(told.out).write_text(json.dumps(result, indent=2) + "\n")
        console.print(f"written to {told.out}", style="dim", markup=False)


main = hydra.main(config_path="pkg://prefrontal.conf", config_name="bench", version_base="1.3")(run)
"""Entry point of the verb; see the module's text."""

if __name__ == "__main__":
    main()
