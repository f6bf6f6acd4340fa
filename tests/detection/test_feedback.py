"""Corrections: a false alarm silences its kind and nothing else, weighs little, is kept apart, and can be undone."""

import json

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detection.corrections import Corrections, Mark, most_blocks
from oddwave.detection.saved import CORRECTION_FILES, MODEL_FILES, read_saved
from oddwave.detector import Detector
from oddwave.errors import CheckpointError, ConfigError, DataError, NotFittedError

TINY_IMAGE = ("scoring.memory_size=400", "image.size_px=64", "maps.memory_grid=8", "maps.denoiser_grid=8")


def with_bump(values, start, height=3.0, length=14):
    changed = values.copy()
    changed[start : start + length, 0] += height * np.sin(np.pi * (np.arange(length) + 0.5) / length)
    return changed


ABOVE = 7.0  # what is planted scores about 10, normal stretches below 4
STARTS = (30, 101)  # not at the same phase
OTHER = 200


@pytest.fixture(scope="module")
def fitted(tiny_config, waves, tmp_path_factory):
    return Detector(tiny_config()).fit(waves(300)).save(tmp_path_factory.mktemp("feedback") / "model")


@pytest.fixture
def detector(fitted):
    return Detector.load(fitted)


@pytest.fixture(scope="module")
def today(waves):
    values = waves(260, seed=7)
    for start in STARTS:
        values = with_bump(values, start, 1.2 + start / 2000)
    values[OTHER : OTHER + 6, 0] -= 1.5  # of another kind
    return values


def events_of(detector, data):
    return detector.score(data, threshold=ABOVE, explain="none").items[0].events


def hit(detector, data, *starts):
    events = events_of(detector, data)
    return [any(own.start < start + 14 and own.end >= start for own in events) for start in starts]


def mark_first(detector, data):
    events = events_of(detector, data)
    number = next(n for n, own in enumerate(events, 1) if own.start < STARTS[0] + 14 and own.end >= STARTS[0])
    return detector.feedback(data, verdict="false-alarm", event=number, note="door", threshold=ABOVE)


def test_a_false_alarm_silences_its_kind_and_nothing_else(detector, today):
    assert all(hit(detector, today, *STARTS, OTHER))
    before = detector.decision_function(today)
    mark = mark_first(detector, today)
    assert (mark.id, mark.verdict, mark.note) == (1, "false-alarm", "door")
    assert hit(detector, today, *STARTS, OTHER) == [False, False, True]
    after = detector.decision_function(today)
    assert np.array_equal(after[180:], before[180:])  # far from any of its kind, not a bit is moved
    assert (after <= before).all()
    both = today.copy()
    both[124:130, 0] -= 1.5  # right beside its like
    assert hit(detector, both, 124) == [True]
    assert any("taken out" in note for note in detector.score(both, explain="none").items[0].notes)


def test_a_marked_stretch_is_silent_even_where_each_channel_looks_normal(preset_of_two):
    detector, values = preset_of_two
    values = values.copy()
    values[150:180, 0] = values[186:216, 0]  # a level of another hour, beside the other channel's own
    (event,) = events_of(detector, values)[:1]
    assert event.start < 180
    assert event.end >= 150
    before = detector.decision_function(values)
    mark = detector.feedback(values, verdict="false-alarm", event=1, threshold=ABOVE)
    assert mark.score_after < ABOVE / 2
    assert not events_of(detector, values)
    detector.undo_feedback(mark.id)
    assert np.array_equal(detector.decision_function(values), before)


@pytest.fixture(scope="module")
def preset_of_two():
    def two(n, seed):
        rng, wave = np.random.default_rng(seed), 2 * np.pi * np.arange(n) / 72
        return np.stack([np.sin(wave), np.sin(wave + 1)], 1) + rng.normal(0, 0.03, (n, 2))

    return Detector(preset("fast")).fit(two(750, 0)), two(350, 1)


def test_what_is_undone_leaves_no_trace(detector, today):
    before, calibration = detector.decision_function(today), detector.inner.fitted_calibration()
    p_values = detector.score(today).items[0].p_values
    mark = mark_first(detector, today)
    assert detector.undo_feedback(mark.id) == mark
    assert np.array_equal(detector.decision_function(today), before)
    assert np.array_equal(detector.score(today).items[0].p_values, p_values)
    assert detector.inner.fitted_calibration().scores.tolist() == calibration.scores.tolist()
    assert detector.corrections == ()
    assert mark_first(detector, today).id == 2  # a number is given once


def test_it_joins_the_calibration_with_the_scores_it_has_since(detector, today):
    learnt = detector.calibration
    mark = mark_first(detector, today)
    assert mark.score_after < mark.score
    joined = detector.inner.fitted_calibration()
    assert joined.scores.tolist() == [*learnt.scores.tolist(), *mark.calibrates]
    assert len(joined.blocks) == len(learnt.blocks) + 1
    assert joined.blocks.max() == learnt.blocks.max()  # no threshold rises above the oddest normal for it
    assert "of false alarms" in joined.source
    assert detector.calibration is learnt


def test_real_and_unsure_are_listed_and_change_nothing(detector, today):
    before = detector.decision_function(today)
    for verdict in ("real", "unsure"):
        detector.feedback(today, verdict=verdict, event=1)
    assert [own.verdict for own in detector.corrections] == ["real", "unsure"]
    assert np.array_equal(detector.decision_function(today), before)
    assert len(detector.inner.fitted_calibration().scores) == len(detector.calibration.scores)


def test_it_is_saved_apart_and_comes_back(detector, fitted, today, tmp_path, saved_files):
    mark_first(detector, today)
    model = detector.save(tmp_path / "model")
    place = saved_files.place_of
    assert place(model, "model.safetensors").read_bytes() == place(fitted, "model.safetensors").read_bytes()
    assert place(model, "calibration.json").read_bytes() == place(fitted, "calibration.json").read_bytes()
    loaded = Detector.load(model)
    assert loaded.corrections == detector.corrections == read_saved(model).corrections
    assert np.array_equal(loaded.decision_function(today), detector.decision_function(today))
    assert read_saved(model).threshold == loaded.threshold_
    loaded.undo_feedback(1)
    again = Detector.load(loaded.save(tmp_path / "again"))
    assert np.array_equal(again.decision_function(today), Detector.load(fitted).decision_function(today))


def test_a_model_without_feedback_has_no_such_files(fitted):
    assert sorted(path.name for path in fitted.rglob("*") if path.is_file()) == sorted([*MODEL_FILES, "meta.json"])


def test_damaged_corrections_are_refused(detector, today, tmp_path, saved_files):
    mark_first(detector, today)
    model = detector.save(tmp_path / "model")
    path, tensors = (saved_files.place_of(model, name) for name in CORRECTION_FILES)
    content, sound = json.loads(path.read_text()), tensors.read_bytes()
    mark = content["marks"][0]
    for damaged in (
        {"marks": [{**mark, "verdict": "fine"}]},
        {"marks": [{**mark, "calibrates": []}]},
        {"marks": [{**mark, "id": 2}], "next_id": 3},  # of which no tensors are there
        {"next_id": 1},
    ):
        path.write_text(json.dumps({**content, **damaged}))
        saved_files.signed_again(model)
        with pytest.raises(CheckpointError):
            Detector.load(model)
    path.write_text(json.dumps(content))
    tensors.write_bytes(sound[:-4])
    saved_files.signed_again(model)
    with pytest.raises(CheckpointError, match="corrections"):
        Detector.load(model)
    tensors.unlink()
    with pytest.raises(CheckpointError):
        Detector.load(model)


def test_they_weigh_a_tenth_at_most(detector, today, waves):
    most = most_blocks(detector.calibration)
    assert most == len(detector.calibration.blocks) // 10
    rng = np.random.default_rng(3)
    for number in range(most + 1):
        data = waves(100, seed=20 + number)
        data[60:72, 0] += rng.normal(0, 2, 12)  # each of another kind
        if number < most:
            detector.feedback(data, verdict="false-alarm", event=1, threshold=ABOVE)
    before = detector.corrections
    with pytest.raises(DataError, match=rf"{most} corrections stand .* undo one"):
        detector.feedback(data, verdict="false-alarm", event=1, threshold=ABOVE)
    assert detector.corrections == before


def test_refusals_say_what_was_given_and_what_to_do(detector, today):
    for wanted, given in {
        "no .*'other'.* among the 1 series: give one of 'series'": {"item": "other"},
        "event 99 .* were found": {"event": 99},
        "by its number": {"item": "series"},
        "say which is meant|by its number": {},
    }.items():
        with pytest.raises(DataError, match=wanted):
            detector.feedback(today, verdict="false-alarm", threshold=ABOVE, **given)
    for verdict in ("wrong", None, 3):
        with pytest.raises(ConfigError, match="give one of false-alarm, real, unsure"):
            detector.feedback(today, verdict=verdict, event=1)
    for event in (0, -1, True, 1.5):
        with pytest.raises(ConfigError, match="its number, from 1"):
            detector.feedback(today, verdict="real", event=event)
    with pytest.raises(ConfigError, match="note"):
        detector.feedback(today, verdict="real", event=1, note="x" * 3000)
    with pytest.raises(DataError, match="no correction 7"):
        detector.undo_feedback(7)
    with pytest.raises(NotFittedError):
        Detector().feedback(today, verdict="real", event=1)
    assert detector.corrections == ()


def test_a_quiet_item_has_no_verdict_to_correct(detector, waves):
    with pytest.raises(DataError, match=r"not flagged.*oddwave add"):
        detector.feedback(waves(100, seed=5), verdict="false-alarm", item="series")


def test_fitting_again_forgets_them(detector, today, waves):
    mark_first(detector, today)
    detector.fit(waves(200))
    assert detector.corrections == ()


def test_a_panels_instance_is_listed_and_its_false_alarm_refused(panel_detector, beats, tmp_path):
    detector = Detector.load(panel_detector.save(tmp_path / "model"))
    odd = beats(3, seed=3)
    odd[1, :, 8:14] += 1.5
    given = {"item": detector.score(odd, alpha=0.2).items[1].id, "alpha": 0.2}
    with pytest.raises(DataError, match=r"instance.*--allow-flagged"):
        detector.feedback(odd, verdict="false-alarm", **given)
    assert detector.corrections == ()
    assert detector.feedback(odd, verdict="real", **given).stretch == "all of it"


def test_marks_are_what_they_say():
    mark = Mark(
        id=1, when="2026-01-02T03:04:05Z", item="a", stretch="all of it", verdict="real", score=2.0, score_after=2.0
    )
    assert str(mark) == "1  2026-01-02T03:04:05Z  a, all of it: real"
    assert Corrections().with_one(mark, {}).form().fault() == ""


# Images


def bar(seed, spots=()):
    rng = np.random.default_rng(seed)
    column = np.arange(64) / 64
    light = 0.3 + 0.4 * ((column > (start := rng.uniform(0.2, 0.5))) & (column < start + 0.25))
    image = np.clip(light + rng.normal(0, 0.03, (64, 64)), 0, 1)
    for top, left, value in spots:
        image[top : top + 9, left : left + 9] = value + rng.normal(0, 0.02, (9, 9))
    return np.clip(image, 0, 1)


@pytest.fixture(scope="module")
def images():
    return Detector(preset("fast", "image").with_overrides(TINY_IMAGE)).fit([bar(seed) for seed in range(30)])


def test_a_spot_marked_harmless_is_harmless_elsewhere(images, tmp_path):
    detector = Detector.load(images.save(tmp_path / "model"))
    spots = [bar(200 + n, [(5 + 9 * n, 3 + n, 1.0)]) for n in range(4)]
    combs = [bar(300 + n) for n in range(4)]
    for image in combs:
        image[28:60:4, 8:56] = 1.0
    everything = [*spots, *combs]
    before = detector.decision_function(everything)
    limit = 0.5 * before.min()
    (first, *_) = detector.score(spots, threshold=limit).items
    mark = detector.feedback(spots, verdict="false-alarm", item=first.id, threshold=limit)
    assert mark.num_parts > 0
    assert mark.stretch.startswith("x 0 to ")
    after = detector.decision_function(everything)
    assert (after[:4] < limit).all()
    assert (after[4:] > limit).all()
    loaded, looks = Detector.load(detector.save(tmp_path / "again")), []
    loaded.inner.model.grid.register_forward_hook(lambda *_: looks.append(1))
    assert np.array_equal(loaded.decision_function(everything), after)
    assert len(looks) == len(everything)  # one pass of the frozen network serves the score and what is known
    loaded.undo_feedback(mark.id)
    assert np.array_equal(loaded.decision_function(everything), before)
