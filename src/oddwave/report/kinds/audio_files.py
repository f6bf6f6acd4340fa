"""The audio that goes with a report: embedded in the page while it fits, else files beside it.

What is written beside scores is 32-bit float WAV, so that normal and odd part add up to the input and nothing is
clipped; what is embedded is 16-bit WAV, half as large. Both are named by what they hold: "pump_normal.wav". Read
`audio_page.py` for the page and `../outputs.py` for the folder. Legend: n samples.
"""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.report.kinds.base import Media
from oddwave.report.kinds.views import ranked
from oddwave.results import AudioExcerpt, AudioResult, DetectionResult

__all__ = ["AUDIO_FILES", "AudioPlan", "embedded_part", "loudness_db", "part_names", "plan_audio", "wav_bytes"]

EMBEDDED_BYTES = 12_000_000  # of the page, for all audio in it
PARTS = ("input", "normal", "odd")
_LOUDEST_DB = -3.0  # embedded audio is raised so far, below full scale
_MOST_GAIN_DB = 40.0
_LONGEST_STEM = 80  # characters, of what a file is called


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """What a recording's audio files are called (without "_normal.wav"), and whether the page holds them itself."""

    stem: str
    embed: bool


def plan_audio(items: Sequence[AudioResult]) -> dict[tuple[str, int], AudioPlan]:
    """Return by id and number where the audio of each excerpt goes, the most abnormal recordings embedded first.

    Of every recording the first excerpt comes before the second ones of all.
    """
    plans: dict[tuple[str, int], AudioPlan] = {}
    stems: set[str] = set()
    left = EMBEDDED_BYTES
    first = {item.id: item for item in reversed(ranked(items))}  # listed twice: the same audio
    order = [item for item in ranked(items) if first[item.id] is item]
    most = max((len(item.excerpts) for item in order), default=0)
    for number in range(most):
        for item in order:
            if number >= len(item.excerpts):
                continue
            size = len(PARTS) * (2 * len(item.excerpts[number].samples) + 44) * 4 // 3
            name = _safe_name(item.id) + (f"_at_{item.excerpts[number].start_s:.0f}s" if number else "")
            stem = _unused(name, stems)
            stems.add(stem.lower())
            plans[item.id, number] = AudioPlan(stem, embed=size <= left)
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


def samples_of(excerpt: AudioExcerpt, part: str) -> Float[np.ndarray, " n"]:
    """Return the samples of one part of an excerpt."""
    return {"input": excerpt.samples, "normal": excerpt.normal, "odd": excerpt.odd}[part]


def part_names(stem: str) -> dict[str, str]:
    """Return the file names of a recording's parts."""
    return {part: f"{stem}_{part}.wav" for part in PARTS}


def loudness_db(excerpt: AudioExcerpt) -> float:
    """Return by how much all three parts of an excerpt are raised or lowered in the page, so that they are heard."""
    peak = max(float(np.abs(samples_of(excerpt, part)).max(initial=0.0)) for part in PARTS)
    return min(_MOST_GAIN_DB, _LOUDEST_DB - 20 * float(np.log10(max(peak, 1e-9))))


def embedded_part(excerpt: AudioExcerpt, part: str) -> str:
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


def _write(result: DetectionResult, folder: Path, only_linked: bool) -> None:
    """Write input, normal version and odd part of each excerpt into a new folder.

    `only_linked` leaves out what the page holds itself. Without anything to write there is no folder. Raises: OSError.
    """
    plans = plan_audio(result.recordings)
    for item in result.recordings:
        for number, excerpt in enumerate(item.excerpts):
            plan = plans.get((item.id, number))
            if plan is None or (only_linked and plan.embed):
                continue
            folder.mkdir(exist_ok=True)
            for part, name in part_names(plan.stem).items():
                (folder / name).write_bytes(wav_bytes(samples_of(excerpt, part), excerpt.sample_rate))


def _names(result: DetectionResult) -> dict[str, dict[str, str]]:
    names: dict[str, dict[str, str]] = {}
    for (identifier, number), plan in plan_audio(result.recordings).items():
        own = {f"{part}_{number + 1}" if number else part: name for part, name in part_names(plan.stem).items()}
        names.setdefault(identifier, {}).update(own)
    return names


AUDIO_FILES = Media(
    folder="audio",
    names=_names,
    linked=lambda result: any(not plan.embed for plan in plan_audio(result.recordings).values()),
    write=_write,
)
