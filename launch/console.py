"""What a long command shows while it runs: one live line in a terminal or a notebook, elsewhere lines now and then."""

from __future__ import annotations

import os
import shlex
import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

IN_NOTEBOOK = Console().is_jupyter

WIDTH = None if sys.stdout.isatty() and not IN_NOTEBOOK else 120
"""Of tables; a file, a pipe or a notebook has no width of its own."""

_FORCED = False if IN_NOTEBOOK else None
"""A notebook gets plain lines, as a file does; only progress is shown its own way."""


def reader_is_gone() -> None:
    """Whoever read our output has closed it (`| head`): what is still written goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class _Console(Console):
    """Whose reader may leave: the work goes on."""

    def on_broken_pipe(self) -> None:
        reader_is_gone()


# Texts hold paths and what a person wrote: brackets and colons in them are no markup.
console = _Console(
    highlight=False,
    markup=False,
    emoji=False,
    soft_wrap=True,
    width=WIDTH,
    force_jupyter=_FORCED,
    force_terminal=_FORCED,
)
errors = Console(
    stderr=True,
    highlight=False,
    markup=False,
    emoji=False,
    soft_wrap=True,
    force_jupyter=_FORCED,
    force_terminal=_FORCED,
)

PLAIN_EVERY_S = 10.0


def shell(**settings: object) -> str:
    """Settings as they can be pasted into a shell: `resume=runs/a`, or in quotes where it needs them."""
    return " ".join(shlex.quote(f"{name}={value}") for name, value in settings.items())


class ProgressLine:
    """The progress of something long: how much of it is done (environment steps, fits), and a text with the rest."""

    def __init__(self, total: int, done: int) -> None:
        self._live: Progress | None = None
        self._shown: Any = None
        """In a notebook: the output that is replaced."""
        self._task = None
        self._last_plain = time.monotonic()
        self._started, self._done_at_start, self._total = time.monotonic(), done, total
        if console.is_terminal:
            columns: list[ProgressColumn] = [
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
            ]
            self._live = Progress(*columns, console=console, refresh_per_second=4)
            self._task = self._live.add_task("starting", total=total, completed=done)

    def __enter__(self) -> ProgressLine:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, done: int, text: str) -> None:
        """Show how much is done, and `text`."""
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=done, description=text)
        elif IN_NOTEBOOK:
            self._show(self._plain(done, text))
        elif time.monotonic() - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            console.print(self._plain(done, text))

    def _plain(self, done: int, text: str) -> str:
        rate = (done - self._done_at_start) / max(1e-9, time.monotonic() - self._started)
        left = f", {max(0.0, self._total - done) / rate:.0f} s left" if rate > 0 else ""
        return f"{done / self._total:4.0%} {text}{left}"

    def _show(self, line: str) -> None:
        import IPython.display

        content = {"text/plain": line}
        if self._shown is None:
            self._shown = IPython.display.display(content, raw=True, display_id=True)
        else:
            self._shown.update(content, raw=True)
