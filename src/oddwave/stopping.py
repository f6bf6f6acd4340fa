"""A process that is told to end: SIGTERM and SIGHUP are taken as Ctrl-C is, so that what was done so far is saved.

No torch here.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

__all__ = ["STOP_SIGNALS", "Stopped", "held_back", "status_after", "stops_as_interrupts"]

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """The process was told to end by a signal other than Ctrl-C's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def status_after(error: BaseException | None) -> int:
    """Return what shells expect of a process that was stopped: 128 + the signal's number, 130 after Ctrl-C."""
    while error is not None:
        if isinstance(error, Stopped):
            return 128 + error.number
        error = error.__cause__
    return 128 + signal.SIGINT


@contextmanager
def stops_as_interrupts() -> Iterator[None]:
    """Raise `Stopped` on SIGTERM and SIGHUP within the block, unless the program around it has plans of its own.

    Only the main thread may set that; in others nothing changes. A SIGHUP that `nohup` turned off stays turned off.
    """
    with ExitStack() as undo:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, _raise)
                    undo.callback(signal.signal, number, signal.SIG_DFL)
        yield


def _raise(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C and its like wait until the block is through, so that what belongs together never parts ways."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread is ever interrupted
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    mine = {number: handler for number, handler in before.items() if callable(handler)}
    for number in mine:
        signal.signal(number, lambda which, frame: came.append((which, frame)))
    try:
        yield
    finally:
        for number, handler in mine.items():
            signal.signal(number, handler)
    if came:
        mine[came[0][0]](*came[0])
