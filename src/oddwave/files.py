"""Folders that oddwave itself made, recognised by what lies in them, so that no one else's are written into or read.

A results folder opens its `summary.json` with the version of oddwave, a model its `meta.json` with the word "oddwave
model", and every folder that oddwave is at work in holds `.oddwave/owner.json`. No torch here.
"""

from pathlib import Path
from typing import Literal

__all__ = ["OWNER_FILE", "OWN_FOLDER", "RESULT_FILES", "FolderKind", "folder_kind", "own_entries"]

OWN_FOLDER = ".oddwave"  # in the output's folder: what oddwave is still at work on
OWNER_FILE = "owner.json"  # in there: the marker that oddwave made it
RESULT_FILES = ("scores.csv", "events.csv", "clips.csv", "summary.json", "report.html")
FolderKind = Literal["model", "results", "unfinished"]
_MARKS: dict[FolderKind, tuple[str, bytes]] = {
    "model": ("meta.json", b'"format": "oddwave model"'),
    "results": ("summary.json", b'"oddwave_version"'),
    "unfinished": (f"{OWN_FOLDER}/{OWNER_FILE}", b'"format": "oddwave'),
}
_HEAD_BYTES = 4096


def folder_kind(folder: Path) -> FolderKind | None:
    """Return what oddwave made of this folder; None for a folder that it did not make, or that is not there."""
    for kind, (name, mark) in _MARKS.items():
        if mark in _head(folder / name):
            return kind
    return None


def own_entries(folder: Path) -> frozenset[str]:
    """Return the names in this folder that oddwave wrote, and that are therefore no data; empty in anyone else's."""
    kind = folder_kind(folder)
    if kind == "model":
        return frozenset(entry.name for entry in folder.iterdir())
    if kind == "results":
        return frozenset({OWN_FOLDER, *RESULT_FILES, *_sounds_folder(folder)})
    return frozenset({OWN_FOLDER}) if kind else frozenset()


def _sounds_folder(folder: Path) -> tuple[str, ...]:
    import json

    try:
        name = json.loads((folder / "summary.json").read_bytes())["sounds"]["folder"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()
    return (name,) if isinstance(name, str) else ()


def _head(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""
