"""Ctrl-C and SIGTERM as a wish: the training finishes its update, writes a checkpoint and says how to go on."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType


class StopRequest:
    """While active, the first signal sets `requested`; a second one ends the program at once.

    Args:
        told_by: a file that asks for a stop when it appears.
        tell: a file that is made when a signal comes: what `told_by` is to others.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, told_by: Path | None = None, tell: Path | None = None) -> None:
        self._told_by, self._tell = told_by, tell
        self._signalled = False
        self._before: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._signalled or (self._told_by is not None and self._told_by.exists())

    def __call__(self) -> bool:
        """The same, for whoever asks while waiting."""
        return self.requested

    def __enter__(self) -> StopRequest:
        self.listen()
        return self

    def listen(self) -> None:
        """Take the signals, again where a library has taken them since (Ray does when it starts)."""
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                handler = signal.signal(number, self._on_signal)
                self._before.setdefault(number, handler)

    def leave(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True
        if self._tell is not None:
            self._tell.parent.mkdir(parents=True, exist_ok=True)
            self._tell.touch()
