"""Flagged images with heat map and boxes drawn on, in their own size; where they lie, and what is told of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oddwave.errors import ConfigError, DataError
from oddwave.files import own_entries
from oddwave.records import ImageRegion, ImageResult
from oddwave.report import write_outputs
from oddwave.report.kinds.image_annotated import annotated_image
from oddwave.report.kinds.image_figures import MapScale, heat_map
from oddwave.results import CalibrationSummary, DetectionResult


class Pixels:
    def __init__(self, values: np.ndarray | None) -> None:
        self.values = values

    def pixels(self) -> np.ndarray:
        if self.values is None:
            raise DataError("the file has gone: put it back")
        return self.values


def image(name: str, *, size: tuple[int, int] = (300, 400), flagged: bool = True, gone: bool = False) -> ImageResult:
    heat = np.zeros((30, 40), np.float32)
    heat[10:15, 20:28] = 9.0
    height, width = size
    box = (width // 2, height // 3, width * 28 // 40, height // 2)
    region = ImageRegion(name, *box, box[0] + 1, box[1] + 1, 90, 9.0, 0.02)
    return ImageResult(
        id=name,
        scores=np.array([9.0 if flagged else 0.5]),
        p_values=np.array([0.02]),
        labels=np.array([int(flagged)]),
        size=size,
        anomaly_map=heat,
        image=Pixels(None if gone else np.full((*size, 1), 0.5, np.float32)),
        events=(region,) if flagged else (),
    )


def result_of(*items: ImageResult) -> DetectionResult:
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, "", np.linspace(0.1, 2.1, 49), pixel_threshold=3.0)
    return DetectionResult("image", "image", items, calibration)


@pytest.mark.parametrize("size", [(300, 400), (1200, 900), (24, 40)])  # also beyond one strip, and below a label's
def test_the_drawing_has_the_images_size_and_marks_the_region(size: tuple[int, int]) -> None:
    drawn = np.asarray(annotated_image(image("a", size=size), MapScale(9.0, 3.0))).astype(int)
    assert drawn.shape == (*size, 3)
    height, width = size
    middle = drawn[height * 11 // 24, width * 27 // 40]
    assert middle[0] - middle[2] > 30  # warm
    assert (drawn[height * 9 // 10, width // 10] == 128).all()
    edge = drawn[height * 11 // 24, width * 28 // 40 - 1]
    assert edge.tolist() == [255, 157, 77]


def test_strips_are_the_whole_map() -> None:
    values, scale = np.random.default_rng(0).uniform(0, 9, (7, 9)).astype(np.float32), MapScale(9.0, 3.0)
    whole = np.asarray(heat_map(values, (90, 100), scale)).astype(int)
    strips = [np.asarray(heat_map(values, (90, 100), scale, rows=(top, min(top + 33, 100)))) for top in (0, 33, 66, 99)]
    assert np.abs(np.concatenate(strips).astype(int) - whole).max() <= 1


def test_they_lie_beside_the_results_under_their_names(tmp_path: Path) -> None:
    names = ["line 1/a.png", "line 1/a.jpg", "../../up.jpg", "b:c.tif", "A.png", "a.png", "a.png/inner.png"]
    items = [*map(image, names), image("good.png", flagged=False), image("gone.png", gone=True)]
    with pytest.warns(UserWarning, match=r"gone\.png is not among the annotated images: the file has gone"):
        written = write_outputs(result_of(*items), tmp_path / "out", annotate=True)
    folder = tmp_path / "out" / "annotated"
    assert folder in written
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png") if path.is_file())
    expected = ["A.png", "a (2).png", "a.png/inner.png", "b_c.tif.png", "line 1/a.jpg.png", "line 1/a.png"]
    assert found == sorted([*expected, "up.jpg.png"])
    for name in found:
        with Image.open(folder / name) as drawn:
            assert drawn.size == (400, 300)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["items"][1]["annotated"] == {"image": "annotated/line 1/a.jpg.png"}
    assert summary["items"][-2]["annotated"] == summary["items"][-1]["annotated"] == {}
    assert sorted(summary["annotated"]["files"]) == found
    assert "annotated" in own_entries(tmp_path / "out")  # never taken for data


def test_an_earlier_folder_is_replaced_but_never_one_that_somebody_wrote_to(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_outputs(result_of(image("a.png"), image("x/b.png")), out, annotate=True)
    write_outputs(result_of(image("x/c.png")), out, annotate=True)
    assert [path.name for path in (out / "annotated").rglob("*.png")] == ["c.png"]
    (out / "annotated" / "x" / "mine.txt").write_text("mine")
    write_outputs(result_of(image("a.png")), out, annotate=True)
    assert (out / "annotated" / "x" / "mine.txt").read_text() == "mine"
    assert [path.name for path in (out / "annotated_2").iterdir()] == ["a.png"]
    write_outputs(result_of(image("a.png")), out)
    assert not (out / "annotated_2").exists()  # no stale drawings beside new scores


def test_only_images_can_be_drawn_on(tmp_path: Path) -> None:
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, "", np.linspace(0.1, 2.1, 49))
    with pytest.raises(ConfigError, match="draws on images"):
        write_outputs(DetectionResult("audio", "recording", (), calibration), tmp_path / "out", annotate=True)
    assert not (tmp_path / "out").exists()
