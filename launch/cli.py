"""The console script: `prefrontal <verb> [key=value ...]` hands over to one Hydra application a verb.

Nothing heavy is imported before the signals are in order: a Ctrl-C while torch is being imported ends at once, too.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

from . import environment
from .overrides import overrides

VERBS = {
    "train": "train an agent, evaluate it, draw the figure (task=two_step model=lstm algo=impala ...)",
    "pretrain": "train the encoder of a network for pixels (data=screen, or CIFAR-100's archive)",
    "evaluate": "let a trained agent play fresh episodes with frozen weights (run=<folder>)",
    "figures": "redraw the figures; runs are merged as seeds, beside trials of others (run='<folder>/*' trials=<csv>)",
    "fit": "fit models of choices to trials of agents, animals or people (run=<folder> trials=<csv>)",
    "analyse": "what units code, what is decoded from them, how they move (run=<folder>, evaluated with record=true)",
    "reproduce": "a paper's figures beside published and ideal values, on one page (wang2018; alone: what there is)",
    "play": "play a task yourself (task=harlow)",
    "tasks": "list the tasks",
    "bench": "measure learner, actors and the whole system on this machine",
}

HELP = """prefrontal: meta-reinforcement learning on the tasks of computational neuroscience

usage: prefrontal <verb> [key=value ...]

{verbs}

prefrontal <verb> --help shows the choices and every setting with its value.
prefrontal train -m seed='range(8)' hydra/launcher=joblib trains eight seeds side by side.
"""

STOPPED = "\nstopped at once\n"


def _help() -> str:
    return HELP.format(verbs="\n".join(f"  {verb:<10} {text}" for verb, text in VERBS.items()))


def main() -> None:
    """Entry point of the console script."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end_at_once)
    status = called(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(status)  # whoever read it has left, and Python would complain of it at its end
    raise SystemExit(status)


def called(arguments: Sequence[str]) -> int:
    """What the console script does, in this process; returns the exit status."""
    verb, arguments = (arguments[0] if arguments else "--help"), arguments[1:]
    if verb in ("-h", "--help", "help"):
        print(_help())
        return 0
    if verb not in VERBS:
        close = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        print(f"error: there is no verb '{verb}'{hint} There is: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    environment.set_for_good()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on to us instead of printing them
    sys.argv = [f"prefrontal {verb}", *overrides(verb, arguments)]
    entry = importlib.import_module(f".verbs.{verb}", __package__).main
    told = importlib.import_module(".failures", __package__).told
    try:
        with _interruptible():
            entry()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (Exception, KeyboardInterrupt) as error:
        return int(told(error))
    return 0


def _end_at_once(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """While modules are imported an exception would end as whatever the module at hand makes of it."""
    os.write(2, STOPPED.encode())
    os._exit(130)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C as an exception, where there is something to close."""
    before = signal.getsignal(signal.SIGINT)
    if before is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if before is _end_at_once:
            signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    main()
