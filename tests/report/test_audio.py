"""The report, files and terminal lines of recordings: what they say and draw, and that sound stays as it was."""

import base64
import csv
import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from oddwave.console import print_found
from oddwave.errors import CheckpointError
from oddwave.report import render_report, write_report
from oddwave.report.kinds import KINDS, audio_figures, audio_files, audio_page
from oddwave.report.kinds.audio_figures import FrequencyAxis, LevelScale, score_course, time_ticks
from oddwave.report.kinds.audio_files import embedded_part, loudness_db, plan_audio, wav_bytes
from oddwave.report.kinds.audio_words import describe, moment_text, place_text, rarity_text
from oddwave.report.kinds.views import MAX_DETAILS, ranked
from oddwave.report.outputs import free_name, own_entries, summary_of, write_outputs
from oddwave.report.verdict import calibration_sentences, verdict_sentences
from oddwave.results import AudioEvent, AudioExcerpt, AudioResult, CalibrationSummary, DetectionResult

pytest.importorskip("jinja2")

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"
RATE, ROWS, COLUMNS, CLIP_S = 8000, 32, 64, 2.0
HZ = np.concatenate(([0.0], np.geomspace(40, 3600, ROWS - 2), [4000.0]))


def event(name: str, start_s: float = 0.5, end_s: float = 1.5, low: float = 900.0, score: float = 6.0) -> AudioEvent:
    return AudioEvent(name, start_s, end_s, low, 1.2 * low, 1.1 * low, 14.0, score, 0.02)


def excerpt(start_s: float = 0.0, level: float = 0.01) -> AudioExcerpt:
    """Two seconds of hum; from 0.5 s to 1.5 s a anomalous tone of 1 kHz, 20 dB above what is normal."""
    time_s = np.arange(round(CLIP_S * RATE)) / RATE
    normal = (level * np.sin(2 * np.pi * 100 * time_s)).astype(np.float32)
    tone = np.where((time_s >= 0.5) & (time_s < 1.5), 0.5 * level * np.sin(2 * np.pi * 1000 * time_s), 0.0)
    row, columns = int(np.abs(HZ - 1000).argmin()), slice(COLUMNS // 4, 3 * COLUMNS // 4)
    normal_db = np.full((ROWS, COLUMNS), -60.0, dtype=np.float32)
    odd = np.zeros((ROWS, COLUMNS), dtype=np.float32)
    odd[row, columns] = 1.0
    return AudioExcerpt(
        start_s=start_s,
        sample_rate=RATE,
        samples=(normal + tone).astype(np.float32),
        normal=normal,
        levels_db=normal_db + 20 * odd,
        normal_levels_db=normal_db,
        anomaly_map=9 * odd,
        frequencies_hz=HZ,
    )


def recording(name: str, *scores: float, events: int = 0, **changes: object) -> AudioResult:
    """Make a recording with a clip per score, flagged from a score of 2 on; the first event is the weakest."""
    values = np.array(scores)
    made = AudioResult(
        id=name,
        scores=values,
        p_values=np.where(values >= 2, 0.02, 0.4),
        labels=(values >= 2).astype(int),
        starts_s=CLIP_S * np.arange(len(values)),
        clip_s=CLIP_S,
        duration_s=CLIP_S * len(values),
        sample_rate=44_100,
        parts={"memory.patch": values / 2, "recon.pixel": values},
        events=tuple(event(name, low=900.0 + 300 * k, score=5.0 + k) for k in range(events)),
        peak_p_value=min(1.0, len(values) * (0.02 if max(scores) >= 2 else 0.4)),
    )
    return replace(made, **changes)


def failed(name: str, error: str) -> AudioResult:
    nan = np.array([np.nan])
    return AudioResult(name, nan, nan, np.array([0]), np.array([0.0]), CLIP_S, 0.0, 0, error=error)


def result_of(*items: AudioResult, **changes: object) -> DetectionResult:
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, "held back", np.linspace(0.1, 2.1, 49), pixel_threshold=4.0)
    return replace(DetectionResult("audio", "recording", items, calibration), **changes)


MIXED = (
    recording("good/a", 0.5, 0.7),
    recording("bad/b", 0.5, 9.0, events=2, excerpt=excerpt()),
    recording("bad/c", 3.0),
    failed("d", "is empty (0 bytes): copy it again"),
)


def visible(page: str) -> str:
    text = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split()))


def image(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"), dtype=float)


def heard(uri: str) -> tuple[int, np.ndarray]:
    return wavfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "peak", "start", "end", "level", "words"),
    [
        (2900, 3300, 3120, 2.4, 3.0, 14.2, "a 3.1 kHz tone from 2.4 s to 3.0 s, 14 dB above normal"),
        (1180, 3020, 2000, 0.0, 4.0, 6, "noise between 1.2 and 3 kHz from 0.0 s to 4.0 s, 6 dB above normal"),
        (480, 1220, 700, 1, 2, -9, "a missing band between 480 Hz and 1.2 kHz from 1.0 s to 2.0 s, 9 dB below normal"),
        (0, 8000, 900, 1.18, 1.22, 25, "a broadband click at 1.20 s, 25 dB above normal"),
        (0, 8000, 900, 1.0, 3.0, 12, "broadband noise from 1.0 s to 3.0 s, 12 dB above normal"),
        (500, 1500, 900, 1.0, 1.1, 12, "a click between 500 Hz and 1.5 kHz at 1.05 s, 12 dB above normal"),
        (40, 8000, 90, 1.18, 1.22, -40, "a drop-out at 1.20 s, 40 dB below normal"),
        (40, 8000, 90, 1, 2, -np.inf, "a drop-out from 1.0 s to 2.0 s, gone altogether"),
        (40, 8000, 90, 1, 2, -8, "quieter sound at almost all frequencies from 1.0 s to 2.0 s, 8 dB below normal"),
        (480, 1220, 700, 1, 1.1, -9, "a gap between 480 Hz and 1.2 kHz at 1.05 s, 9 dB below normal"),
        (0, 95, 60, 1, 2, 8, "noise below 95 Hz from 1.0 s to 2.0 s, 8 dB above normal"),
        (80, 100, 90, 1, 2, np.inf, "a 90 Hz tone from 1.0 s to 2.0 s, where normally nothing is heard"),
        (2900, 3300, 3120, 2.4, 2.5, 14, "a 3.1 kHz blip at 2.45 s, 14 dB above normal"),
        (700, 760, 730, 62, 3605.26, 9, "a 730 Hz tone from 1:02.0 min to 1:00:05.3 h, 9 dB above normal"),
        (700, 760, 730, 1, 8, 3, "louder sound between 700 and 760 Hz from 1.0 s to 8.0 s, 3 dB above normal"),
        (700, 760, 730, 1, 2, 0, "unusual sound between 700 and 760 Hz from 1.0 s to 2.0 s, hardly off its normal level"),  # noqa: E501
        (40, 8000, 300, 1, 8, 2, "louder sound at almost all frequencies from 1.0 s to 8.0 s, 2 dB above normal"),
        (7500, 8000, 8000, 1, 8, 14, "noise between 7.5 and 8 kHz from 1.0 s to 8.0 s, 14 dB above normal"),
    ],
)  # fmt: skip
def test_events_are_said_in_plain_words(low, high, peak, start, end, level, words) -> None:
    assert describe(AudioEvent("pump", *map(float, (start, end, low, high, peak, level)), 9.0, 0.01)) == words


@pytest.mark.parametrize(
    ("time_s", "decimals", "text"),
    [
        (0, 0, "0 s"),
        (59.96, 1, "1:00.0 min"),
        (65, 0, "1:05 min"),
        (3599.999, 2, "1:00:00.00 h"),
        (7265, 0, "2:01:05 h"),
    ],
)
def test_moments_carry_over_when_they_are_rounded(time_s, decimals, text) -> None:
    assert moment_text(float(time_s), decimals) == text


def test_verdict_counts_judged_recordings_and_describes_the_strongest_event() -> None:
    tone, headline, detail = verdict_sentences(result_of(*MIXED))
    assert (tone, headline) == ("found", "2 of 3 recordings are anomalous")
    assert detail == (
        "The most abnormal is bad/b (score 9.00, threshold 2.00, p = 0.040): a 1.3 kHz tone from 0.5 s to 1.5 s, 14 dB "
        "above normal, and 1 more event. 1 of 4 recordings could not be judged."
    )


def test_verdict_without_findings_or_scores() -> None:
    clear = verdict_sentences(result_of(recording("a", 0.5, events=1)))
    assert clear[:2] == ("clear", "None of 1 recording is above the threshold")
    assert "tone" not in clear[2]
    assert verdict_sentences(result_of(failed("d", "broken")))[0] == "empty"


def test_a_recordings_rarity_admits_what_few_normals_cannot_tell() -> None:
    assert rarity_text(recording("a", 0.5, 9.0), 49) == "None of the 49 normal clips scores this high."
    assert rarity_text(recording("a", *[0.5] * 4), 49) == "Many normal recordings of this length reach such a score."
    many = rarity_text(recording("a", *[0.5] * 60, 9.0), 49)
    assert many.startswith("None of the 49 normal clips scores this high. How rare that is in a recording of 61 clips")
    some = recording("a", 2.5, p_values=np.array([0.04]), peak_p_value=0.04)
    assert rarity_text(some, 49) == "Of normal recordings of this length, about 1 in 25 reaches such a score."


def test_calibration_speaks_of_clips_recordings_and_events() -> None:
    text = " ".join(calibration_sentences(KINDS["recording"], result_of().calibration, 30))
    assert "rests on 49 scores of normal clips" in text
    assert "Alpha is 5 %: of normal recordings, about 1 in 20 has an event by chance." in text
    assert "A recording's p-value compares its highest clip with the highest ones of stretches of normal sound" in text
    assert "events are drawn where the anomaly map passes 4.00, which 5 % of normal clips do anywhere." in text


# -- what is drawn -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", ["log", "linear"])
def test_every_map_is_laid_out_on_the_same_axis(spacing) -> None:
    space = np.geomspace if spacing == "log" else np.linspace
    hertz = np.concatenate(([0.0], space(50, 7500, 200), [8000.0]))
    axis = FrequencyAxis.of(hertz)
    assert (axis.lowest_hz, axis.highest_hz) == pytest.approx((25.0, 8000.0))
    drawn = axis.lay_out(np.log2(np.maximum(hertz, 25.0))[:, None] + np.zeros((1, 3)), hertz)[:, 0]
    for place, at in zip(drawn, np.linspace(0, 1, len(drawn)), strict=True):
        assert axis.from_top(2.0 ** float(place)) == pytest.approx(at, abs=0.02)


def test_frequency_ticks_are_round_few_and_apart() -> None:
    ticks = FrequencyAxis(20.0, 8000.0).ticks()
    assert [text for _, text in ticks] == ["50 Hz", "100 Hz", "200 Hz", "500 Hz", "1 kHz", "2 kHz", "5 kHz"]
    places = [place for place, _ in ticks]
    assert places == sorted(places, reverse=True)
    assert all(0 < place < 100 for place in places)


@pytest.mark.parametrize(
    ("start", "end", "texts"),
    [
        (0.0, 4.096, ["0 s", "1 s", "2 s", "3 s", "4 s"]),
        (2.25, 3.25, ["2.4 s", "2.6 s", "2.8 s", "3.0 s", "3.2 s"]),
        (0.0, 6000.0, ["0 s", "15:00 min", "30:00 min", "45:00 min", "1:00:00 h", "1:15:00 h", "1:30:00 h"]),
    ],
)
def test_time_ticks_are_round_on_a_clock(start, end, texts) -> None:
    ticks = time_ticks(start, end)
    assert [text for _, text in ticks] == texts
    assert ticks[0][0] == pytest.approx(100 * (float(texts[0].split()[0]) - start) / (end - start), abs=0.01)


def test_the_tone_shows_where_it_is_in_all_layers_and_its_box_frames_it() -> None:
    item = recording("b", 9.0, excerpt=excerpt(), events=0)
    item = replace(item, events=(event("b", 0.5, 1.5, low=910.0),))
    (view,) = audio_page.audio_content(result_of(item))["views"]
    layers, (row,) = view["layers"], view["findings"]
    left, top, width, height = (share / 100 for share in row["box"])
    assert (left, width) == pytest.approx((0.25, 0.5), abs=0.001)
    middle = (round((left + width / 2) * layers["width"]), round((top + height / 2) * layers["height"]))
    inside = (slice(middle[1] - 1, middle[1] + 2), slice(middle[0] - 2, middle[0] + 3))
    images = {name: image(layers[name]) for name in ("original", "normal", "difference")}
    assert images["original"][inside].mean() > 150 > 60 > images["normal"][inside].mean()
    red, _, blue = images["difference"][inside].mean((0, 1))
    assert red > blue + 60  # orange: louder
    elsewhere = images["difference"][: layers["height"] // 4, : layers["width"] // 6]
    assert np.ptp(elsewhere.mean((0, 1))) < 6
    heat = np.asarray(Image.open(io.BytesIO(base64.b64decode(layers["heat"].partition(",")[2]))))
    assert heat[inside][..., 3].mean() > 200 > 20 > heat[: layers["height"] // 4, : layers["width"] // 6, 3].mean()


def test_missing_audio_is_blue_and_silence_on_both_sides_is_no_difference() -> None:
    made = excerpt()
    quiet = replace(made, levels_db=made.normal_levels_db.copy(), normal_levels_db=made.levels_db)
    quiet.levels_db[:4] = quiet.normal_levels_db[:4] = -np.inf
    axis, scale = FrequencyAxis.of(HZ), LevelScale.of(quiet)
    drawn = np.asarray(audio_figures.difference_image(axis, quiet, scale), dtype=float)
    red, _, blue = drawn.reshape(-1, 3)[np.argmin(drawn.sum(2))]
    assert blue > red + 60
    assert np.all(drawn[-3:] == 236)
    assert scale.full_difference_db == 20


def test_a_flat_map_can_be_drawn() -> None:
    flat = replace(excerpt(), levels_db=np.zeros((ROWS, COLUMNS)), normal_levels_db=np.zeros((ROWS, COLUMNS)))
    (view,) = audio_page.audio_content(result_of(recording("b", 9.0, excerpt=flat)))["views"]
    assert image(view["layers"]["original"]).shape == (256, COLUMNS, 3)


def test_the_course_of_a_long_recording_keeps_every_peak_and_marks_the_excerpt() -> None:
    scores = np.full(5_000, 0.5)
    scores[[1_234, 4_321]] = 30.0, 12.0
    item = recording("night", *scores, excerpt=excerpt(start_s=2 * 1_234.0))
    drawn = score_course(item, result_of().calibration)
    assert drawn is not None
    points = np.array([[float(each) for each in pair.split()] for pair in drawn["path"][1:].split("L")])
    assert len(points) <= 600
    left, top, right, bottom = drawn["frame"]
    high = points[points[:, 1] < drawn["threshold"]]
    assert [(x - left) / (right - left) * 5_000 for x in high[:, 0]] == pytest.approx([1_234.5, 4_321.5], abs=6)
    assert high[0, 1] == pytest.approx(top, abs=0.1)
    assert drawn["excerpts"][0][0] <= high[0, 0] <= drawn["excerpts"][0][1] + 1
    assert points[:, 1].max() <= bottom
    assert score_course(recording("short", 0.5, 0.6, 9.0), result_of().calibration) is None


# -- the page ----------------------------------------------------------------------------------------------------------


def test_page_shows_the_most_abnormal_first_and_says_why_others_were_not_judged() -> None:
    page = render_report(result_of(*MIXED))
    names = re.findall(r'<td class="name"><button type="button" class="link">([^<]*)', page)
    assert names == ["bad/b", "bad/c", "good/a"]
    text = visible(page)
    assert "clips scored in 3 recordings 5" in text
    assert "2 of 3 recordings are anomalous The most abnormal is bad/b (score 9.00" in text
    assert "1 recording could not be judged d is empty (0 bytes): copy it again" in text
    assert "distance to normal patches of audio 4.50" in text
    assert "denoiser's error on the map 9.00" in text
    assert "Clips within events 1 of 2" in text


def test_page_has_three_players_for_each_excerpt_and_needs_no_network() -> None:
    page = render_report(result_of(*MIXED))
    sources = re.findall(r'<audio [^>]*src="([^"]*)" data-part="(\w+)"', page)
    assert [part for _, part in sources] == ["input", "normal", "odd"]
    assert all(source.startswith("data:audio/wav;base64,") for source, _ in sources)
    assert "media-src data:;" not in page
    assert re.search(r"img-src data: blob:; media-src data:\">", page)
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)


def test_what_is_heard_is_the_excerpt_raised_alike() -> None:
    made = excerpt(level=0.02)
    assert 20 < loudness_db(made) < 40
    parts = {}
    for part in ("input", "normal", "odd"):
        rate, parts[part] = heard(embedded_part(made, part))
        assert rate == RATE
    gain = 10 ** (loudness_db(made) / 20)
    assert np.abs(parts["input"] / 32767 - gain * made.samples).max() < 1 / 32767
    assert np.abs(parts["input"].astype(int) - parts["normal"] - parts["odd"]).max() <= 2
    peak = max(np.abs(each).max() for each in parts.values()) / 32767
    assert peak == pytest.approx(10 ** (-3 / 20), abs=1e-3)


def test_silence_is_not_raised_without_end_and_loud_parts_are_not_clipped() -> None:
    made = excerpt()
    silent = replace(made, samples=np.zeros_like(made.samples), normal=np.zeros_like(made.samples))
    assert loudness_db(silent) == 40.0
    loud = replace(made, samples=np.full_like(made.samples, 0.9), normal=np.full_like(made.samples, -0.9))
    _, odd = heard(embedded_part(loud, "odd"))
    assert 0 < np.abs(odd).max() < 32767


def test_page_admits_it_where_no_odd_part_was_told_apart() -> None:
    same = replace(excerpt(), normal=excerpt().samples)
    text = visible(render_report(result_of(recording("b", 9.0, excerpt=same))))
    assert "No odd part could be told from the recording" in text
    assert "No odd part" not in visible(render_report(result_of(*MIXED)))


def test_a_long_page_explains_some_and_lists_the_rest() -> None:
    items = [recording(f"r{n}", 3.0 + n, events=1, excerpt=excerpt() if n > 40 else None) for n in range(80)]
    page = render_report(result_of(*items))
    shown, _, more = page.partition("<template")
    assert shown.count('<details class="card stream detail recording"') == MAX_DETAILS
    assert more.count('<details class="card stream detail recording"') == 40  # opened on request
    assert [f'data-view="{n}"' in page for n in (39, 40, 79, 80)] == [True, True, True, False]
    assert page.count('class="flag">anomalous</span></td>') == 80
    assert page.count("<audio") == 3 * 39
    assert "No excerpt was made of this recording" in visible(page)


def test_text_from_the_data_stays_text() -> None:
    item = recording(EVIL, 9.0, events=1, excerpt=excerpt(), notes=(EVIL,))
    page = render_report(result_of(item, failed(EVIL, EVIL), model={"train_source": EVIL}), title=EVIL)
    assert "<img src=x" not in page
    assert "alert(1)</script>" not in page
    assert "{{ 7*7 }}" in visible(page)


def test_events_elsewhere_in_the_recording_are_told_without_a_box() -> None:
    far = replace(event("b"), start_s=100.0, end_s=101.0)
    item = recording("b", *[0.5] * 60, 9.0, excerpt=excerpt(start_s=120.0), events=0)
    page = render_report(result_of(replace(item, events=(far,))))
    assert 'data-rank="1"' not in page
    assert "from 1:40.0 min to 1:41.0 min" in visible(page)
    assert "It lies outside the excerpt." in visible(page)
    assert "Shown 2:00.0 min to 2:02.0 min" in visible(page)


def test_each_excerpt_of_a_long_recording_has_a_card_of_its_own_with_players_and_its_events() -> None:
    late = replace(event("b"), start_s=600.5, end_s=601.5)
    item = recording("b", *[0.5] * 400, 9.0, excerpt=excerpt(), more_excerpts=(excerpt(start_s=600.0),), events=0)
    page = render_report(result_of(replace(item, events=(event("b"), late)), recording("c", 3.0)))
    text = visible(page)
    assert page.count('<details class="card stream detail recording"') == 3
    assert page.count("<audio") == 6
    assert page.count('data-rank="1"') == page.count('data-rank="2"') == 1
    assert "It is in another excerpt below." in text
    assert "b, 10:00.0 min to 10:02.0 min" in text
    assert re.findall(r'data-view="(\d)"', page) == ["0", "2"]  # the second recording comes behind both excerpts


def test_excerpts_of_one_recording_are_files_of_their_own(tmp_path: Path) -> None:
    item = recording("a/b.wav", 9.0, excerpt=excerpt(), more_excerpts=(excerpt(start_s=600.0, level=0.02),))
    write_outputs(result_of(item), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    named = summary["items"][0]["audio"]
    assert (named["odd"], named["odd_2"]) == ("audio/a-b_odd.wav", "audio/a-b_at_600s_odd.wav")
    assert np.array_equal(wavfile.read(tmp_path / named["input_2"])[1], excerpt(level=0.02).samples)


def test_what_lasts_is_told_as_such_and_the_side_is_named() -> None:
    louder = replace(event("p"), low_hz=0.0, high_hz=8000.0, level_db=3.0, throughout=True)
    assert describe(louder) == "louder sound at almost all frequencies throughout, 3 dB above normal"
    item = replace(recording("p/channel_2", 9.0), events=(replace(louder, channel="right"),), channel="right")
    assert place_text(item) == f"{describe(louder)}, in the right channel"
    assert describe(replace(louder, channel="channel 3 of 4")) == f"{describe(louder)}, in channel 3 of 4"
    assert "Channel right" in visible(render_report(result_of(item)))


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_hold_rows_clips_events_and_audio_that_add_up(tmp_path: Path) -> None:
    files = write_outputs(result_of(*MIXED), tmp_path)
    assert [path.name for path in files] == [
        "scores.csv", "events.csv", "summary.json", "report.html", "clips.csv", "audio",
    ]  # fmt: skip
    rows = read(tmp_path / "scores.csv")
    assert [(row["item"], row["score"], row["p_value"], row["label"]) for row in rows] == [
        ("good/a", "0.7", "0.8", "0"),
        ("bad/b", "9.0", "0.04", "1"),
        ("bad/c", "3.0", "0.02", "1"),
        ("d", "", "", "-1"),
    ]
    clips = read(tmp_path / "clips.csv")
    assert len(clips) == 6
    assert clips[3] == {
        "item": "bad/b", "start_s": "2.0", "end_s": "4.0", "score": "9.0", "p_value": "0.02", "label": "1",
        "status": "judged", "reason": "",
    }  # fmt: skip
    first = read(tmp_path / "events.csv")[0]
    assert (first["start"], first["end_s"], first["low_hz"], first["level_db"]) == ("0.5", "1.5", "900.0", "14.0")
    assert first["text"] == "a 990 Hz tone from 0.5 s to 1.5 s, 14 dB above normal"
    parts = {part: wavfile.read(tmp_path / "audio" / f"bad-b_{part}.wav") for part in ("input", "normal", "odd")}
    assert {rate for rate, _ in parts.values()} == {RATE}
    assert np.array_equal(parts["input"][1], excerpt().samples)
    assert np.allclose(parts["normal"][1] + parts["odd"][1], parts["input"][1], atol=1e-7)


def test_the_summary_names_events_and_audio_files(tmp_path: Path) -> None:
    write_outputs(result_of(*MIXED), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["kind"] == "recording"
    assert summary["failures"] == [{"item": "d", "error": "is empty (0 bytes): copy it again"}]
    by_id = {item["id"]: item for item in summary["items"]}
    assert by_id["bad/b"]["audio"]["odd"] == "audio/bad-b_odd.wav"
    assert (tmp_path / by_id["bad/b"]["audio"]["odd"]).is_file()
    assert by_id["bad/b"]["audio_events"][1]["text"].startswith("a 1.3 kHz tone")
    assert by_id["good/a"]["audio"] == {}
    assert by_id["d"]["p_value"] is None
    assert sorted(summary["audio"]["files"]) == sorted(path.name for path in (tmp_path / "audio").iterdir())
    assert summary_of(result_of(*MIXED))["audio"]["folder"] is None


def test_names_of_files_are_safe_and_never_the_same() -> None:
    names = ["../../etc/passwd", "a/b", "a-b", "A/B", "ü ß:*?", "..", "x" * 300, "con\n"]
    items = [recording(name, 9.0 + n, excerpt=excerpt()) for n, name in enumerate(names)]
    stems = [plan.stem for plan in plan_audio(items).values()]
    assert len({stem.lower() for stem in stems}) == len(names)
    assert all(re.fullmatch(r"\w[\w.-]*", stem, re.ASCII) and len(stem) <= 82 for stem in stems)


def test_a_folder_of_audio_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "mine_odd.wav").write_bytes(b"mine")
    for _ in range(2):
        files = write_outputs(result_of(*MIXED), tmp_path)
        assert files[-1].name == "audio_2"  # the second run replaces its own
    assert [path.name for path in (tmp_path / "audio").iterdir()] == ["mine_odd.wav"]
    assert len(list((tmp_path / "audio_2").iterdir())) == 3
    assert "audio_2/bad-b_odd.wav" in (tmp_path / "summary.json").read_text()


def test_old_audio_go_when_a_later_run_has_none_unless_something_was_added(tmp_path: Path) -> None:
    write_outputs(result_of(*MIXED), tmp_path)
    write_outputs(result_of(MIXED[0]), tmp_path)
    assert not (tmp_path / "audio").exists()
    write_outputs(result_of(*MIXED), tmp_path)
    (tmp_path / "audio" / "mine.wav").write_bytes(b"mine")
    write_outputs(result_of(MIXED[0]), tmp_path)
    assert (tmp_path / "audio" / "mine.wav").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "summary",
    ["", "[]", '{"kind": "stream"}', '{"kind": "recording"}',
     '{"kind": "recording", "audio": {"folder": "../audio", "files": []}}'],
)  # fmt: skip
def test_a_strange_summary_hands_over_no_folder(tmp_path: Path, summary: str) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "summary.json").write_text(summary)
    assert set(own_entries(tmp_path)) <= {"clips.csv"}
    assert free_name(tmp_path, "audio", own_entries(tmp_path)) == "audio_2"


def test_audio_beyond_the_limit_lies_beside_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [recording(f"r{n}", 9.0 - n, excerpt=excerpt()) for n in range(3)]
    size = len(embedded_part(excerpt(), "odd"))
    monkeypatch.setattr(audio_files, "EMBEDDED_BYTES", 3 * size + size)
    assert [plan.embed for plan in plan_audio(items).values()] == [True, False, False]
    write_report(result_of(*items), tmp_path / "today.html")
    page = (tmp_path / "today.html").read_text()
    linked = re.findall(r'<audio [^>]*src="([^"d][^"]*)"', page.replace('src="data:', 'src="d'))
    assert len(linked) == 6
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.wav")} == set(linked)
    assert "media-src data: file: 'self'" in page
    write_outputs(result_of(*items), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'src="audio/r1_odd.wav"' in page
    assert (tmp_path / "out" / "audio" / "r0_odd.wav").is_file()  # files are there of embedded sound too
    assert "too large for this page" in visible(render_report(result_of(*items)))


def test_a_failure_leaves_no_audio_and_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audio_files, "wav_bytes", full)
    monkeypatch.setattr(audio_page, "embedded_part", lambda *_: "data:,")
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_outputs(result_of(*MIXED), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wav_keeps_floats_beyond_full_scale() -> None:
    rate, samples = wavfile.read(io.BytesIO(wav_bytes(np.array([0.0, 1.5, -1.75]), 96_000)))
    assert rate == 96_000
    assert samples.tolist() == [0.0, 1.5, -1.75]


def test_terminal_lines_name_what_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    noted = tuple(replace(item, notes=("clipped",)) for item in MIXED[:2])
    print_found(result_of(*noted, *MIXED[2:]), [Path("out/scores.csv")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 of 3 recordings are anomalous. The most abnormal is bad/b")
    assert lines[1] == (
        "  bad/b  score 9.00  p 0.040  a 1.3 kHz tone from 0.5 s to 1.5 s, 14 dB above normal, and 1 more event"
    )
    assert lines[2] == "  bad/c  score 3.00  p 0.020  no single moment stands out"
    assert "Not judged: d: is empty (0 bytes): copy it again" in lines
    assert "Note: 2 recordings: clipped" in lines


def test_model_facts_have_names() -> None:
    text = visible(
        render_report(result_of(*MIXED, model={"sample_rate": 16000, "num_train_recordings": 48, "transform": "cwt"}))
    )
    assert "Training recordings 48" in text
    assert "Sample rate (Hz) 16,000" in text
    assert "Map of a clip continuous wavelet transform" in text


def test_ranking_puts_flagged_recordings_first() -> None:
    low = replace(recording("low", 1.5), labels=np.array([1]))
    assert [item.id for item in ranked([recording("high", 1.9), low, failed("d", "x")])] == ["low", "high"]
