"""Every clip calibrates: which fold it is judged in, and that nothing of the fold is known there."""

import numpy as np
import pytest
import torch
from torch import nn

from oddwave.config import preset
from oddwave.detection.audio.split import shared_clips, split_clips
from oddwave.detection.audio.terms import audio_map_of
from oddwave.detection.left_out import Folds, LeftOut
from oddwave.errors import DataError
from oddwave.sources.audio.reader import read_audio

RATE = 8000


def split(seconds, *overrides):
    config = preset("fast", "audio").with_overrides([f"audio.sample_rate={RATE}", "audio.clip_s=1.0", *overrides])
    rng, source = np.random.default_rng(0), {}
    for number, duration_s in enumerate(seconds):
        source[f"r{number:02d}"] = (0.1 * rng.normal(size=round(duration_s * RATE)).astype(np.float32), RATE)
    audio_map = audio_map_of(config.audio)
    made = split_clips(read_audio(source).items, audio_map, config, stop_on_error=True, show=False)
    return made, shared_clips(audio_map, config)


def test_of_many_recordings_whole_ones_are_judged_together() -> None:
    made, _ = split([4.0] * 12)
    assert len(made.clips) == 12 * 6
    for number in range(12):
        assert len(set(made.folds.of[made.recording == number].tolist())) == 1
    assert np.array_equal(made.folds.apart, made.folds.of == np.arange(5)[:, None])
    assert np.bincount(made.folds.of).min() >= 10


def test_a_copy_is_in_the_fold_of_its_original() -> None:
    config = preset("fast", "audio").with_overrides([f"audio.sample_rate={RATE}", "audio.clip_s=1.0"])
    rng = np.random.default_rng(0)
    own = [(0.1 * rng.normal(size=2 * RATE).astype(np.float32), RATE) for _ in range(11)]
    items = read_audio([*own, own[3]]).items
    made = split_clips(items, audio_map_of(config.audio), config, stop_on_error=True, show=False)
    assert set(made.folds.of[made.recording == 3].tolist()) == set(made.folds.of[made.recording == 11].tolist())


def test_of_one_long_recording_each_stretch_is_judged_without_the_clips_beside_it() -> None:
    made, gap = split([40.0])
    place = np.arange(len(made.clips))
    assert sorted(set(made.folds.of.tolist())) == [0, 1, 2, 3, 4]
    for number in place:
        known = place[~made.folds.apart[made.folds.of[number]]]
        assert np.abs(known - number).min() > gap
        assert len(known) > 0.5 * len(place)


def test_of_more_clips_than_wanted_half_are_spread_evenly() -> None:
    made, _ = split([30.0] * 3, "audio.max_clips=50")
    assert len(made.clips) == 50
    assert np.bincount(made.recording[made.even]).tolist() == pytest.approx([25 / 3] * 3, abs=1)
    assert made.even.sum() == 25
    assert any("50 of 120 clips were kept (audio.max_clips): half evenly spread" in note for note in made.notes)


def test_clips_that_overlap_too_much_for_anything_to_be_known_are_refused() -> None:
    with pytest.raises(DataError, match=r"give longer recordings or lower audio\.overlap"):
        split([3.0], "audio.overlap=0.9")


def test_without_a_fold_the_others_are_known_and_afterwards_all() -> None:
    class Owner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.distances = nn.ModuleDict({"mean": nn.Identity(), "background": nn.Identity()})

    values = torch.arange(10.0)
    of = np.arange(10) % 2
    owner = Owner()
    left_out = LeftOut(owner, Folds(of, of == np.arange(2)[:, None]))

    def fitted(kept: torch.Tensor) -> dict[str, nn.Module]:
        known = nn.Identity()
        known.register_buffer("sum", values[kept].sum())
        return {"mean": known}

    left_out.learn(fitted)
    whole = owner.distances
    with left_out.without(0):
        assert owner.distances["mean"].sum.item() == 1 + 3 + 5 + 7 + 9
        assert owner.distances["background"] is whole["background"]
    assert owner.distances is whole
