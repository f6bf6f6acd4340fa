"""One sound file to samples: the border behind which nothing but `DataError` comes out of a decoder.

Samples are float32, 1 being full scale, in chunks, so that memory never depends on a recording's length. The text of
each refusal is a predicate ("is empty (0 bytes): ..."): the caller knows the recording's name and puts it in front.
What could be read before a fault is given, and the fault is noted. Read `stream.py` next.
Legend: n samples per channel, C channels.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from oddwave.errors import DataError, MissingExtraError
from oddwave.sources.files import FileKind
from oddwave.sources.foreign import HEAD_BYTES, foreign_name

__all__ = [
    "AUDIO_ENDINGS",
    "HIGHEST_RATE",
    "LOWEST_RATE",
    "RECORDINGS",
    "AudioHeader",
    "array_chunks",
    "array_header",
    "file_chunks",
    "file_digest",
    "file_header",
]

AUDIO_ENDINGS = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
    *(".au", ".snd", ".caf", ".w64", ".rf64"),
)
_FOREIGN_ENDINGS = (
    *(".m4a", ".m4b", ".aac", ".ac3", ".wma", ".amr", ".3ga", ".ape", ".wv", ".tta", ".dsf", ".dff", ".mka", ".weba"),
)
LOWEST_RATE = 100  # Hz; a damaged header that says less would turn seconds into days
HIGHEST_RATE = 20_000_000  # Hz, of acoustic emission; one that says more would put hours into one block
RECORDINGS = FileKind("recording", AUDIO_ENDINGS, _FOREIGN_ENDINGS)

_CHUNK_VALUES = 1 << 17  # decoded at a time, all channels together
_FULL_SCALE = 0.9999  # of samples with 16 bit or more, just below their largest value
_COARSE_FULL_SCALE = {"PCM_U8": 127 / 128, "PCM_S8": 127 / 128, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768}
_OWN_NAMES = ("a WAV recording", "a FLAC recording", "an OGG recording", "an MP3 recording")
_FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
_LENGTH_UNKNOWN = 1 << 62  # libsndfile says 2^63 - 1 where a header leaves the length open
_MOST_SAMPLES_PER_BYTE = 4096  # of a file; silence packs to 400, and a header that claims more is damaged
_LENGTH_OPEN_BYTES = 0x7FFFF000  # recorders that cannot go back write such sizes on purpose
_LOST_S = 0.1  # compressed formats may end so much early without anything being lost
_BROADCAST_WITHIN = 4096  # bytes of a file; in its chunk "bext" the date stands behind texts of fixed lengths
_BROADCAST_DATE, _DATE_CLOCK = 8 + 256 + 32 + 32, ((0, 10), (10, 18))
# How libsndfile's log names a chunk that ends before its size says; in 64-bit files only the outermost one is named.
_CUT_CHUNK = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_CUT_FILE = re.compile(r"^\s*(?:riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


@dataclass(frozen=True)
class AudioHeader:
    """What is known before samples are read; `num_samples` is None where the header leaves it open.

    Samples at or above `full_scale` are at the converter's limit; floats only where they also stay the same.
    """

    sample_rate: int
    num_channels: int
    num_samples: int | None
    full_scale: float
    is_float: bool
    notes: tuple[str, ...] = ()
    recorded: str = ""  # when, as the file has it


def file_header(path: Path) -> AudioHeader:
    """Read what a file says about itself, without decoding.

    Raises: DataError for what is missing, empty, no sound, or holds no samples; MissingExtraError without soundfile.
    """
    with _opened(path) as audio:
        header = _header_of(audio)
    if header.num_samples == 0:
        raise DataError(_no_samples(path))
    return header


def file_digest(path: Path) -> str:
    """Return the BLAKE2b hash of a file's bytes. Raises: DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise DataError(_unreadable(error)) from error


def file_chunks(path: Path, notes: list[str]) -> Iterator[Float[np.ndarray, "n C"]]:
    """Decode a file from its start, as long as that works; faults after the first sample are added to `notes`.

    Raises: DataError where nothing can be decoded.
    """
    with _opened(path) as audio:
        header = _header_of(audio)
        read, fault = 0, ""
        while not fault:
            chunk, fault = _next_chunk(audio, max(1, _CHUNK_VALUES // header.num_channels))
            if not len(chunk):
                break
            read += len(chunk)
            yield chunk
        if not read:
            raise DataError(f"is damaged ({fault}): copy it again" if fault else _no_samples(path))
        if fault:
            notes.append(f"{_ends_early(read, header.num_samples, header.sample_rate)} ({fault})")
        elif header.num_samples and header.num_samples - read > _LOST_S * header.sample_rate:
            notes.append(_ends_early(read, header.num_samples, header.sample_rate))


def array_header(values: Shaped[np.ndarray, "n C"], sample_rate: int) -> AudioHeader:
    """Describe samples that came as an array. Raises: DataError for types without a meaning as sound."""
    if values.dtype.kind not in "fiu" or values.dtype.itemsize > (8 if values.dtype.kind == "f" else 4):
        raise DataError(f"has samples of type {values.dtype}: expected 8, 16 or 32 bit integers, or floats in [-1, 1]")
    full_scale = 127 / 128 if values.dtype.itemsize == 1 else _FULL_SCALE
    return AudioHeader(sample_rate, values.shape[1], len(values), full_scale, values.dtype.kind == "f")


def array_chunks(values: Shaped[np.ndarray, "n C"]) -> Iterator[Float[np.ndarray, "n C"]]:
    """Give an array in chunks: floats as they are, whole numbers divided by full scale, unsigned ones centred first."""
    step = max(1, _CHUNK_VALUES // values.shape[1])
    for start in range(0, len(values), step):
        part = values[start : start + step]
        if part.dtype.kind == "f":
            with np.errstate(over="ignore"):  # what no float32 can hold becomes infinite, and is noted as such
                chunk = np.asarray(part, np.float32)
            yield chunk
        else:
            half = 2.0 ** (8 * part.dtype.itemsize - 1)
            yield np.asarray((part.astype(np.float64) - half * (part.dtype.kind == "u")) / half, np.float32)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file with soundfile; whatever it raises, here or while the file is open, becomes a `DataError`."""
    soundfile = _soundfile()
    try:
        _check_file(path)
        with soundfile.SoundFile(path) as audio:
            # Else soundfile seeks after each read: slow, and a fault at the end of files that leave their length open.
            audio.seekable = lambda: False
            yield audio
    except DataError:
        raise
    except MemoryError as error:
        raise DataError("does not fit into memory: cut it into pieces") from error
    except OSError as error:
        raise DataError(_unreadable(error)) from error
    except Exception as error:  # decoders answer broken files with almost any exception
        detail = _detail(error)
        if "not recognised" in detail or isinstance(error, TypeError):  # a TypeError asks for the form of raw samples
            raise DataError(_unidentified(path)) from error
        raise DataError(f"is damaged or cut off ({detail}): copy or save it again") from error


def _check_file(path: Path) -> None:
    """Find what is wrong with a file before any decoder looks at it: libsndfile says no more than "System error"."""
    if path.is_dir():
        raise DataError("is a folder: give it on its own, or list the recordings in it")
    if not path.exists():
        raise DataError("does not exist (any more): read the source again once nobody writes to it")
    if not path.is_file():  # opening a pipe would wait for ever
        raise DataError("is no ordinary file: give a recording")
    if not path.stat().st_size:
        raise DataError("is empty (0 bytes): copy it again")
    with path.open("rb"):
        pass


def _unidentified(path: Path) -> str:
    """Name what no decoder knows by its first bytes."""
    with path.open("rb") as file:
        name = foreign_name(file.read(HEAD_BYTES))
    if name in _OWN_NAMES:
        return f"begins like {name} but is damaged: copy or save it again"
    if name:
        return f"is {name} and cannot be read: save it as WAV or FLAC"
    return "is no sound in a format that can be read (WAV, FLAC, OGG, MP3, AIFF and others): save it as WAV"


def _header_of(audio: Any) -> AudioHeader:
    rate, channels, length = int(audio.samplerate), int(audio.channels), int(audio.frames)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE or channels < 1 or length < 0:
        raise DataError(f"says that it has {channels} channel(s) at {rate} Hz: its header is damaged, save it again")
    log = str(audio.extra_info)
    notes = []
    found = _CUT_CHUNK.search(log) or (_CUT_FILE.search(log) if audio.format in ("W64", "RF64") else None)
    if found and (claimed := int(found[1])) < _LENGTH_OPEN_BYTES and claimed > (held := int(found[2])) > 0:
        notes.append(_ends_early(length, round(length * claimed / held), rate))
    full_scale = _COARSE_FULL_SCALE.get(audio.subtype, _FULL_SCALE)
    believed = min(_LENGTH_UNKNOWN, _MOST_SAMPLES_PER_BYTE * Path(audio.name).stat().st_size)
    known = length if length < believed else None  # open, or damaged: it must be counted
    return AudioHeader(
        rate, channels, known, full_scale, audio.subtype in _FLOAT_SUBTYPES, tuple(notes), _date_of(audio)
    )


def _date_of(audio: Any) -> str:
    """Return the date and time that a file says it was recorded at (Broadcast WAV), or its tag of a date."""
    if audio.format in ("WAV", "WAVEX", "RF64"):
        with Path(audio.name).open("rb") as file:
            start = file.read(_BROADCAST_WITHIN)
        place = start.find(b"bext") + _BROADCAST_DATE
        if place > _BROADCAST_DATE:
            date, clock = (
                start[place + first : place + last].decode("ascii", "replace") for first, last in _DATE_CLOCK
            )
            return f"{date} {clock}"
    return str(audio.copy_metadata().get("date", ""))


def _next_chunk(audio: Any, length: int) -> tuple[Float[np.ndarray, "n C"], str]:
    """Return up to `length` frames and, where the decoder stumbled behind them, what it said."""
    chunk = np.full((length, audio.channels), np.nan, np.float32)
    try:
        return audio.read(out=chunk), ""
    except Exception as error:
        # The decoder does not say how far it came, but what it has not written is still missing.
        written = np.flatnonzero(~np.isnan(chunk).all(axis=1))
        return chunk[: written[-1] + 1 if len(written) else 0], _detail(error)


def _ends_early(read: int, claimed: int | None, sample_rate: int) -> str:
    says = "" if claimed is None else f" although its header says {claimed / sample_rate:.4g} s"
    return f"ends after {read / sample_rate:.4g} s{says}"


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error}): check its permissions and its disk"


def _no_samples(path: Path) -> str:
    size = path.stat().st_size
    return (
        f"holds no samples ({size} bytes in all): record it again, or if its recorder was cut off before it wrote the "
        "length, mend the header, for example with 'sox --ignore-length'"
    )


def _detail(error: Exception) -> str:
    """Return what a decoder said, on one line, without the path, which the caller names."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"^Error opening .*?: (?=[A-Z])", "", text).removeprefix("Error : ").rstrip(".")


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, its library is not
        raise MissingExtraError("reading sound files", "audio") from error
    return soundfile  # type: ignore[no-any-return]
