"""Which part of a joint model a path is meant for, by the endings of its files; nothing is opened."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oddwave.errors import DataError
from oddwave.sources.audio.decode import RECORDINGS
from oddwave.sources.files import FileKind, find_files, is_path
from oddwave.sources.image.folder import IMAGES
from oddwave.sources.series.reader import SERIES_FILES

__all__ = ["modalities_of", "one_of"]

_KINDS: Mapping[str, FileKind] = {"image": IMAGES, "audio": RECORDINGS, "series": SERIES_FILES}


def one_of(modalities: Sequence[str], source: Any) -> str:
    """Return which of a model's modalities a source is of. Raises: DataError where there is not just one."""
    found = [modality for modality in modalities if modality in modalities_of(source)]
    if len(found) != 1:
        held = f"holds files of {' and '.join(found)}" if found else "is, by its files' endings, of none of them"
        one = (found or modalities)[0]
        raise DataError(
            f"the model is of {' and '.join(modalities)}; what was given {held}: give modality={one}, for example"
        )
    return found[0]


def modalities_of(source: Any) -> set[str]:
    """Return of which modalities there are files in what a path, a glob or a list of paths means.

    None of arrays and frames, which may be anything. Raises: DataError where a path leads nowhere.
    """
    if is_path(source):
        return {modality for modality, kind in _KINDS.items() if _holds(source, kind)}
    if isinstance(source, Sequence) and all(is_path(entry) for entry in source):
        return set().union(*(modalities_of(entry) for entry in source))
    return set()


def _holds(source: str, kind: FileKind) -> bool:
    try:
        found = find_files(source, kind)
    except DataError:
        if Path(source).expanduser().is_dir() or set("*?[") & set(str(source)):
            return False
        raise
    return bool(kind.choose([path for _, path in found.files])[0])
