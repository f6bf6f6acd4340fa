"""The report, files and terminal lines of images: what they say, in which order, and that they are safe to open."""

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
from oddwave.report import facts, histogram, render_report, wording
from oddwave.report.kinds import KINDS, image_figures, image_page
from oddwave.report.kinds.image_words import wavelet_text
from oddwave.report.outputs import summary_of, write_outputs
from oddwave.report.verdict import calibration_sentences, verdict_sentences
from oddwave.results import CalibrationSummary, DetectionResult, ImageRegion, ImageResult, WaveletShare

pytest.importorskip("jinja2")

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"
BANDS = (
    WaveletShare(3, "coarse", 8.0, 0.1),
    WaveletShare(2, "diagonal", 4.0, 0.3),
    WaveletShare(1, "vertical", 2.0, 0.6),
)


class Pixels:
    """An image whose pixels are at hand, or whose file has gone."""

    def __init__(self, values: np.ndarray | None) -> None:
        self.values = values

    def pixels(self) -> np.ndarray:
        if self.values is None:
            raise DataError("the file has gone: put it back")
        return self.values


def gradient(height: int = 40, width: int = 60, channels: int = 3) -> np.ndarray:
    ramp = np.linspace(0.2, 0.8, width, dtype=np.float32)
    return np.broadcast_to(ramp[None, :, None], (height, width, channels)).copy()


def image(name: str, score: float, *, regions: int = 0, **changes: object) -> ImageResult:
    """Make an image of 60 x 40 px, flagged from a score of 2 on; the first region is the weakest."""
    found = [
        ImageRegion(name, 10 * k, 20, 10 * k + 8, 32, 10 * k + 3, 25, 90, 5.0 + k, 0.02 * (k + 1))
        for k in range(regions)
    ]
    made = ImageResult(
        id=name,
        scores=np.array([score]),
        p_values=np.array([0.02 if score >= 2 else 0.4]),
        labels=np.array([int(score >= 2)]),
        size=(40, 60),
        anomaly_map=np.full((5, 6), score, dtype=np.float32),
        image=Pixels(gradient()),
        parts={"memory": np.array([score / 2]), "feature": np.array([score])},
        events=tuple(found),
        bands=BANDS if regions else (),
    )
    return replace(made, **changes)


def failed(name: str, error: str) -> ImageResult:
    nan, nothing = np.array([np.nan]), np.zeros((0, 0), dtype=np.float32)
    return ImageResult(name, nan, nan, np.array([0]), (0, 0), nothing, error=error)


def result_of(*items: ImageResult, **changes: object) -> DetectionResult:
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, "held back", np.linspace(0.1, 2.1, 49), pixel_threshold=4.0)
    return replace(DetectionResult("image", "image", items, calibration), **changes)


MIXED = (image("a.png", 0.5), image("b.png", 9.0, regions=2), image("c.png", 3.0), failed("d.png", "truncated"))


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


def test_verdict_counts_judged_images_and_places_the_strongest() -> None:
    tone, headline, detail = verdict_sentences(result_of(*MIXED))
    assert (tone, headline) == ("found", "2 of 3 images are anomalous")
    assert detail == (
        "The most abnormal is b.png (score 9.00, threshold 2.00, p = 0.020): region of 8 x 12 px at x 10, y 20 and "
        "1 more region. 1 of 4 images could not be judged."
    )


def test_verdict_without_findings_or_scores() -> None:
    assert verdict_sentences(result_of(image("a", 0.5)))[:2] == (
        "clear",
        "None of 1 image is above the threshold",
    )
    assert verdict_sentences(result_of(failed("d", "broken")))[0] == "empty"


@pytest.mark.parametrize(
    ("band", "text"),
    [
        (WaveletShare(1, "vertical", 2.0, 1.0), "fine vertical detail (2 px)"),
        (WaveletShare(2, "diagonal", 7.81, 1.0), "medium diagonal detail (7.8 px)"),
        (WaveletShare(5, "horizontal", 32.0, 1.0), "broad horizontal detail (32 px)"),
        (WaveletShare(3, "coarse", 8.0, 1.0), "coarse (8 px and wider)"),
    ],
)
def test_wavelet_bands_of_images_have_names(band: WaveletShare, text: str) -> None:
    assert wavelet_text(band) == text


@pytest.mark.parametrize(
    ("p_value", "text"),
    [
        (1 / 50, "None of the 49 normal images scores this high."),
        (0.1, "Of normal images, about 1 in 10 scores this high."),
        (0.7, "More than half of the normal images score this high."),
        (np.nan, ""),
    ],
)
def test_rarity_admits_the_smallest_p_value(p_value: float, text: str) -> None:
    assert wording.rarity_text(p_value, 49, "images", "score this high") == text


def test_calibration_speaks_of_images_and_regions() -> None:
    text = " ".join(calibration_sentences(KINDS["image"], result_of().calibration, 3))
    assert "rests on 49 scores of normal images" in text
    assert "Regions are where the heat map passes 4.00, which 5 % of normal images do anywhere." in text
    assert "block" not in text
    assert "stretch" not in text


def test_choices_tell_what_was_chosen_why_and_on_what_evidence() -> None:
    auroc = {"evidence": {"auroc": {"pixel": 0.8}}}
    chosen = {
        "space": {"chosen": "feature", "why": "stretch: best", **auroc},
        "new_grid": 16,
        "odd": {"new_key": "a_b"},
    }
    space, grid, odd = facts.choices(chosen)
    assert (space.name, space.chosen) == ("space", "on the features of the frozen network")
    assert space.why == "stretched: best"
    assert space.evidence == (("AUROC on planted anomalies", "pixel: 0.800"),)
    assert (grid.name, grid.chosen, grid.evidence) == ("new grid", "16", ())  # names without plain words are shown
    assert odd.evidence == (("new key", "a_b"),)


def test_choices_are_in_plain_words_with_units_and_even_decimals() -> None:
    shares = {"0.0002441": 0.5, "0.02": 0.75}
    chosen = {
        "top_share": {"chosen": 0.02, "synthetic_auroc": shares},
        "terms": {"chosen": ["recon.feature", "memory.patch"], "synthetic_auroc": {"memory.patch": 1.0}},
        "training": {"cpu_s": 95.0, "feature": {"num_steps": 1200, "loss": 0.25}},
    }
    share, terms, training = facts.choices(chosen)
    assert share.chosen == "2 %"
    assert share.evidence == (("AUROC on planted anomalies", "0.024 %: 0.500; 2 %: 0.750"),)
    assert terms.chosen == "denoiser's error on features, distance to normal patches"
    assert terms.evidence[0][1] == "distance to normal patches: 1.000"
    assert training.evidence == (
        ("Total processor time", "1 min 35 s"),
        ("Denoiser on features", "steps 1,200, loss 0.250"),
    )
    model = {
        "space": "both",
        "fit_mode": "letterbox",
        "memory_weight": 0.5,
        "image_size": [256, 256],
        "x_y": "memory",
    }
    assert facts.model_facts(result_of(model=model)) == [
        ("Where the diffusion runs", "on the features of the frozen network and on the pixels"),
        ("Image size", "256 x 256 px"),
        ("Other aspect ratios", "letterboxed"),
        ("Weight of the memory distance", "0.50"),
        ("x y", "memory"),  # a value that means something else
    ]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_page_shows_the_most_abnormal_first_everywhere() -> None:
    page = render_report(result_of(*MIXED))
    assert [entry["id"] for entry in sheet(page)] == ["b.png", "c.png", "a.png"]
    assert [entry["flagged"] for entry in sheet(page)] == [True, True, False]
    assert re.findall(r'<details class="card stream detail image" id="item-(\d)" open', page) == ["0", "1", "2"]
    text = visible(page)
    assert "2 of 3 images are anomalous The most abnormal is b.png (score 9.00" in text
    assert "1 image could not be judged d.png truncated" in text
    assert "Mostly fine vertical detail (2 px): 60 % of what differs. All 3 shares fine vertical" in text
    assert text.index("fine vertical detail (2 px) 60 %") < text.index("medium diagonal detail (4 px)")
    assert "4.00, region threshold" in text
    assert "1 8 x 12 px at x 10, y 20" in text
    assert (
        "area 90 px (3.8 %), peak 6.00 at x 13, y 25; p 0.040. Of normal images, about 1 in 25 peaks this high." in text
    )


def test_flagged_images_precede_higher_scores_that_are_not() -> None:
    quiet = image("quiet", 5.0, labels=np.array([0]))
    assert [entry["id"] for entry in sheet(render_report(result_of(quiet, image("found", 2.5))))] == [
        "found",
        "quiet",
    ]


def test_layers_have_one_size_and_the_normal_version_only_where_there_is_one() -> None:
    with_normal = image("a", 9.0, reconstruction=gradient(20, 30))
    views = image_page.image_content(result_of(with_normal, image("b", 8.0)))["views"]
    first, second = (view["layers"] for view in views)
    sizes = {opened(first[name]).size for name in ("original", "heat", "normal", "difference")}
    assert sizes == {(300, 200)}  # magnified in whole steps up to 256 px and more
    assert second["normal"] == second["difference"] == ""


def test_image_that_has_gone_is_said_and_the_rest_stands() -> None:
    page = render_report(result_of(image("a", 9.0, image=Pixels(None)), image("b", 3.0)))
    assert "The image cannot be shown: the file has gone: put it back" in visible(page)
    assert [entry["image"] is None for entry in sheet(page)] == [True, False]


def test_nothing_from_the_data_becomes_markup() -> None:
    item = image(EVIL, 9.0, regions=1, notes=(EVIL,), parts={EVIL: np.ones(1)}, image=Pixels(None))
    model = {"train_source": EVIL, EVIL: EVIL, "choices": {EVIL: {"why": EVIL, EVIL: EVIL}}, "warnings": [EVIL]}
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
    assert "are anomalous" in render_report(result_of(*MIXED))


def test_thousands_of_images_come_in_small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    noise = Pixels(rng.uniform(size=(200, 200, 3)).astype(np.float32))  # the worst case for thumbnails
    monkeypatch.setattr(image_page, "MAX_THUMBNAILS", 100)
    items = [image(f"p{k}", 1.0 - k / 1000, image=noise) for k in range(150)]
    page = render_report(result_of(*items))
    entries = [sheet(page, number) for number in range(3)]
    assert [len(block) for block in entries] == [60, 60, 30]
    thumbs = [entry["image"] for block in entries for entry in block]
    assert [thumb is not None for thumb in thumbs] == [True] * 100 + [False] * 50
    assert max(len(thumb) for thumb in thumbs[:100]) < 8_000
    assert max(opened(thumbs[0]).size) == 128
    assert page.count('class="viewer"') == image_page.LEAST_DETAILS


@pytest.mark.slow
def test_every_flagged_image_can_be_opened_and_the_page_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    noise = Pixels(rng.uniform(size=(200, 200, 3)).astype(np.float32))
    items = [image(f"p{k}", 9.0 - k / 10 if k < 60 else 1.0, regions=2 * (k < 60), image=noise) for k in range(120)]
    page = render_report(result_of(*items))
    shown, _, more = page.partition("<template")
    assert shown.count('class="viewer"') == 40
    assert more.count('class="viewer"') == more.count("</template>") == 20
    assert [f'id="item-{n}"' in more for n in (39, 40, 59, 60)] == [False, True, True, False]
    entries = [entry for number in range(2) for entry in sheet(page, number)]
    assert [entry["view"] for entry in entries] == [*range(60), *[None] * 60]
    assert "without a normal version, to keep the page small" in visible(more)
    assert more.count("at x 3, y 25; p 0.02") == 20
    monkeypatch.setattr(image_page, "MORE_BYTES", 30_000)
    small = render_report(result_of(*items)).partition("<template")[2]
    assert 0 < small.count('class="viewer"') < 20 == small.count("</template>")
    assert "the page would grow too large. Its findings are complete" in visible(small)


def test_empty_result_makes_a_page() -> None:
    assert "Nothing could be scored" in visible(render_report(result_of()))
    assert "d.png truncated" in visible(render_report(result_of(failed("d.png", "truncated"))))


# -- images ------------------------------------------------------------------------------------------------------------


def test_ramp_grows_lighter_in_even_steps() -> None:
    ramp = image_figures.colour_ramp(64) / 255
    linear = np.where(ramp <= 0.04045, ramp / 12.92, ((ramp + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = 116 * np.cbrt(luminance) - 16  # CIE L*, another measure than the ramp's own
    steps = np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 2.0 * np.median(steps)


def test_heat_map_is_clear_at_normal_level_and_full_from_the_threshold_on() -> None:
    scale = image_figures.MapScale(12.0, 4.0)
    values = np.array([[-3.0, 0.0, np.nan, 2.0, 4.0, 12.0, 99.0, np.inf]], dtype=np.float32)
    drawn = np.asarray(image_figures.heat_map(values, (8, 1), scale))
    assert drawn[0, :, 3].tolist() == [0, 0, 0, 64, 255, 255, 255, 255]
    assert drawn[0, 5:, :3].tolist() == [image_figures.colour_ramp()[-1].tolist()] * 3


def test_heat_maps_share_a_scale_that_needs_no_threshold() -> None:
    def map_of(item: ImageResult) -> np.ndarray:
        return item.anomaly_map

    result = result_of(*MIXED)
    assert image_figures.map_scale(result, map_of) == image_figures.MapScale(12.0, 4.0)
    without = replace(result.calibration, pixel_threshold=None)
    assert image_figures.map_scale(replace(result, calibration=without), map_of) == image_figures.MapScale(9.0, None)


@pytest.mark.parametrize(
    ("channels", "mode", "said"), [(1, "L", ""), (2, "L", "mean of 2"), (3, "RGB", ""), (4, "RGB", "first three")]
)
def test_any_number_of_channels_can_be_shown(channels: int, mode: str, said: str) -> None:
    values = np.zeros((2, 3, channels), dtype=np.float32)
    values[..., 0], values[0, 0, 0] = 1.0, np.nan
    image = image_figures.shown(values)
    assert (image.mode, image.size) == (mode, (3, 2))
    assert said in image_figures.channels_text(channels)
    assert np.asarray(image).max() == (128 if channels == 2 else 255)


def test_difference_tells_brighter_from_darker_and_ignores_lost_detail() -> None:
    checks = np.indices((64, 64)).sum(axis=0)[..., None] % 2.0  # finer than the normal version can show
    normal = np.full((32, 32, 1), 0.5)
    _, full = image_figures.difference(checks, normal, (64, 64))
    assert full == 0.1
    checks[:16, :16], checks[48:, 48:] = 1.0, 0.0
    drawn, full = image_figures.difference(checks, normal, (64, 64))
    colours = np.asarray(drawn)
    assert full == pytest.approx(0.5, abs=0.01)
    assert np.abs(colours[4, 4] - np.array([196, 78, 0])).max() <= 3
    assert np.abs(colours[60, 60] - np.array([0, 92, 160])).max() <= 3


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((4000, 3000), (512, 384)), ((5000, 1), (512, 1)), ((1, 1), (256, 256)), ((300, 200), (300, 200))],
)
def test_details_have_a_readable_size(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert image_figures.detail_size(size) == drawn


def drawn(normal: np.ndarray, scores: np.ndarray, threshold: float = 2.0) -> dict:
    calibration = CalibrationSummary(0.05, threshold, len(normal), len(normal), 1, "held back", normal)
    figure = histogram.histogram_figure(calibration, scores)
    assert figure is not None
    return figure


@pytest.mark.parametrize("highest", [2.5, 30.0, 4e5])
def test_histogram_holds_every_score_at_its_place(highest: float) -> None:
    normal, scores = np.linspace(0.1, 2.1, 50), np.array([0.5, 1.0, 2.2, highest])
    figure = drawn(normal, scores)
    left, top, right, bottom = figure["frame"]
    top_percent = max(float(text.rstrip(" %")) for _, text in figure["y_ticks"])
    shares = [height / (bottom - figure["y_ticks"][-1][0]) * top_percent for *_, height in figure["bars"]]
    assert sum(shares) == pytest.approx(100, abs=2)  # of the normals, whatever the highest score is
    assert all(left <= x <= right and top <= y and y + height <= bottom + 0.1 for x, y, _, height in figure["bars"])
    steps = np.array([step.split() for step in figure["path"][1:].split("L")], float)
    assert steps[-2, 1] < bottom  # the last bin holds the highest score, and no other is put into it
    assert (highest == 2.5) == (figure["x_title"] == "score")


def test_histogram_axis_is_even_up_to_the_threshold_and_in_factors_beyond() -> None:
    axis = histogram.ScoreAxis.choose(np.array([0.0, 1.0, 2.0]), np.array([81.0]), threshold=2.0)
    assert (axis.middle, axis.bend) == (1.0, 2.0)
    even = np.diff(axis.place(np.linspace(0, 2, 9)))
    assert even == pytest.approx(even[0])
    factors = np.diff(axis.place(1 + np.array([1.0, 3, 9, 27])))
    assert factors == pytest.approx(factors[0])
    assert axis.place(np.array([0.0, 81.0])).tolist() == [0, 1]
    below, above = np.diff(axis.place(np.array([2 - 1e-4, 2, 2 + 1e-4])))
    assert below == pytest.approx(above, rel=1e-3)  # no kink


@pytest.mark.parametrize(("highest", "threshold"), [(2.5, 2.0), (9.0, 2.0), (3e6, 2.0), (40.0, np.inf), (2.5, 2.4e-3)])
def test_histogram_ticks_are_read_where_they_stand(highest: float, threshold: float) -> None:
    normal = np.linspace(0.1, 2.1, 50) * min(1.0, threshold / 2)
    axis = histogram.ScoreAxis.choose(normal, np.array([highest]), threshold)
    places, numbers = zip(*axis.ticks(), strict=True)
    scores = np.array([float(number.replace(",", "")) for number in numbers])
    np.testing.assert_allclose(axis.place(scores), places, atol=0.01)
    assert 3 <= len(places) <= 12
    assert min(np.diff(places)) >= histogram.TICK_GAP
    assert max(places) > 0.8


def test_one_image_among_thousands_is_seen_in_the_histogram() -> None:
    figure = drawn(np.append(np.full(9999, 1.0), 1.9), np.append(np.full(9999, 1.0), 8.0))
    assert [height for *_, height in figure["bars"]][1] == histogram.LOWEST_BAR_PX
    assert drawn(np.ones(5), np.ones(5), np.inf)["threshold"] is None  # no scores differ, and there is no threshold
    calibration = CalibrationSummary(0.05, 2.0, 5, 5, 1, "", np.ones(5))
    assert histogram.histogram_figure(calibration, np.array([np.nan])) is None


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ([("a", 0.2), ("b", 0.7), ("c", 0.1)], "Mostly b: 70 % of what differs."),
        ([("a", 0.2), ("b", 0.3), ("c", 0.18)], "The largest shares of what differs: b, 30 %, and a, 20 %."),
        ([("a", 0.1), ("b", 0.4), ("c", 0.1)], "The largest share of what differs: b, 40 %."),
        ([], ""),
    ],
)
def test_one_sentence_names_the_largest_shares(shares: list, sentence: str) -> None:
    assert wording.shares_sentence(shares) == sentence


# -- files and terminal ------------------------------------------------------------------------------------------------


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_files_have_a_row_per_image_and_per_region(tmp_path: Path) -> None:
    write_outputs(result_of(*MIXED), tmp_path)
    scores = read(tmp_path / "scores.csv")
    assert list(scores[0]) == ["item", "score", "p_value", "label", "status", "reason", "p_tail", "deviations"]
    assert [row["item"] for row in scores] == ["a.png", "b.png", "c.png", "d.png"]
    assert scores[3] == {
        "item": "d.png", "score": "", "p_value": "", "label": "-1", "status": "not judged", "reason": "truncated",
        "p_tail": "", "deviations": "",
    }  # fmt: skip
    header, first, _ = (tmp_path / "events.csv").read_text().splitlines()
    assert header == (
        "item,start,end,peak,score,p_value,left_px,top_px,right_px,bottom_px,peak_x_px,peak_y_px,area_px,"
        "on_part,p_tail,p_tail_low,p_tail_high,deviations"
    )
    assert first == "b.png,0 20,7 31,3 25,5.0,0.02,0,20,8,32,3,25,90,,,,,"


def test_regions_off_the_part_are_named_so_and_the_part_is_outlined() -> None:
    seen = image("b.png", 9.0, regions=2)
    told = replace(seen, events=tuple(replace(each, on_part=k > 0) for k, each in enumerate(seen.events)))
    page = render_report(result_of(replace(told, part=np.eye(8, dtype=bool))))
    assert visible(page).count("at x 0, y 20, off the part") >= 1
    assert "at x 10, y 20, off the part" not in visible(page)
    assert "The blue line surrounds the part" in visible(page)
    assert 'alt="Outline of the part"' in page
    assert "blue line" not in visible(render_report(result_of(seen)))


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


def test_terminal_lists_the_strongest_images_and_the_failures(capsys: pytest.CaptureFixture[str]) -> None:
    noted = [replace(item, notes=("letterboxed",)) for item in MIXED[:3]]
    print_found(result_of(*noted, MIXED[3]), [Path("out/scores.csv")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 of 3 images are anomalous. The most abnormal is b.png")
    assert lines[1:] == [
        "  b.png  score 9.00  p 0.020  region of 8 x 12 px at x 10, y 20 and 1 more region",
        "  c.png  score 3.00  p 0.020  no single region stands out",
        "Not judged: d.png: truncated",
        "Note: 3 images: letterboxed",
        "Written: out/scores.csv",
    ]


def test_terminal_stays_short(capsys: pytest.CaptureFixture[str]) -> None:
    many = [image(f"p{k}", 3.0 + k) for k in range(30)] + [failed(f"f{k}", "a\nb") for k in range(30)]
    print_found(result_of(*many), [])
    lines = capsys.readouterr().out.splitlines()
    assert "  ... and 25 more, in scores.csv" in lines
    assert "Not judged: f0: a b" in lines
    assert "Not judged: 24 more, in scores.csv and the report" in lines
    assert len(lines) < 20
