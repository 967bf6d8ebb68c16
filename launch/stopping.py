"""Ctrl-C and SIGTERM as a wish: the training finishes its update, writes a checkpoint and says how to go on."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class StopRequest:
    """While active, the first signal sets `requested`; a second Ctrl-C ends the program at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
