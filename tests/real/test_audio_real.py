"""The wavelet frame, the way back to sound and planted anomalies on real sound (UrbanSound8K, folds 1 and 2).

The folder is ODDWAVE_DATA, else shared/data beside the repository.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from oddwave.planted.audio import AUDIO_ANOMALIES, make_synthetic_audio
from oddwave.tensors.audio_back import normal_audio
from oddwave.tensors.audio_map import AudioMap, RowScale
from oddwave.wavelets.frame import WaveletFrame

ROOT = Path(os.environ.get("ODDWAVE_DATA") or Path(__file__).parents[2].parent / "shared" / "data") / "urbansound8k"
RATE, N = 16000, 65536
CLASSES = ("air_conditioner", "engine_idling", "street_music", "children_playing", "drilling", "jackhammer")
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def backgrounds():
    """Three clips of each of six classes, 4.1 s, as float64."""
    soundfile = pytest.importorskip("soundfile")
    table = ROOT / "metadata" / "UrbanSound8K.csv"
    if not table.is_file():
        pytest.skip(f"no 'urbansound8k' in '{ROOT.parent}': set ODDWAVE_DATA to the data folder")
    with table.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["fold"] in "12"]
    clips = []
    for name in CLASSES:
        own = [row for row in rows if row["class"] == name]
        for row in (own[5], own[60], own[120]):
            path = next((ROOT / "audio" / f"fold{row['fold']}").glob(row["slice_file_name"].rsplit(".", 1)[0] + ".*"))
            clips.append(np.resize(soundfile.read(path)[0], N))
    return np.stack(clips)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("spacing", ["log", "mel", "linear"])
@pytest.mark.parametrize("wavelet", ["morse", "morlet"])
def test_round_trips_on_real_audio(backgrounds, spacing, wavelet, dtype, limit):
    for n in (N, 40_001):
        frame = WaveletFrame(n, RATE, f_min=40.0, spacing=spacing, wavelet=wavelet)
        clips = torch.from_numpy(backgrounds[::3, :n].copy()).to(dtype)
        error = (frame.synthesise(frame.analyse(clips)) - clips).norm(dim=1) / clips.norm(dim=1)
        assert error.max() < limit
    frame = WaveletFrame(8001, RATE, f_min=40.0, spacing=spacing, wavelet=wavelet)
    clips = torch.from_numpy(backgrounds[::3, 5000:13001].copy()).to(dtype)
    error = (frame.icwt(frame.cwt(clips)) - clips).norm(dim=1) / clips.norm(dim=1)
    assert error.max() < limit


def planted(kind, background, level_db, rng):
    """Plant an event so many dB above the background within its own span."""
    event, mask, t = np.zeros(N), np.zeros(N, bool), np.arange(int(0.6 * RATE)) / RATE
    if kind == "clicks":
        for number in range(8):
            start = int((0.8 + 0.3 * number + rng.uniform(0, 0.05)) * RATE)
            event[start : start + 320] += rng.normal(size=320) * np.exp(-np.arange(320) / (0.0015 * RATE))
            mask[start : start + 160] = True
    else:
        course = np.full(len(t), 3100.0 if kind == "tone" else 0.0)
        if kind == "squeal":
            course = 1400 + 1500 * t + 60 * np.sin(2 * np.pi * 6 * t)
        phase = 2 * np.pi * np.cumsum(course) / RATE
        wave = np.sin(phase) + (kind == "squeal") * (0.5 * np.sin(2 * phase) + 0.25 * np.sin(3 * phase))
        start = int(1.5 * RATE)
        event[start : start + len(t)] = wave * np.minimum(1, np.minimum(t, t[::-1]) / 0.01)
        mask[start : start + len(t)] = True
    size = background[mask].std() * 10 ** (level_db / 20)
    return event * size / np.sqrt(np.mean(event[mask] ** 2)), mask


@pytest.mark.parametrize(
    ("kind", "level_db", "median_db", "worst_db"), [("tone", 6, 18, 18), ("squeal", 6, 18, 12), ("clicks", 12, 15, 12)]
)
def test_planted_audio_are_isolated_with_the_map_of_the_background(
    backgrounds, kind, level_db, median_db, worst_db, capsys
):
    audio_map, ratios = AudioMap(), []
    for background in backgrounds:
        event, mask = planted(kind, background, level_db, np.random.default_rng(1))
        clip, clean = (torch.from_numpy(x[None].astype(np.float32)) for x in (background + event, background))
        normal = normal_audio(audio_map, clip, audio_map.levels_db(clip), audio_map.levels_db(clean))
        left = (clip - normal)[0].numpy() - event
        ratios.append(10 * np.log10(np.sum(event[mask] ** 2) / np.sum(left[mask] ** 2)))
    with capsys.disabled():
        low, middle, high = np.quantile(ratios, [0.0, 0.5, 1.0])
        print(f"\n{kind} {level_db} dB above the background: {middle:.1f} dB ({low:.1f} to {high:.1f})")
    assert np.median(ratios) >= median_db
    assert min(ratios) >= worst_db


def test_an_unchanged_map_of_real_audio_returns_it(backgrounds):
    audio_map = AudioMap()
    clips = torch.from_numpy(backgrounds.astype(np.float32))
    levels = audio_map.levels_db(clips)
    scale = RowScale.fit(levels)
    assert torch.equal(normal_audio(audio_map, clips, levels, scale.inverse(scale.scale(levels), levels)), clips)


def test_every_kind_can_be_planted_in_real_audio(backgrounds):
    for kind in AUDIO_ANOMALIES:
        made = make_synthetic_audio(backgrounds, RATE, np.random.default_rng(0), [kind])
        np.testing.assert_array_equal(made.clips != backgrounds, made.masks)
        assert np.mean([name == kind for name in made.kinds]) >= 0.9
