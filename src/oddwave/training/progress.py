"""How far a training is, with the time left, for any stream of training steps. Read `oddwave/progress.py` next."""

from collections.abc import Generator

from oddwave.errors import ConfigError
from oddwave.progress import stage
from oddwave.stopping import stops_as_interrupts
from oddwave.training.loop import TrainStep

__all__ = ["run_with_progress"]


def run_with_progress(steps: Generator[TrainStep, None, None], description: str, *, show: bool) -> TrainStep:
    """Run a training generator to its end and return its last step; with `show`, say on standard error how far it is.

    SIGTERM and SIGHUP are taken as Ctrl-C is. One that comes outside the training step itself is handed to the
    generator, so that it always gets to save its state.

    Raises:
        TrainingInterrupted: on Ctrl-C and its like, and whatever else the generator raises.
        ConfigError: if the generator had already ended.
    """
    with stops_as_interrupts():
        try:
            last = _with_bar(steps, description, show)
        except KeyboardInterrupt as interrupt:
            steps.throw(interrupt)  # raises TrainingInterrupted; one that it raised itself goes straight through
            raise
    if last is None:
        raise ConfigError("the training generator had already ended; make a new one with train(...)")
    return last


def _with_bar(steps: Generator[TrainStep, None, None], description: str, show: bool) -> TrainStep | None:
    last = None
    with stage(description, show, keep=True) as report:
        for last in steps:
            report(last.step, last.num_steps, f"loss {last.loss:.4f}", last.seconds_left)
    return last
