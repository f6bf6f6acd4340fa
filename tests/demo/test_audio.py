"""The demonstration's sound: the same every time, faults exactly where they are said to be, an honest comparison."""

import csv

import numpy as np
import pytest
import soundfile
from scipy import signal

import oddwave.detector
from oddwave.demo.audio import match_audio, print_audio, run_audio, write_demo_audio
from oddwave.demo.machine_audio import GRADES, MACHINE_FAULTS, SAMPLE_RATE, make_machine_audio
from oddwave.errors import CheckpointError, ConfigError
from oddwave.results import AudioEvent, AudioResult, CalibrationSummary, DetectionResult
from oddwave.sources.audio.reader import read_audio

KINDS = tuple(MACHINE_FAULTS)


def record(seed, fault=None, grade="clear", duration_s=4.0):
    return make_machine_audio(np.random.default_rng(seed), duration_s, fault, grade)


def level_db(samples, low_hz, high_hz):
    """The power between two frequencies."""
    hertz, power = signal.welch(samples, SAMPLE_RATE, nperseg=2048)
    return 10 * np.log10(power[(hertz >= low_hz) & (hertz <= high_hz)].sum())


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_changes_its_own_stretch_and_nothing_else(kind):
    healthy, faulty = record(1), record(1, kind)
    gap, planted = faulty.samples - healthy.samples, faulty.planted
    start, end = round(planted.start_s * SAMPLE_RATE), round(planted.end_s * SAMPLE_RATE)
    assert not np.any(gap[:start])
    assert not np.any(gap[end:])
    assert np.mean(np.abs(gap[start:end]) > 1e-5) > 0.2
    assert healthy.planted is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_lies_mostly_in_its_band(kind):
    for seed in range(3):
        healthy, faulty = record(seed), record(seed, kind)
        planted = faulty.planted
        stretch = slice(round(planted.start_s * SAMPLE_RATE), round(planted.end_s * SAMPLE_RATE))
        gap = (faulty.samples - healthy.samples)[stretch]
        inside = level_db(gap, planted.low_hz, planted.high_hz)
        assert inside > level_db(gap, 0, SAMPLE_RATE / 2) - 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_faint_fault_is_weaker_than_a_clear_one_and_both_can_be_heard(kind):
    healthy = record(2)
    gaps = {grade: record(2, kind, grade).samples - healthy.samples for grade in GRADES}
    faint, clear = (float(np.sum(gaps[grade] ** 2)) for grade in ("faint", "clear"))
    assert 0 < faint < 0.8 * clear
    planted = record(2, kind, "faint").planted
    stretch = slice(round(planted.start_s * SAMPLE_RATE), round(planted.end_s * SAMPLE_RATE))
    band = planted.low_hz, planted.high_hz
    above = level_db(gaps["faint"][stretch], *band) - level_db(healthy.samples[stretch], *band)
    assert above > -12  # against all that is normal in its band


def test_healthy_recordings_are_alike_but_not_the_same():
    clips = [record(seed).samples for seed in range(12)]
    levels = np.array([level_db(clip, 20, 8000) for clip in clips])
    assert 0.1 < levels.std() < 2.0
    assert max(np.abs(clip).max() for clip in clips) < 0.7
    assert not np.array_equal(clips[0], clips[1])
    assert np.array_equal(clips[0], record(0).samples)
    assert clips[0].dtype == np.float32


def test_the_gear_meshes_where_the_documentation_says():
    hertz, power = signal.welch(record(3, duration_s=8.0).samples, SAMPLE_RATE, nperseg=8192)
    peak = hertz[np.argmax(np.where(hertz > 250, power, 0))]
    assert peak == pytest.approx(17 * 24.7, rel=0.02)


def test_what_cannot_be_recorded_or_written_is_refused_in_words(tmp_path):
    with pytest.raises(ConfigError, match=r"'rust': choose one of bearing_squeal, .*rattle"):
        record(0, "rust")
    with pytest.raises(ConfigError, match="'loud': choose one of clear, faint"):
        record(0, "rattle", "loud")
    with pytest.raises(ConfigError, match="2 seconds or more"):
        record(0, duration_s=0.5)
    with pytest.raises(ConfigError, match="num_good is -1"):
        write_demo_audio(tmp_path / "x", num_good=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="is a file"):
        write_demo_audio(tmp_path / "file", num_train=1, num_good=0, duration_s=2.0)


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "pump"
    return write_demo_audio(folder, num_train=3, num_good=2, duration_s=2.0)


def test_the_folder_is_read_as_recordings_in_their_parts(audio):
    folder = audio.train_paths[0].parents[2]
    assert len(audio.train_paths) == 3
    assert len(audio.test_paths) == len(audio.planted) == 2 + 2 * len(KINDS)
    assert len(read_audio(folder, part="train").items) == 3
    assert {item.sample_rate for item in read_audio(folder, part="test").items} == {SAMPLE_RATE}
    rows = list(csv.DictReader((folder / "planted.csv").read_text().splitlines()))
    assert [row["item"] for row in rows] == [f"test/{kind}/{grade}" for kind in KINDS for grade in GRADES]
    assert [float(row["start_s"]) for row in rows] == [fault.start_s for fault in audio.planted if fault]
    samples, rate = soundfile.read(audio.test_paths[-1])
    assert (rate, len(samples)) == (SAMPLE_RATE, 2 * SAMPLE_RATE)


def test_a_smaller_set_replaces_a_larger_one_and_each_recording_is_its_own(tmp_path, audio):
    write_demo_audio(tmp_path, num_train=2, num_good=1, duration_s=2.0)
    (tmp_path / "mine.txt").write_text("mine")
    other = write_demo_audio(tmp_path, num_train=1, num_good=0, duration_s=2.0)
    assert len(list(tmp_path.rglob("*.flac"))) == 1 + 2 * len(KINDS)
    assert (tmp_path / "mine.txt").exists()
    assert other.train_paths[0].read_bytes() == audio.train_paths[0].read_bytes()
    assert other.test_paths[-1].read_bytes() == audio.test_paths[-1].read_bytes()


def judged(name, label, *events, p_value=0.02):
    """A recording's result; the first event is the strongest."""
    found = tuple(AudioEvent(name, *span, span[2] + 1.0, 9.0, 9.0 - n, 0.05) for n, span in enumerate(events))
    one = np.ones(1)
    return AudioResult(
        name, 3 * one, p_value * one, np.array([label]), 0 * one, 2.0, 2.0, 16_000, events=found, peak_p_value=p_value
    )


def at(fault):
    return fault.start_s, fault.end_s, fault.low_hz, fault.high_hz


FAR = (0.0, 0.01, 10.0, 15.0)


def test_matching_needs_time_and_frequency_and_counts_false_alarms(audio, capsys):
    good, results = True, []
    for number, fault in enumerate(audio.planted):
        if fault is None:
            results.append(judged(f"good {number}", int(good), FAR))
            good = False
        elif fault.kind == "whine":
            start_s, end_s, _, _ = at(fault)
            wrong = (start_s, end_s, 100.0, 200.0) if fault.grade == "faint" else at(fault)
            results.append(judged(f"whine {fault.grade}", 1, wrong, FAR))
        elif fault.kind == "rattle":  # an event in a recording that was not flagged, and a flag without an event
            results.append(judged("rattle", 0, at(fault)) if fault.grade == "clear" else judged("rattle", 1))
        else:
            results.append(judged(fault.kind, 0))
    found = match_audio(audio.planted, results)
    outcome = {(each.planted.kind, each.planted.grade): each for each in found if each.planted}
    assert outcome["whine", "clear"].placed
    assert outcome["whine", "faint"].flagged
    assert not outcome["whine", "faint"].placed
    assert not outcome["rattle", "clear"].flagged
    assert outcome["rattle", "faint"].event is None
    print_audio(found, 0.05)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["planted", "from", "to", "found"]
    assert sum("MISSED" in line for line in lines) == 9
    assert sum(line.startswith("none") for line in lines) == 1
    assert lines[-2:] == [
        "Found 3 of 12 faulty recordings, 1 of them at the right place;",
        "1 false alarm among 2 healthy recordings, at alpha 0.05 per recording.",
    ]
    with pytest.raises(ValueError, match="zip"):
        match_audio(audio.planted, results[:-1])


def test_the_demonstration_fits_scores_and_reports(tmp_path, monkeypatch, capsys):
    """With a detector that flags every faulty recording at once: what it learns from is checked, not how well."""
    heard = {}

    class Detector:
        def __init__(self, config):
            heard["preset"] = config

        def fit(self, paths, **_):
            heard["fit"] = paths

        def save(self, folder):
            heard["model"] = folder

        def score(self, paths, *, alpha, **_):
            items = [judged("/".join(path.parts[-2:]), int(path.parent.name != "good"), FAR) for path in paths]
            calibration = CalibrationSummary(alpha, 2.0, 30, 30, 1, "held back", np.linspace(0, 2, 30))
            return DetectionResult("audio", "recording", tuple(items), calibration)

    monkeypatch.setattr(oddwave.detector, "Detector", Detector)
    monkeypatch.setattr("oddwave.config.preset", lambda name, **settings: (name, settings))
    monkeypatch.setattr("oddwave.demo.audio.NUM_TRAIN", 2)
    monkeypatch.setattr("oddwave.demo.audio.write_demo_audio", lambda folder: write_demo_audio(folder, 0, 2, 1, 2.0))
    found = run_audio(tmp_path / "sound")
    assert heard["preset"] == ("fast", {"modality": "audio", "seed": 0})
    assert [path.parent.name for path in heard["fit"]] == ["good", "good"]
    assert heard["model"] == tmp_path / "sound" / "model"
    assert sum(each.flagged for each in found) == 2 * len(KINDS)
    assert (tmp_path / "sound" / "report.html").is_file()
    assert "Found 12 of 12 faulty recordings" in capsys.readouterr().out
