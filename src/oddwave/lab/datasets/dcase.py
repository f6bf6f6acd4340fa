"""DCASE Task 2, anomalous machine sounds: the development data of any year since 2020, by machine and section.

Layout: `dev_data/<machine>/train/*` and `dev_data/<machine>/test/*` (2021: `source_test` and `target_test`). The file
names tell all else: `section_00_source_test_anomaly_0001_<attributes>.wav` since 2021, `anomaly_id_00_00000001.wav`
in 2020, where machines have ids instead of sections and there are no domains. Evaluation data hide their labels, and
cannot be used. Sources: Koizumi et al. 2020, Kawaguchi et al. 2021, Dohi et al. 2022 and later; licences CC BY 4.0,
2020 CC BY-NC-SA 4.0. Read `recordings.py` for what is returned.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oddwave.errors import DataError
from oddwave.lab.datasets.recordings import ClipSplit
from oddwave.sources.audio.decode import RECORDINGS

__all__ = ["load_dcase"]

_FOLDERS = ("dcase", "dcase_task2", "dev_data", "")
_TEST_FOLDERS = ("test", "source_test", "target_test")
_NAME = re.compile(
    r"(?P<section>section_\d+)_(?P<domain>source|target)_(?:train|test)_(?P<label>normal|anomaly)_"
    r"|(?P<label_2020>normal|anomaly)_(?P<section_2020>id_\d+)_"
)


@dataclass(frozen=True)
class _Clip:
    path: Path
    section: str
    domain: str
    is_anomalous: bool

    @property
    def kind(self) -> str:
        return f"{'anomaly' if self.is_anomalous else 'normal'}{self.domain and f', {self.domain}'}"


def load_dcase(root: Path | str, only: Collection[str] | None = None, *, by_section: bool = True) -> list[ClipSplit]:
    """Load one split per machine and section, called "fan/section_00", or one per machine; in sorted order.

    `root` is the folder of a year's development data, `dev_data` in it, or the data folder above. `only` keeps the
    machines it lists. A test clip's kind is "normal" or "anomaly", with its domain: "anomaly, target".
    Raises: DataError for a folder in another layout, a machine that is not there, or a file name that does not tell its
    section and label.
    """
    machines = {folder.name: folder for folder in _machine_folders(Path(root))}
    absent = sorted(set(only or ()) - set(machines))
    if absent:
        raise DataError(f"'{root}' has no machine {', '.join(absent)}: choose from {', '.join(sorted(machines))}")
    chosen = [machines[name] for name in sorted(machines) if only is None or name in only]
    return [split for folder in chosen for split in _load_machine(folder, by_section)]


def _machine_folders(root: Path) -> list[Path]:
    places = [root / name / inner for name in _FOLDERS for inner in ("dev_data", "")]
    for place in dict.fromkeys(places):
        found = [folder for folder in _subfolders(place) if any(_NAME.match(p.name) for p in _clips(folder / "train"))]
        if found:
            return found
    raise DataError(
        f"DCASE Task 2 not found: no '<machine>/train/<section and label>.wav' in '{root}', with or without "
        "'dev_data'; unpack the official development data there"
    )


def _load_machine(folder: Path, by_section: bool) -> list[ClipSplit]:
    train = [_parsed(path) for path in _clips(folder / "train")]
    test = [_parsed(path) for name in _TEST_FOLDERS for path in _clips(folder / name)]
    if any(clip.is_anomalous for clip in train):
        raise DataError(f"'{folder / 'train'}' holds anomalous clips: expected normal ones only, unpack it again")
    if not test:
        raise DataError(f"'{folder}' has no clips in {', '.join(_TEST_FOLDERS)}: unpack the development data again")
    if not by_section:
        return [_split(folder.name, train, test)]
    sections = sorted({clip.section for clip in (*train, *test)})
    parts = {name: [[clip for clip in part if clip.section == name] for part in (train, test)] for name in sections}
    lacking = [name for name, part in parts.items() if not all(part)]
    if lacking:
        raise DataError(
            f"'{folder}': {', '.join(lacking)} has clips to train on or to test only: load it with by_section=False"
        )
    return [_split(f"{folder.name}/{name}", *part) for name, part in parts.items()]


def _split(name: str, train: list[_Clip], test: list[_Clip]) -> ClipSplit:
    label = np.array([clip.is_anomalous for clip in test], dtype=np.int64)
    train_paths, test_paths = (tuple(clip.path for clip in part) for part in (train, test))
    return ClipSplit(name, train_paths, test_paths, label, tuple(clip.kind for clip in test))


def _parsed(path: Path) -> _Clip:
    found = _NAME.match(path.name)
    if found is None:
        raise DataError(
            f"'{path}' does not tell its section and label: expected a name such as section_00_source_test_normal_0001 "
            "or normal_id_00_00000001, as the development data have; the labels of evaluation data are not public"
        )
    label = found["label"] or found["label_2020"]
    return _Clip(path, found["section"] or found["section_2020"], found["domain"] or "", label == "anomaly")


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _clips(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if RECORDINGS.matches(path) and not path.name.startswith("."))
