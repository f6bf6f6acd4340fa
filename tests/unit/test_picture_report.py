"""The report, files and terminal lines of pictures: what they say, in which order, and that they are safe to open."""

import base64
import csv
import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oddwave.console import print_found
from oddwave.errors import DataError
from oddwave.report import facts, picture_figures, pictures, render_report, wording
from oddwave.report.outputs import summary_of, write_outputs
from oddwave.results import CalibrationSummary, DetectionResult, PictureResult, Region, WaveletShare

pytest.importorskip("jinja2")

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"
BANDS = (
    WaveletShare(3, "coarse", 8.0, 0.1),
    WaveletShare(2, "diagonal", 4.0, 0.3),
    WaveletShare(1, "vertical", 2.0, 0.6),
)


class Pixels:
    """A picture whose pixels are at hand, or whose file has gone."""

    def __init__(self, values: np.ndarray | None) -> None:
        self.values = values

    def pixels(self) -> np.ndarray:
        if self.values is None:
            raise DataError("the file has gone: put it back")
        return self.values


def gradient(height: int = 40, width: int = 60, channels: int = 3) -> np.ndarray:
    ramp = np.linspace(0.2, 0.8, width, dtype=np.float32)
    return np.broadcast_to(ramp[None, :, None], (height, width, channels)).copy()


def picture(name: str, score: float, *, regions: int = 0, **changes: object) -> PictureResult:
    """Make a picture of 60 x 40 px, flagged from a score of 2 on; the first region is the weakest."""
    found = [
        Region(name, 10 * k, 20, 10 * k + 8, 32, 10 * k + 3, 25, 90, 5.0 + k, 0.02 * (k + 1)) for k in range(regions)
    ]
    made = PictureResult(
        id=name,
        scores=np.array([score]),
        p_values=np.array([0.02 if score >= 2 else 0.4]),
        labels=np.array([int(score >= 2)]),
        size=(40, 60),
        anomaly_map=np.full((5, 6), score, dtype=np.float32),
        picture=Pixels(gradient()),
        parts={"memory": np.array([score / 2]), "feature": np.array([score])},
        events=tuple(found),
        bands=BANDS if regions else (),
    )
    return replace(made, **changes)


def failed(name: str, error: str) -> PictureResult:
    nan, nothing = np.array([np.nan]), np.zeros((0, 0), dtype=np.float32)
    return PictureResult(name, nan, nan, np.array([0]), (0, 0), nothing, error=error)


def result_of(*items: PictureResult, **changes: object) -> DetectionResult:
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, "held back", np.linspace(0.1, 2.1, 49), pixel_threshold=4.0)
    return replace(DetectionResult("image", "picture", items, calibration), **changes)


MIXED = (picture("a.png", 0.5), picture("b.png", 9.0, regions=2), picture("c.png", 3.0), failed("d.png", "truncated"))


def visible(page: str) -> str:
    text = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def sheet(page: str, number: int = 0) -> list[dict]:
    match = re.search(rf'<script type="application/json" id="sheet-{number}">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    return json.loads(match.group(1))


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


# -- words -------------------------------------------------------------------------------------------------------------


def test_verdict_counts_judged_pictures_and_places_the_strongest() -> None:
    tone, headline, detail = wording.verdict_sentences(result_of(*MIXED))
    assert (tone, headline) == ("found", "2 of 3 pictures do not belong")
    assert detail == (
        "The most abnormal is b.png (score 9, threshold 2, p = 0.02): region of 8 x 12 px at x 10, y 20 and "
        "1 more region. 1 picture could not be judged."
    )


def test_verdict_without_findings_or_scores() -> None:
    assert wording.verdict_sentences(result_of(picture("a", 0.5)))[:2] == (
        "clear",
        "None of 1 picture is above the threshold",
    )
    assert wording.verdict_sentences(result_of(failed("d", "broken")))[0] == "empty"


@pytest.mark.parametrize(
    ("band", "text"),
    [
        (WaveletShare(1, "vertical", 2.0, 1.0), "fine vertical detail (2 px)"),
        (WaveletShare(2, "diagonal", 7.81, 1.0), "medium diagonal detail (7.8 px)"),
        (WaveletShare(5, "horizontal", 32.0, 1.0), "broad horizontal detail (32 px)"),
        (WaveletShare(3, "coarse", 8.0, 1.0), "coarse (8 px and wider)"),
    ],
)
def test_wavelet_bands_of_pictures_have_names(band: WaveletShare, text: str) -> None:
    assert wording.wavelet_text(band) == text


@pytest.mark.parametrize(
    ("p_value", "text"),
    [
        (1 / 50, "None of the 49 normal pictures held back scores this high."),
        (0.1, "Of normal pictures, about 1 in 10 scores this high."),
        (0.7, "More than half of the normal pictures score this high."),
        (np.nan, ""),
    ],
)
def test_rarity_admits_the_smallest_p_value(p_value: float, text: str) -> None:
    assert wording.rarity_text(p_value, 49, "score this high") == text


def test_calibration_speaks_of_pictures_and_regions() -> None:
    text = " ".join(wording.calibration_sentences(result_of().calibration, "picture", 3))
    assert "rests on 49 scores of normal pictures" in text
    assert "Regions are where the heat map passes 4, which 5 % of normal pictures do anywhere." in text
    assert "block" not in text
    assert "stretch" not in text


def test_choices_tell_what_was_chosen_why_and_on_what_evidence() -> None:
    selection = {"space": {"chosen": "feature", "why": "best", "evidence": {"auroc": {"pixel": 0.8}}}, "grid": 16}
    space, grid = facts.choices(selection)
    assert (space.name, space.chosen, space.why) == ("space", "feature", "best")
    assert space.evidence == (("auroc", "pixel 0.8"),)
    assert (grid.name, grid.chosen, grid.evidence) == ("grid", "16", ())


# -- the page ----------------------------------------------------------------------------------------------------------


def test_page_shows_the_most_abnormal_first_everywhere() -> None:
    page = render_report(result_of(*MIXED))
    assert [entry["id"] for entry in sheet(page)] == ["b.png", "c.png", "a.png"]
    assert [entry["flagged"] for entry in sheet(page)] == [True, True, False]
    assert re.findall(r'<details class="card stream picture" id="picture-(\d)" open', page) == ["0", "1", "2"]
    text = visible(page)
    assert "1 picture could not be judged d.png truncated" in text
    assert text.index("fine vertical detail (2 px) 60 %") < text.index("medium diagonal detail (4 px)")
    assert "1 8 x 12 px at x 10, y 20" in text
    assert (
        "area 90 px (3.8 %), peak 6 at x 13, y 25; p 0.04. Of normal pictures, about 1 in 25 peaks this high." in text
    )


def test_flagged_pictures_precede_higher_scores_that_are_not() -> None:
    quiet = picture("quiet", 5.0, labels=np.array([0]))
    assert [entry["id"] for entry in sheet(render_report(result_of(quiet, picture("found", 2.5))))] == [
        "found",
        "quiet",
    ]


def test_layers_have_one_size_and_the_normal_version_only_where_there_is_one() -> None:
    with_normal = picture("a", 9.0, reconstruction=gradient(20, 30))
    first, second = pictures.picture_content(result_of(with_normal, picture("b", 8.0)))["views"]
    sizes = {opened(uri).size for uri in (first.layers.original, first.layers.heat, first.layers.normal)}
    assert sizes == {(300, 200)}  # magnified in whole steps up to 256 px and more
    assert opened(first.layers.difference).size == (300, 200)
    assert second.layers.normal == second.layers.difference == ""


def test_picture_that_has_gone_is_said_and_the_rest_stands() -> None:
    page = render_report(result_of(picture("a", 9.0, picture=Pixels(None)), picture("b", 3.0)))
    assert "The picture cannot be shown: the file has gone: put it back" in visible(page)
    assert [entry["image"] is None for entry in sheet(page)] == [True, False]


def test_nothing_from_the_data_becomes_markup() -> None:
    item = picture(EVIL, 9.0, regions=1, notes=(EVIL,), parts={EVIL: np.ones(1)}, picture=Pixels(None))
    model = {"train_source": EVIL, EVIL: EVIL, "selection": {EVIL: {"why": EVIL, EVIL: EVIL}}, "warnings": [EVIL]}
    page = render_report(result_of(item, failed(EVIL, EVIL), model=model, not_monitored=(EVIL,)), title=EVIL)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert sheet(page)[0]["id"] == EVIL


def test_page_is_light_offline_and_runs_only_its_own_scripts() -> None:
    page = render_report(result_of(*MIXED))
    assert len(page) < 200_000
    assert "plotly" not in page.lower()
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert page.count("'sha256-") == len(scripts) == 2
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    assert "fetch(" not in page


def test_page_does_without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert "do not belong" in render_report(result_of(*MIXED))


def test_thousands_of_pictures_come_in_small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    noise = Pixels(rng.uniform(size=(200, 200, 3)).astype(np.float32))  # the worst case for thumbnails
    monkeypatch.setattr(pictures, "MAX_THUMBNAILS", 100)
    items = [picture(f"p{k}", 1.0 - k / 1000, picture=noise) for k in range(150)]
    page = render_report(result_of(*items))
    entries = [sheet(page, number) for number in range(3)]
    assert [len(block) for block in entries] == [60, 60, 30]
    thumbs = [entry["image"] for block in entries for entry in block]
    assert [thumb is not None for thumb in thumbs] == [True] * 100 + [False] * 50
    assert max(len(thumb) for thumb in thumbs[:100]) < 8_000
    assert max(opened(thumbs[0]).size) == 128
    assert page.count('class="viewer"') == pictures.LEAST_DETAILS


def test_empty_result_makes_a_page() -> None:
    assert "Nothing could be scored" in visible(render_report(result_of()))
    assert "d.png truncated" in visible(render_report(result_of(failed("d.png", "truncated"))))


# -- images ------------------------------------------------------------------------------------------------------------


def test_ramp_grows_lighter_in_even_steps() -> None:
    ramp = picture_figures.colour_ramp(64) / 255
    linear = np.where(ramp <= 0.04045, ramp / 12.92, ((ramp + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = 116 * np.cbrt(luminance) - 16  # CIE L*, another measure than the ramp's own
    steps = np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 2.0 * np.median(steps)


def test_heat_map_is_clear_at_normal_level_and_full_from_the_threshold_on() -> None:
    scale = picture_figures.MapScale(12.0, 4.0)
    values = np.array([[-3.0, 0.0, np.nan, 2.0, 4.0, 12.0, 99.0, np.inf]], dtype=np.float32)
    drawn = np.asarray(picture_figures.heat_map(values, (8, 1), scale))
    assert drawn[0, :, 3].tolist() == [0, 0, 0, 64, 255, 255, 255, 255]
    assert drawn[0, 5:, :3].tolist() == [picture_figures.colour_ramp()[-1].tolist()] * 3


def test_heat_maps_share_a_scale_that_needs_no_threshold() -> None:
    result = result_of(*MIXED)
    assert picture_figures.map_scale(result) == picture_figures.MapScale(12.0, 4.0)
    without = replace(result.calibration, pixel_threshold=None)
    assert picture_figures.map_scale(replace(result, calibration=without)) == picture_figures.MapScale(9.0, None)


@pytest.mark.parametrize(
    ("channels", "mode", "said"), [(1, "L", ""), (2, "L", "mean of 2"), (3, "RGB", ""), (4, "RGB", "first three")]
)
def test_any_number_of_channels_can_be_shown(channels: int, mode: str, said: str) -> None:
    values = np.zeros((2, 3, channels), dtype=np.float32)
    values[..., 0], values[0, 0, 0] = 1.0, np.nan
    image = picture_figures.shown(values)
    assert (image.mode, image.size) == (mode, (3, 2))
    assert said in picture_figures.channels_text(channels)
    assert np.asarray(image).max() == (128 if channels == 2 else 255)


def test_difference_tells_brighter_from_darker_and_ignores_lost_detail() -> None:
    checks = np.indices((64, 64)).sum(axis=0)[..., None] % 2.0  # finer than the normal version can show
    normal = np.full((32, 32, 1), 0.5)
    _, full = picture_figures.difference(checks, normal, (64, 64))
    assert full == 0.1
    checks[:16, :16], checks[48:, 48:] = 1.0, 0.0
    drawn, full = picture_figures.difference(checks, normal, (64, 64))
    colours = np.asarray(drawn)
    assert full == pytest.approx(0.5, abs=0.01)
    assert np.abs(colours[4, 4] - np.array([196, 78, 0])).max() <= 3
    assert np.abs(colours[60, 60] - np.array([0, 92, 160])).max() <= 3


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((4000, 3000), (512, 384)), ((5000, 1), (512, 1)), ((1, 1), (256, 256)), ((300, 200), (300, 200))],
)
def test_details_have_a_readable_size(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert picture_figures.detail_size(size) == drawn


def test_histogram_bars_hold_every_normal_score_under_the_axis() -> None:
    result = result_of(*MIXED)
    histogram = pictures.picture_content(result)["histogram"]
    figure = histogram["figure"]
    left, top, right, bottom = figure["frame"]
    assert len(figure["bars"]) == sum(share > 0 for share in histogram["calibration"])
    assert all(left <= x <= right and top <= y and y + height <= bottom + 0.1 for x, y, _, height in figure["bars"])
    first, last = histogram["edges"][0], histogram["edges"][-1]
    assert figure["threshold"] == pytest.approx(left + (2.0 - first) / (last - first) * (right - left), abs=0.1)
    assert [float(label) for _, label in figure["x_ticks"]] == sorted(float(label) for _, label in figure["x_ticks"])


# -- files and terminal ------------------------------------------------------------------------------------------------


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_files_have_a_row_per_picture_and_per_region(tmp_path: Path) -> None:
    write_outputs(result_of(*MIXED), tmp_path)
    scores = read(tmp_path / "scores.csv")
    assert list(scores[0]) == ["item", "score", "p_value", "label"]
    assert [row["item"] for row in scores] == ["a.png", "b.png", "c.png", "d.png"]
    assert scores[3] == {"item": "d.png", "score": "", "p_value": "", "label": "0"}
    header, first, _ = (tmp_path / "events.csv").read_text().splitlines()
    assert header == ("item,start,end,peak,score,p_value,left_px,top_px,right_px,bottom_px,peak_x_px,peak_y_px,area_px")
    assert first == "b.png,0 20,7 31,3 25,5.0,0.02,0,20,8,32,3,25,90"


def test_summary_names_failures_regions_and_bands() -> None:
    summary = summary_of(result_of(*MIXED))
    assert summary["counts"] == {"items": 4, "scores": 4, "scored": 3, "anomalous": 2, "events": 2, "failed": 1}
    assert summary["failures"] == [{"item": "d.png", "error": "truncated"}]
    assert summary["calibration"]["pixel_threshold"] == 4.0
    found = summary["items"][1]
    assert [region["left_px"] for region in found["regions"]] == [0, 10]
    assert found["bands"][2] == {"level": 1, "orientation": "vertical", "scale_px": 2.0, "share": 0.6}
    assert found["size_px"] == {"height": 40, "width": 60}
    assert summary["items"][3]["p_value"] is None


def test_terminal_lists_the_strongest_pictures_and_the_failures(capsys: pytest.CaptureFixture[str]) -> None:
    noted = [replace(item, notes=("letterboxed",)) for item in MIXED[:3]]
    print_found(result_of(*noted, MIXED[3]), [Path("out/scores.csv")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 of 3 pictures do not belong. The most abnormal is b.png")
    assert lines[1:] == [
        "  b.png  score 9  p 0.02  region of 8 x 12 px at x 10, y 20 and 1 more region",
        "  c.png  score 3  p 0.02  no single region stands out",
        "Not judged: d.png: truncated",
        "Note: 3 pictures: letterboxed",
        "Written: out/scores.csv",
    ]


def test_terminal_stays_short(capsys: pytest.CaptureFixture[str]) -> None:
    many = [picture(f"p{k}", 3.0 + k) for k in range(30)] + [failed(f"f{k}", "a\nb") for k in range(30)]
    print_found(result_of(*many), [])
    lines = capsys.readouterr().out.splitlines()
    assert "  ... and 25 more, in scores.csv" in lines
    assert "Not judged: f0: a b" in lines
    assert "Not judged: 24 more, in summary.json and the report" in lines
    assert len(lines) < 20
