"""Where a training keeps its state while it runs: a folder beside the result, gone once the result is there.

Read `loop.py` next: it saves the state.
"""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from oddwave.errors import CheckpointError, OddwaveError
from oddwave.training.loop import STATE_FILE, TrainingInterrupted

__all__ = ["training_folder"]


@contextmanager
def training_folder(target: Path, resume: bool) -> Iterator[Path]:
    """Keep the training's state in `TARGET.training` until all is done; it stays if anything stops before the end.

    Raises:
        CheckpointError: there is nothing to resume, or the folder cannot be made.
    """
    target = target.absolute()
    folder = target.with_name(f"{target.name}.training")
    state = folder / STATE_FILE
    if resume and not state.exists():
        raise CheckpointError(f"there is no stopped training in {folder}: leave --resume out to start anew")
    if not resume and state.exists():
        warnings.warn(f"{folder} holds a stopped training: starting anew replaces it (--resume goes on)", stacklevel=3)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot make {folder}: {error.strerror}; choose another output folder") from error
    try:
        yield folder
    except (KeyboardInterrupt, OddwaveError) as error:
        if not resume and not isinstance(error, TrainingInterrupted) and state.exists():
            error.add_note(f"the training so far is kept in {folder}: --resume goes on from it")
        raise
    else:
        shutil.rmtree(folder)
    finally:
        with suppress(OSError):  # not empty: something is kept
            for place in made:
                place.rmdir()
