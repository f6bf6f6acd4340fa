"""Where a training keeps its state while it runs: the result's own hidden folder, gone once the result is there.

Read `training/loop.py` next: it saves the state.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oddwave.errors import CheckpointError, OddwaveError
from oddwave.files import OWN_FOLDER
from oddwave.folders import at_work
from oddwave.training.loop import SECOND_FOLDER, STATE_FILE, TrainingInterrupted

__all__ = ["training_folder"]

_STATES = (STATE_FILE, f"{SECOND_FOLDER}/{STATE_FILE}")


@contextmanager
def training_folder(target: Path, resume: bool) -> Iterator[Path]:
    """Keep the training's state in `TARGET/.oddwave` until all is done; it stays if anything stops before the end.

    Nobody else works in `target` meanwhile.

    Raises:
        CheckpointError: there is nothing to resume, another process is at work in `target`, or it cannot be written.
    """
    state = target.absolute() / OWN_FOLDER / STATE_FILE
    nothing = f"there is no stopped training in {state.parent}: leave --resume out to start anew"
    if resume and not state.exists():  # before a folder is made
        raise CheckpointError(nothing)
    with at_work(target, spare=_STATES) as room:
        state = room / STATE_FILE
        if resume and not state.exists():
            raise CheckpointError(nothing)
        if not resume and state.exists():
            warnings.warn(
                f"{room} holds a stopped training: starting anew replaces it (--resume goes on)", stacklevel=3
            )
        try:
            yield room
        except (KeyboardInterrupt, OddwaveError) as error:
            if not resume and not isinstance(error, TrainingInterrupted) and state.exists():
                error.add_note(f"the training so far is kept in {room}: --resume goes on from it")
            raise
