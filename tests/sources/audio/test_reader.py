"""Every kind of source of sound, every format, and everything that can be wrong with a file."""

import builtins
import re
import shutil
import struct
import sys

import numpy as np
import pytest
import soundfile

from oddwave.errors import ConfigError, DataError, MissingExtraError
from oddwave.sources.audio.items import AudioFailure
from oddwave.sources.audio.reader import read_audio
from oddwave.sources.base import Item, ItemSet

RNG = np.random.default_rng(0)
RATE = 16000
NOISE = (0.2 * RNG.normal(size=8001)).clip(-0.9, 0.9).astype(np.float32)
STEREO = np.stack([NOISE, np.roll(NOISE, 400)], axis=1)


def save(path, samples=NOISE, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def one(source, **options):
    (item,) = read_audio(source, on_error="stop", **options).items
    return item


def reason(source, **options):
    """Say why the only recording of a source cannot be read."""
    with pytest.raises(DataError) as caught:
        one(source, **options).samples(RATE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def heard(item, rate=RATE):
    """Give all samples and the notes of a stream."""
    stream = item.stream(rate, 0.1)
    return np.concatenate([block.samples for block in stream]), stream.notes


# ---- what can be read


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_U8"}, 1 / 127),
        ("a.wav", {"subtype": "PCM_16"}, 1 / 32767),
        ("a.wav", {"subtype": "PCM_24"}, 1e-6),
        ("a.wav", {"subtype": "PCM_32"}, 1e-6),
        ("a.wav", {"subtype": "FLOAT"}, 0),
        ("a.wav", {"subtype": "DOUBLE"}, 0),
        ("a.wav", {"subtype": "ULAW"}, 0.03),
        ("a.flac", {"subtype": "PCM_24"}, 1e-6),
        ("a.aiff", {"subtype": "PCM_16"}, 1 / 32767),
        ("a.w64", {"subtype": "PCM_16"}, 1 / 32767),
        ("a.ogg", {}, 0.5),
        ("a.mp3", {}, 0.5),
    ],
)
def test_formats_and_depths(tmp_path, name, options, tolerance):
    item = one(save(tmp_path / name, **options))
    assert (item.id, item.sample_rate, item.num_samples, item.num_channels) == (name, RATE, len(NOISE), 1)
    assert item.duration_s == pytest.approx(len(NOISE) / RATE)
    samples = item.samples(RATE)
    assert samples.dtype == np.float32
    assert np.abs(samples - NOISE).max() <= tolerance
    assert np.corrcoef(samples, NOISE)[0, 1] > 0.8
    assert isinstance(item, Item)


def test_the_contents_tell_the_format_not_the_ending(tmp_path):
    shutil.copy(save(tmp_path / "x.flac"), tmp_path / "a.wav")
    assert one(tmp_path / "a.wav").num_samples == len(NOISE)


def test_channels_are_mixed_or_each_for_itself(tmp_path):
    path = save(tmp_path / "a.wav", STEREO, subtype="FLOAT")
    np.testing.assert_allclose(one(path).samples(RATE), STEREO.mean(axis=1), atol=1e-7)
    left, right = read_audio(path, channels="each").items
    assert [left.id, right.id, left.channel, right.channel] == ["a.wav/channel_1", "a.wav/channel_2", 0, 1]
    np.testing.assert_array_equal(left.samples(RATE), STEREO[:, 0])
    np.testing.assert_array_equal(right.samples(RATE), STEREO[:, 1])
    mono = one(save(tmp_path / "b.wav"), channels="each")
    assert (mono.id, mono.channel) == ("b.wav", None)


def test_eight_channels_of_24_bit_at_96_khz(tmp_path):
    tones = np.stack([0.5 * np.sin(2 * np.pi * 500 * (c + 1) * np.arange(48000) / 96000) for c in range(8)], axis=1)
    path = save(tmp_path / "a.wav", tones, 96000, subtype="PCM_24")
    (third,) = [item for item in read_audio(path, channels="each").items if item.channel == 2]
    assert (third.sample_rate, third.num_channels) == (96000, 8)
    expected = 0.5 * np.sin(2 * np.pi * 1500 * np.arange(8000) / RATE)
    np.testing.assert_allclose(third.samples(RATE)[200:-200], expected[200:-200], atol=2e-3)
    assert len(one(path).samples(RATE)) == 8000


def test_arrays_of_every_type_hold_the_same_audio():
    whole = np.rint(NOISE * 32767).astype(np.int16)
    for values in (whole, whole.astype(np.int32) << 16, whole / 32768, (whole / 32768).astype(np.float32)):
        np.testing.assert_allclose(one((values, RATE)).samples(RATE), whole / 32768, atol=1e-7)
    centred = (whole.astype(np.int32) // 256 + 128).astype(np.uint8)
    np.testing.assert_allclose(one((centred, RATE)).samples(RATE), whole / 32768, atol=1 / 127)


def test_arrays_in_lists_and_mappings():
    many = read_audio([(NOISE, RATE), (STEREO, 8000)])
    assert [(item.id, item.sample_rate, item.num_channels) for item in many.items] == [
        ("recording_0000", RATE, 1),
        ("recording_0001", 8000, 2),
    ]
    assert isinstance(many, ItemSet)
    named = read_audio({"pump": (NOISE, np.int64(RATE)), "fan": (STEREO.T, 8000.0)})
    assert [item.id for item in named.items] == ["pump", "fan"]
    assert named.items[1].num_samples == len(STEREO)
    assert named.notes == ("'fan' shape (2, 8001) read as (channels, samples)",)
    np.testing.assert_allclose(named.items[1].samples(8000), STEREO.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (NOISE, "cannot read sound from ndarray: give a folder, .* or \\(samples, sample_rate"),
        (7, "cannot read sound from int"),
        ((RATE, NOISE), "is of type tuple\\(int, ndarray\\): expected \\(samples, sample_rate"),
        ([NOISE], "is of type ndarray: expected \\(samples, sample_rate"),
        ((NOISE, 99), "has a sample rate of 99 Hz"),
        ((NOISE, 44100.5), "expected a whole number, 100 or more"),
        ((NOISE, float("nan")), "expected a whole number, 100 or more"),
        ((NOISE[:0], RATE), "has samples of shape \\(0,\\)"),
        ((NOISE[None, None], RATE), "has samples of shape \\(1, 1, 8001\\)"),
        ((NOISE.astype(np.int64), RATE), "has samples of type int64"),
        ((NOISE > 0, RATE), "has samples of type bool"),
        ((NOISE * 1j, RATE), "has samples of type complex"),
        ([], "holds no recording that can be read: give one or more"),
        ({}, "holds no recording that can be read: give one or more"),
    ],
)
def test_arrays_that_are_no_audio(source, text):
    with pytest.raises(DataError, match=text):
        read_audio(source)


# ---- where recordings are found, and what they are called


def test_folder_ids_stay_unique_and_hidden_files_out(tmp_path):
    for name in ("b/x.wav", "b/x.flac", "a y/Ä日本.wav", "top.WAV", ".hidden.wav", "__MACOSX/x.wav"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no sound")
    recordings = read_audio(tmp_path)
    assert [item.id for item in recordings.items] == ["a y/Ä日本.wav", "b/x.flac", "b/x.wav", "top.WAV"]
    assert all(len(item.samples(RATE)) == len(NOISE) for item in recordings.items)
    assert recordings.notes[0] == "1 file(s) that are no recordings ignored: notes.txt"
    assert [item.id for item in read_audio(tmp_path, recursive=False).items] == ["top.WAV"]


def test_parts_of_the_mvtec_layout(tmp_path):
    for name in ("train/good/0", "train/good/1", "test/good/0", "test/squeal/0"):
        save(tmp_path / "pump" / f"{name}.wav")
    expected = {"train": ["train/good/0.wav", "train/good/1.wav"], "test": ["test/good/0.wav", "test/squeal/0.wav"]}
    for part, ids in expected.items():
        recordings = read_audio(tmp_path / "pump", part=part)
        assert [item.id for item in recordings.items] == ids
        assert recordings.notes[0].startswith("MVTec layout: 2 recording(s) taken from")
    assert len(read_audio(tmp_path).items) == 4


def test_globs_and_lists(tmp_path):
    for name in ("run 1/a.wav", "run 1/b.ogg", "run 2/a.wav"):
        save(tmp_path / name)
    (tmp_path / "run 1" / "log.txt").write_text("no sound")
    every = ["run 1/a.wav", "run 1/b.ogg", "run 2/a.wav"]
    assert [item.id for item in read_audio(str(tmp_path / "run*" / "*")).items] == every
    listed = read_audio([tmp_path / "run 1" / "b.ogg", tmp_path / "run 1" / "a.wav", str(tmp_path / "run 1" / "b.ogg")])
    assert [item.id for item in listed.items] == ["b.ogg", "a.wav", "b.ogg (2)"]
    assert listed.notes == ("1 recording(s) are copies of others, such as 'b.ogg (2)' of 'b.ogg'",)
    with pytest.raises(DataError, match="no recording matches"):
        read_audio(str(tmp_path / "*.mp3"))
    with pytest.raises(DataError, match="no such file or folder"):
        read_audio(tmp_path / "gone.wav")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match=r"holds no recordings: expected files ending in \.wav"):
        read_audio(tmp_path / "bare")


def test_fingerprint_follows_ids_contents_and_channels(tmp_path):
    save(tmp_path / "a" / "x.wav", STEREO)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    before = read_audio(tmp_path / "a")
    assert read_audio(tmp_path / "b").fingerprint == before.fingerprint
    assert read_audio(tmp_path / "a", channels="each").fingerprint != before.fingerprint
    digests = [item.digest for item in read_audio(tmp_path / "b", channels="each").items]
    assert before.known_in(digests) == ("x.wav",)
    save(tmp_path / "b" / "x.wav", STEREO[::-1])
    changed = read_audio(tmp_path / "b")
    assert changed.fingerprint != before.fingerprint
    assert changed.known_in(digests) == ()
    assert read_audio((NOISE, 8000)).fingerprint != read_audio((NOISE, RATE)).fingerprint


def test_copies_are_noted_but_channels_of_one_file_are_none(tmp_path):
    save(tmp_path / "a.wav", STEREO)
    shutil.copy(tmp_path / "a.wav", tmp_path / "b.wav")
    assert read_audio(tmp_path).notes == ("1 recording(s) are copies of others, such as 'b.wav' of 'a.wav'",)
    assert read_audio(tmp_path / "a.wav", channels="each").notes == ()


@pytest.mark.parametrize("options", [{"channels": "left"}, {"part": "valid"}, {"on_error": "ignore"}])
def test_options_are_checked(options):
    with pytest.raises(ConfigError):
        read_audio((NOISE, RATE), **options)


# ---- what is wrong


def test_broken_files_are_skipped_with_a_reason_or_stop(tmp_path):
    save(tmp_path / "good.wav")
    save(tmp_path / "none.wav", NOISE[:0])
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("hello, I am no sound")
    (tmp_path / "head.flac").write_bytes(save(tmp_path / "x" / "x.flac").read_bytes()[:20])
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    recordings = read_audio(tmp_path, recursive=False)
    assert [item.id for item in recordings.items] == ["good.wav"]
    reasons = {failure.path.stem: failure.reason for failure in recordings.failures}
    assert set(reasons) == {"none", "empty", "text", "head", "gone"}
    assert reasons["none"].startswith("holds no samples (44 bytes in all): record it again")
    assert reasons["empty"].startswith("is empty (0 bytes)")
    assert reasons["text"].startswith("is no sound in a format that can be read (WAV, FLAC, OGG, MP3, AIFF")
    assert reasons["head"].startswith(("is damaged or cut off", "is no sound"))
    assert reasons["gone"].startswith("does not exist (any more)")
    assert all(str(tmp_path) not in text for text in reasons.values())
    with pytest.raises(DataError, match=r"empty\.wav' is empty"):
        read_audio(tmp_path / "empty.wav", on_error="stop")
    with pytest.raises(DataError, match=r"no recording that can be read, the first: .*empty\.wav"):
        read_audio([tmp_path / "empty.wav", tmp_path / "text.wav"])
    raw = tmp_path / "a.raw"
    raw.write_bytes(NOISE.tobytes())
    assert "is no sound in a format that can be read" in reason(raw)
    assert "is a folder" in reason([tmp_path / "x"])


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.w64", "a.rf64", "a.au"])
def test_a_file_that_is_cut_off_says_so_when_it_is_read(tmp_path, name):
    item = one(cut(save(tmp_path / name, np.tile(NOISE, 4), subtype="PCM_16")))
    (note,) = item.notes
    assert re.fullmatch(r"ends after (1|0\.99\d*) s although its header says (2|1\.99\d*) s", note)
    assert item.duration_s == pytest.approx(1, abs=0.02)
    samples, notes = heard(item)
    np.testing.assert_allclose(samples, np.tile(NOISE, 4)[: len(samples)], atol=1e-4)
    assert len(samples) == item.num_samples
    assert notes == ()
    assert read_audio(tmp_path / name).notes == (f"'{name}' {note}",)


@pytest.mark.parametrize("name", ["a.flac", "a.mp3"])
def test_a_compressed_file_that_is_cut_off_gives_what_it_holds_and_a_note(tmp_path, name):
    audio = np.tile(NOISE, 20)
    samples, notes = heard(one(cut(save(tmp_path / name, audio))))
    assert len(samples) > 0.4 * len(audio)
    assert np.corrcoef(samples, audio[: len(samples)])[0, 1] > 0.8
    (note,) = notes
    assert note.startswith(f"ends after {len(samples) / RATE:.4g} s although its header says 10 s")


def test_damage_in_the_middle_keeps_what_lies_before_it(tmp_path):
    path = save(tmp_path / "a.flac", np.tile(NOISE, 20))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    samples, (note,) = heard(one(path))
    assert 0.4 < len(samples) / (20 * len(NOISE)) < 0.6
    np.testing.assert_allclose(samples, np.tile(NOISE, 20)[: len(samples)], atol=1e-4)
    assert note.startswith("ends after")


def test_a_recorder_that_lost_power_left_a_length_of_zero(tmp_path):
    path = save(tmp_path / "a.wav", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 0)
    path.write_bytes(content)
    assert "holds no samples (16046 bytes in all): record it again, or if its recorder was cut off" in reason(path)


def test_a_damaged_rate_is_refused_before_it_costs_hours(tmp_path):
    assert "says that it has 1 channel(s) at 1 Hz" in reason(save(tmp_path / "a.wav", NOISE, 1))


def test_lengths_that_are_left_open_are_no_fault(tmp_path):
    path = save(tmp_path / "a.wav", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4  # a recorder that writes into a pipe
    path.write_bytes(content)
    assert (one(path).num_samples, one(path).notes) == (len(NOISE), ())
    path = save(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    item = one(path)
    assert (item.num_samples, item.notes) == (len(NOISE), ())
    samples, notes = heard(item)
    assert (len(samples), notes) == (len(NOISE), ())


def test_missing_and_infinite_samples_become_silence_with_a_note(tmp_path):
    holes = NOISE.copy()
    holes[[5, 6, 4000]] = np.nan, np.inf, -np.inf
    for source in (save(tmp_path / "a.wav", holes, subtype="FLOAT"), (holes, RATE)):
        samples, notes = heard(one(source))
        np.testing.assert_array_equal(samples, np.where(np.isfinite(holes), NOISE, 0))
        assert notes == ("3 sample(s) are NaN or infinite: taken as 0",)


def test_doubles_beyond_float32_are_infinite_too():
    samples, notes = heard(one((np.array([0.1, 1e300, -0.2]), RATE)))
    np.testing.assert_allclose(samples, [0.1, 0, -0.2])
    assert notes == ("1 sample(s) are NaN or infinite: taken as 0",)


def test_files_that_vanish_or_change_after_reading(tmp_path):
    path = save(tmp_path / "a.wav")
    item = one(path)
    save(path, NOISE[:-1])
    with pytest.raises(DataError, match=r"a\.wav' has changed since it was read"):
        item.samples(RATE)
    path.unlink()
    failure = item.try_samples(RATE)
    assert isinstance(failure, AudioFailure)
    assert failure.id == "a.wav"
    assert failure.reason.startswith("does not exist (any more)")
    with pytest.raises(DataError, match=r"^does not exist \(any more\)"):
        next(item.blocks(RATE, 1.0))


def test_a_rate_with_nothing_in_common_is_refused_not_tried():
    item = one((NOISE, 999_983))
    with pytest.raises(DataError, match="has a sample rate of 999983 Hz, which cannot be brought to 16000 Hz"):
        item.samples(RATE)


def test_without_soundfile_the_extra_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "a.wav")
    original = builtins.__import__

    def refuse(name, *rest):
        if name == "soundfile":
            raise OSError("sndfile library not found")
        return original(name, *rest)

    monkeypatch.delitem(sys.modules, "soundfile")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"oddwave\[audio\]"):
        read_audio(path)
    assert len(one((NOISE, RATE)).samples(RATE)) == len(NOISE)
