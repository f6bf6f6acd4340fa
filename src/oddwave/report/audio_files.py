"""The sound that goes with a report: embedded in the page while it fits, else files beside it.

What is written beside scores is 32-bit float WAV, so that normal and odd part add up to the input and nothing is
clipped; what is embedded is 16-bit WAV, half as large. Both are named by what they hold: "pump_normal.wav". Read
`audio.py` for the page and `outputs.py` for the folder. Legend: n samples.
"""

import base64
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from oddwave.report.audio_words import ranked
from oddwave.results import AudioExcerpt, AudioResult, DetectionResult

__all__ = [
    "AUDIO_FOLDER",
    "EMBEDDED_BYTES",
    "AudioPart",
    "AudioPlan",
    "embedded_part",
    "free_name",
    "loudness_db",
    "own_entries",
    "part_names",
    "plan_audio",
    "samples_of",
    "wav_bytes",
    "write_audio",
]

EMBEDDED_BYTES = 12_000_000  # of the page, for all sound in it
AUDIO_FOLDER = "audio"
AudioPart = Literal["input", "normal", "odd"]
_LOUDEST_DB = -3.0  # embedded sound is raised so far, below full scale
_MOST_GAIN_DB = 40.0
_LONGEST_STEM = 80  # characters, of what a file is called


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """What a recording's sound files are called (without "_normal.wav"), and whether the page holds them itself."""

    stem: str
    embed: bool


def plan_audio(items: Sequence[AudioResult]) -> dict[str, AudioPlan]:
    """Say by id where the sound of each recording with an excerpt goes, the most abnormal embedded first."""
    plans: dict[str, AudioPlan] = {}
    stems: set[str] = set()
    left = EMBEDDED_BYTES
    for item in ranked(items):
        if item.excerpt is None or item.id in plans:  # listed twice: the same sound
            continue
        size = len(get_args(AudioPart)) * (2 * len(item.excerpt.samples) + 44) * 4 // 3
        stem = _unused(_safe_name(item.id), stems)
        stems.add(stem.lower())
        plans[item.id] = AudioPlan(stem, embed=size <= left)
        left -= size if size <= left else left  # once one does not fit, all further ones are files
    return plans


def _safe_name(identifier: str) -> str:
    """Turn an id into a name that every file system takes: letters, digits, dot, dash and underscore."""
    plain = re.sub(r"\.\w{2,4}(?=(/channel_\d+)?$)", "", identifier, flags=re.ASCII)  # "_normal.wav" comes behind
    name = re.sub(r"[^\w.-]+", "_", plain.replace("/", "-"), flags=re.ASCII).strip("._-")
    return name[-_LONGEST_STEM:].strip("._-") or "recording"


def _unused(name: str, taken: set[str]) -> str:
    number, candidate = 2, name
    while candidate.lower() in taken:  # some file systems take capitals for the same name
        candidate, number = f"{name}_{number}", number + 1
    return candidate


def samples_of(excerpt: AudioExcerpt, part: AudioPart) -> Float[np.ndarray, " n"]:
    """Return the samples of one part of an excerpt."""
    return {"input": excerpt.samples, "normal": excerpt.normal, "odd": excerpt.odd}[part]


def part_names(stem: str) -> dict[AudioPart, str]:
    """Return the file names of a recording's parts."""
    return {part: f"{stem}_{part}.wav" for part in get_args(AudioPart)}


def loudness_db(excerpt: AudioExcerpt) -> float:
    """Return by how much all three parts of an excerpt are raised or lowered in the page, so that they are heard."""
    peak = max(float(np.abs(samples_of(excerpt, part)).max(initial=0.0)) for part in get_args(AudioPart))
    return min(_MOST_GAIN_DB, _LOUDEST_DB - 20 * float(np.log10(max(peak, 1e-9))))


def embedded_part(excerpt: AudioExcerpt, part: AudioPart) -> str:
    """Return one part of an excerpt as a data URI, raised as `loudness_db` says."""
    samples = samples_of(excerpt, part) * 10 ** (loudness_db(excerpt) / 20)
    whole = np.round(32767 * np.clip(np.nan_to_num(samples), -1.0, 1.0)).astype(np.int16)
    return f"data:audio/wav;base64,{base64.b64encode(wav_bytes(whole, excerpt.sample_rate)).decode('ascii')}"


def wav_bytes(samples: np.ndarray, sample_rate: int) -> bytes:
    """Return samples as a WAV file: 16-bit integers as they are, all else as 32-bit floats."""
    from scipy.io import wavfile

    buffer = io.BytesIO()
    wavfile.write(buffer, sample_rate, samples if samples.dtype == np.int16 else samples.astype(np.float32))
    return buffer.getvalue()


def write_audio(result: DetectionResult, folder: Path, *, only_linked: bool = False) -> list[str]:
    """Write input, normal and odd sound of each recording with an excerpt into a new folder; return their names.

    `only_linked` leaves out what the page holds itself. Without any sound to write there is no folder. Raises: OSError.
    """
    plans, names = plan_audio(result.recordings), []
    for item in result.recordings:
        plan = plans.get(item.id)
        if item.excerpt is None or plan is None or (only_linked and plan.embed):
            continue
        folder.mkdir(exist_ok=True)
        for part, name in part_names(plan.stem).items():
            (folder / name).write_bytes(wav_bytes(samples_of(item.excerpt, part), item.excerpt.sample_rate))
            names.append(name)
    return list(dict.fromkeys(names))


def own_entries(folder: Path) -> tuple[str, ...]:
    """Return what an earlier run on recordings left in a folder beyond the usual files: these may be replaced.

    Its summary tells. A folder of sounds to which somebody has added a file is theirs now, and is not returned.
    """
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        if summary["kind"] != "recording":
            return ()
        audio, files = summary["audio"]["folder"], set(summary["audio"]["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    if not isinstance(audio, str) or Path(audio).name != audio:
        return ("clips.csv",)
    try:
        unchanged = {entry.name for entry in (folder / audio).iterdir()} <= files
    except OSError:
        unchanged = False
    return ("clips.csv", *([audio] if unchanged else []))


def free_name(folder: Path, own: Sequence[str]) -> str:
    """Return what the folder of sounds is called in a folder: nobody's files are ever replaced by it."""
    number, name = 2, AUDIO_FOLDER
    while (folder / name).exists() and name not in own:
        name, number = f"{AUDIO_FOLDER}_{number}", number + 1
    return name
