"""Recordings that share batches of clips: each is scored as it would be alone, and comes back in its place."""

from types import SimpleNamespace

import numpy as np
import torch

from oddwave.detection.audio.batches import ClipBatches, _Recording
from oddwave.detection.audio.model import ClipScores
from oddwave.detection.audio.vectors import clip_vectors
from oddwave.errors import DataError
from oddwave.sources.audio.clips import AudioClip
from oddwave.sources.audio.items import AudioFailure, AudioItem

RATE, LENGTH = 8000, 400


class Model:
    """Scores a clip by its first sample, plus ten times the fold that it is to know nothing of."""

    audio = SimpleNamespace(audio_map=SimpleNamespace(sample_rate=RATE))

    def __init__(self):
        self.fold, self.batches = 0, []

    def without(self, fold):
        model = self

        class Without:
            def __enter__(self):
                model.fold = fold

            def __exit__(self, *_):
                model.fold = 0

        return Without()

    def score(self, samples, scorer):
        self.batches.append((self.fold, len(samples)))
        found = samples[:, 0] + 10 * self.fold
        return ClipScores(found, np.zeros((len(samples), 2, 2)), {"clip": -found}, samples[:, :1, None])


class Clips:
    """The clips of a recording whose id tells how many there are, and whether it breaks off before its end."""

    notes = ("a note",)

    def __init__(self, item):
        self.number = int(item.id[1:])
        self.broken = item.id.startswith("x")

    def __iter__(self):
        for k in range(self.number):
            yield AudioClip(k / 2, np.full(LENGTH, self.number + k / 8, np.float32), ("short",) if k else ())
        if self.broken:
            raise DataError("is cut off")


def item(name):
    return AudioItem(name, None, RATE, LENGTH, None, 1, name)


def scored(names, folds_of=None):
    model = Model()
    entries = [AudioFailure(name, None, "cannot be read") if name == "?" else item(name) for name in names]
    return model, list(ClipBatches(model, torch.nn.Identity(), Clips, folds_of).scored(entries))


def test_each_is_scored_as_alone_and_in_its_place():
    names = ["r3", "r2", "?", "x5", "r1", "r20", "x1", "r3"]
    model, found = scored(names)
    assert [own.id if isinstance(own, AudioFailure) else own.item.id for own in found] == names
    assert [isinstance(own, AudioFailure) for own in found] == [name[0] in "?x" for name in names]
    for own in (own for own in found if not isinstance(own, AudioFailure)):
        number = int(own.item.id[1:])
        np.testing.assert_allclose(own.scores, number + np.arange(number) / 8)
        np.testing.assert_allclose(own.parts["clip"], -own.scores)
        np.testing.assert_allclose(own.starts_s, np.arange(number) / 2)
        assert own.bands_db.shape == (number, 1, 1)
        assert own.notes == ("a note", *["some of it is flagged: short"] * (number > 1))
    assert all(num == 8 for _, num in model.batches[:-1])


def test_clips_of_two_folds_are_never_scored_together():
    folds = {"r3": np.array([1, 1, 2]), "r2": np.array([2, 2])}
    model, found = scored(["r3", "r2"], lambda own: folds[own.id])
    assert model.batches == [(1, 2), (2, 3)]
    np.testing.assert_allclose(found[0].scores, [13, 13.125, 23.25])


def test_a_recording_is_handed_on_before_the_next_batch_is_read():
    read = []

    def entries():
        for number in range(5):
            read.append(number)
            yield item("r8")

    for number, _ in enumerate(ClipBatches(Model(), torch.nn.Identity(), Clips).scored(entries())):
        assert len(read) == number + 1


def test_a_recording_that_cannot_be_scored_takes_no_other_with_it():
    class Picky(Model):
        def score(self, samples, scorer):
            if (samples[:, 0].astype(int) == 2).any():
                raise DataError("cannot be scored")
            return super().score(samples, scorer)

    names = ["r3", "r2", "r9", "r2", "r12"]
    found = list(ClipBatches(Picky(), torch.nn.Identity(), Clips).scored(map(item, names)))
    assert [isinstance(own, AudioFailure) for own in found] == [name == "r2" for name in names]
    for own, name in zip(found, names, strict=True):
        if not isinstance(own, AudioFailure):
            np.testing.assert_allclose(own.scores, int(name[1:]) + np.arange(int(name[1:])) / 8)


def test_nothing_of_a_batch_stays_but_what_was_found():
    batches = ClipBatches(Model(), torch.nn.Identity(), Clips)
    own = _Recording(item("r3"))
    batches._read(own)
    batches._score()
    for clip in own.found:
        kept = (clip.scores, clip.maps, clip.bands_db, *clip.parts.values())
        assert all(values.base is None or values.base.size == values.size for values in kept)


def test_features_are_pooled_by_mean_deviation_and_maximum():
    features = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    bands = features.numpy().reshape(2, 3, 4, 16)
    expected = np.stack([bands.mean(3), bands.std(3), bands.max(3)], 1).reshape(2, -1)
    found = clip_vectors(torch.zeros(2, 64, 128), features)["features"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
