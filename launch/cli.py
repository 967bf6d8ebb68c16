"""The console script: `prefrontal <verb> [key=value ...]` hands over to one Hydra application a verb."""

from __future__ import annotations

import importlib
import os
import sys

VERBS = {
    "train": "train an agent, evaluate it, draw the figure (task=two_step model=lstm algo=impala ...)",
    "pretrain": "train the encoder of a network for pixels on CIFAR-100 (data=<archive or folder>)",
    "evaluate": "let a trained agent play fresh episodes with frozen weights (run=<folder>)",
    "figures": "redraw the figures; several runs are merged as seeds (run='<folder>/*')",
    "play": "play a task yourself (task=harlow)",
    "tasks": "list the tasks",
    "bench": "measure learner, actors and the whole system on this machine",
}

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # BLAS threads of several processes would fight for the same cores
    "RAY_worker_niceness": "0",  # at Ray's default of 15 the workers starve beside a busy driver
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # the pool reports failures itself
    "RAY_task_events_report_interval_ms": "0",  # a record of every call that nobody reads costs memory and time
}
"""Set before NumPy, torch, Ray or a launcher of Hydra starts anything; what the user has set stays."""

HELP = """prefrontal: meta-reinforcement learning on the tasks of computational neuroscience

usage: prefrontal <verb> [key=value ...]

{verbs}

prefrontal <verb> --help shows the choices and every setting with its value.
prefrontal train -m seed='range(8)' hydra/launcher=joblib trains eight seeds side by side.
"""


def _help() -> str:
    return HELP.format(verbs="\n".join(f"  {verb:<9} {text}" for verb, text in VERBS.items()))


def main() -> None:
    """Entry point of the console script."""
    verb, arguments = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    if verb in ("-h", "--help", "help"):
        print(_help())
        return
    if verb not in VERBS:
        print(f"there is no verb '{verb}'\n\n{_help()}", file=sys.stderr)
        raise SystemExit(2)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    sys.argv = [f"{sys.argv[0]} {verb}", *(_override(verb, argument) for argument in arguments)]
    importlib.import_module(f".verbs.{verb}", __package__).main()


PATHS = ("run=", "resume=", "out=", "data=", "model.encoder_from=")


def _override(verb: str, argument: str) -> str:
    """An argument in the form that Hydra's grammar wants.

    Paths are quoted, since a run folder of a sweep may be called `seed=0,model=gru`. `evaluate` knows a task's options
    only after it has read the run: Hydra is told to add what it does not know.
    """
    if argument.startswith(PATHS) and not argument.endswith(("'", '"', "=null")):
        name, _, path = argument.partition("=")
        escaped = path.replace("'", "\\'")
        return f"{name}='{escaped}'"
    return f"++{argument}" if verb == "evaluate" and argument.startswith("task.") else argument


if __name__ == "__main__":
    main()
