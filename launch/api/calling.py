"""Around each call from Python: errors that can be caught, and a process that is left as it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import scipy.linalg  # noqa: F401  # its threads begin here, not where there is one only
import torch
from threadpoolctl import threadpool_limits

from ...conf.checking import ConfigError
from ..environment import set_for_a_while
from ..failures import wrong_input

if TYPE_CHECKING:
    from .runs import Run


class Stopped(KeyboardInterrupt):
    """A training was stopped by Ctrl-C or SIGTERM; its newest checkpoint is written.

    As a KeyboardInterrupt it ends a loop over trainings, or the execution of a notebook.

    Args:
        run: that was stopped; `prefrontal.train(resume=stopped.run)` goes on with it.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(f"go on with: prefrontal.train(resume={run.folder!r})")
        self.run = run


@contextlib.contextmanager
def called(asked: Sequence[str] = ()) -> Iterator[None]:
    """What the command line refuses with status 2 is a `ConfigError` with the same message; other errors pass.

    torch and the BLAS of NumPy and SciPy compute with one thread meanwhile, as in the program, so that numbers are the
    same to the last digit; then with as many as before. Random numbers that it draws otherwise stay those that they
    would have been.

    Args:
        asked: overrides of Hydra.
    """
    threads = torch.get_num_threads()
    try:
        with set_for_a_while(), threadpool_limits(1), torch.random.fork_rng(devices=[]):
            yield
    except Exception as error:
        text = wrong_input(error, asked)
        if text is None:
            raise
        raise ConfigError(text) from None
    finally:
        torch.set_num_threads(threads)
