"""What takes more than a few seconds says how far it is: a bar on a terminal, a plain line now and then elsewhere.

Both go to standard error. rich is imported only where a bar is drawn.
"""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from oddwave.visible import visible

__all__ = ["Report", "duration", "progress", "stage"]

T = TypeVar("T")
FIRST_LINE_S = 3.0  # what is done sooner says nothing
NEXT_LINE_S = 10.0


class Report(Protocol):
    """What a stage of the work calls to say how far it is."""

    def __call__(self, done: int, total: int, told: str = "", seconds_left: float | None = None) -> None:
        """Say that `done` of `total` steps are done; the time left is estimated from the pace where it is not given."""
        ...


def progress(items: Sequence[T], description: str, show: bool) -> Iterator[T]:
    """Go through the items; with `show`, say how far it is."""
    with stage(description, show) as report:
        for number, item in enumerate(items):
            report(number, len(items))
            yield item


@contextmanager
def stage(description: str, show: bool, *, keep: bool = False) -> Iterator[Report]:
    """Show that a stage of the work is under way while the block runs; `keep` leaves its bar on the terminal."""
    if not show:
        yield lambda done, total, told="", seconds_left=None: None
    elif sys.stderr.isatty():
        with _bar(visible(description), keep) as report:
            yield report
    else:
        with _lines(visible(description)) as report:
            yield report


class _State:
    """How far a stage is, as text."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.done, self.total, self.told = 0, 0, ""
        self.seconds_left: float | None = None

    def update(self, done: int, total: int, told: str = "", seconds_left: float | None = None) -> None:
        self.done, self.total, self.told, self.seconds_left = done, total, told, seconds_left

    def text(self) -> str:
        left = self.seconds_left
        if left is None and 0 < self.done < self.total:
            left = (time.monotonic() - self.started) * (self.total - self.done) / self.done
        parts = (
            [f"{self.done:,}/{self.total:,}"] if self.total else [f"{duration(time.monotonic() - self.started)} so far"]
        )
        parts += [self.told] if self.told else []
        return "  ".join([*parts, *([f"about {duration(left)} left"] if left and self.done < self.total else [])])


@contextmanager
def _bar(description: str, keep: bool) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    state = _State()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[told]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=not keep) as bar:
        task = bar.add_task(description, total=None, told="")

        def report(done: int, total: int, told: str = "", seconds_left: float | None = None) -> None:
            state.update(done, total, told, seconds_left)
            bar.update(task, total=total, completed=done, told=state.text())

        yield report


@contextmanager
def _lines(description: str) -> Iterator[Report]:
    """Print a line every few seconds from a thread of its own: a step may take longer than that."""
    state, ended, said = _State(), threading.Event(), threading.Event()

    def tell() -> None:
        pause = FIRST_LINE_S
        while not ended.wait(pause):
            _print(f"{description}: {state.text()}")
            said.set()
            pause = NEXT_LINE_S

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield state.update
    finally:
        ended.set()
        teller.join()
    if said.is_set():
        _print(f"{description}: done in {duration(time.monotonic() - state.started)}")


def _print(line: str) -> None:
    print(f"oddwave: {line}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Write how long something takes: "8 s", "2 min 5 s", "3 h 20 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    (large, small), names = (
        (divmod(whole, 60), ("min", "s")) if whole < 3600 else (divmod(whole // 60, 60), ("h", "min"))
    )
    return f"{large} {names[0]} {small} {names[1]}" if small else f"{large} {names[0]}"
