"""When a recording was made: read from its name, else from its file."""

import struct
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from oddwave.sources.audio.reader import read_audio
from oddwave.sources.audio.when import recorded_at

NOON = datetime(2024, 5, 1, 12, 30)


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("2024-05-01T12-30-00.wav", NOON), ("20240501_123000.flac", NOON), ("pump_2024-05-01 12.30.wav", NOON),
        ("2024-05-01/12-30-00.wav", NOON), ("20240501123000.wav", NOON), ("20240501T123000Z.wav", NOON),
        ("2024.05.01-12h30.wav", NOON), ("a/2024-05-01/2024-05-01_12-30-00/channel_2", NOON),
        ("rec20240501.wav", datetime(2024, 5, 1)), ("2023-01-01/2024-05-01_3.wav", datetime(2024, 5, 1)),
        ("2024-04-31.wav", None), ("serial 120240501.wav", None), ("pump_17.wav", None), ("2024-05-0112.wav", None),
        ("01-05-2024.wav", None), ("", None), ("2024-13-01", None),
    ],
)  # fmt: skip
def test_names_tell_when(name: str, moment: datetime | None) -> None:
    assert recorded_at(name) == moment


def test_the_name_comes_before_the_file() -> None:
    assert recorded_at("pump.wav", "2024-05-01 12:30:00") == NOON
    assert recorded_at("2023-01-01.wav", "2024-05-01 12:30:00") == datetime(2023, 1, 1)


def test_files_tell_when(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "tagged.flac", "w", 8000, 1) as file:
        file.date = "2024-05-01"
        file.write(np.zeros(100))
    soundfile.write(tmp_path / "plain.wav", np.zeros(100), 8000, subtype="PCM_16")
    plain = (tmp_path / "plain.wav").read_bytes()
    bext = b"".join(part.ljust(size, b"\0") for part, size in ((b"", 256), (b"", 32), (b"", 32), (b"2024-05-01", 10),
                                                              (b"12:30:00", 8), (b"", 8 + 2 + 64 + 190)))  # fmt: skip
    chunk = b"bext" + struct.pack("<I", len(bext)) + bext
    whole = plain[:12] + chunk + plain[12:]
    (tmp_path / "broadcast.wav").write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    found = {item.id: item.recorded_at for item in read_audio(tmp_path).items}
    assert found == {"broadcast.wav": NOON, "plain.wav": None, "tagged.flac": datetime(2024, 5, 1)}
