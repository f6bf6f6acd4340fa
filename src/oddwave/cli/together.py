"""Commands that torchrun starts several times over: the first process runs it, the others help it to train.

They do not look at the command's arguments, so that whatever is wrong with those is said once.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from oddwave.errors import OddwaveError
from oddwave.ranks import OtherEnded, led, started_several
from oddwave.stopping import STOP_SIGNALS

__all__ = ["TRAIN", "in_all_processes"]

TRAIN = ("fit", "detect")  # commands that may train a network


@contextmanager
def in_all_processes() -> Iterator[None]:
    """Go on in the first process only, with the others at hand for its trainings.

    Raises: typer.Exit in the others, once the first one has done; ConfigError where they cannot find each other.
    """
    if not started_several():
        yield
        return
    from oddwave.detection.denoiser import help_to_train

    with led() as ranks:
        if not ranks.first:
            for number in STOP_SIGNALS:  # there is nothing to save here, and a wait for others cannot be interrupted
                signal.signal(number, signal.SIG_DFL)
            try:
                help_to_train(ranks)
            except (OddwaveError, KeyboardInterrupt) as error:  # the first process has it as well, and says it
                with suppress(OddwaveError, KeyboardInterrupt):
                    if not isinstance(error, OtherEnded | KeyboardInterrupt):
                        ranks.of_first(None)  # which takes until it has: torchrun ends all when the first of them ends
                raise typer.Exit(1) from None
            raise typer.Exit
        yield
