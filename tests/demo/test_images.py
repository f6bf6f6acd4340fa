"""The demonstration's images: the same every time, exact masks, fair defects, and an honest comparison."""

import numpy as np
import pytest
from PIL import Image

import oddwave.demo
from oddwave.demo import run_demo
from oddwave.demo.gear_defects import GEAR_DEFECTS
from oddwave.demo.gear_image import draw_part, write_demo_images
from oddwave.demo.gear_shape import NUM_HOLES, Frame, Pose, gear_distance
from oddwave.demo.images import PlantedImages, match_images, print_images
from oddwave.errors import CheckpointError, ConfigError
from oddwave.lab.datasets.mvtec import load_category
from oddwave.results import ImageRegion, ImageResult

KINDS = tuple(GEAR_DEFECTS)


def draw(seed, size_px=128, defect=None):
    return draw_part(np.random.default_rng(seed), size_px, defect)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "gears"
    return PlantedImages.of_folder(write_demo_images(folder, num_train=3, num_good=2, num_per_kind=2, size_px=64))


@pytest.mark.parametrize("lost", [{}, {"lost_tooth": 3, "stub": 1.0}, {"lost_hole": 2}], ids=str)
def test_coverage_from_the_distance_is_what_many_samples_per_pixel_count(lost):
    fine = 8
    pose = Pose(127.0, 129.5, 0.7, 1.0)
    finer = Pose((pose.x_px + 0.5) * fine - 0.5, (pose.y_px + 0.5) * fine - 0.5, pose.angle, fine * pose.px_per_unit)
    cover = np.clip(0.5 - gear_distance(Frame.of(pose, 256), **lost), 0.0, 1.0)
    inside = gear_distance(Frame.of(finer, 256 * fine), **lost) < 0
    counted = inside.reshape(256, fine, 256, fine).mean(axis=(1, 3))
    edge = (counted > 0) & (counted < 1)
    assert np.abs(cover - counted)[edge].mean() < 0.06
    assert np.abs(cover - counted).max() < 0.5
    assert cover.sum() == pytest.approx(counted.sum(), rel=2e-3)


def test_each_hole_is_a_hole_of_its_own():
    frame = Frame.of(Pose(127.5, 127.5, 0.3, 1.0), 256)
    whole = gear_distance(frame) < 0
    filled = [(gear_distance(frame, lost_hole=hole) < 0) & ~whole for hole in range(NUM_HOLES)]
    assert np.all(sum(np.asarray(mask, int) for mask in filled) <= 1)
    assert all(mask.sum() == pytest.approx(np.pi * 9.5**2, rel=0.05) for mask in filled)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_mask_is_exactly_where_the_defective_image_differs_from_the_good_one(kind, seed):
    good, defective = draw(seed), draw(seed, defect=kind)
    changed = np.any(good.image != defective.image, axis=2)
    assert np.array_equal(changed, defective.defect_mask)
    assert not good.defect_mask.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_defect_shows_but_is_small(kind):
    for seed in range(6):
        good, defective = draw(seed, 256), draw(seed, 256, kind)
        mask = defective.defect_mask
        change = np.abs(good.image.astype(int) - defective.image)[mask]
        assert 20 <= mask.sum() <= 0.015 * mask.size
        assert change.mean() > 8
        assert change.sum() / good.image.size < 1  # the mean brightness gives nothing away


def test_defects_change_the_outline_as_their_names_say():
    for seed in range(4):
        part = draw(seed).part_mask
        after = {kind: draw(seed, defect=kind) for kind in KINDS}
        for kind in ("scratch", "dent", "stain"):
            assert np.array_equal(after[kind].part_mask, part)
            assert np.all(part | ~after[kind].defect_mask | touches(part))
        for kind in ("missing_tooth", "chipped_edge"):
            assert np.all(part | ~after[kind].part_mask)
            assert 5 <= (part & ~after[kind].part_mask).sum() <= 0.02 * part.sum()
        hole = after["missing_hole"].part_mask & ~part
        assert hole.sum() == pytest.approx(np.pi * (9.5 / 2) ** 2, rel=0.15)
        assert np.all(after["missing_hole"].defect_mask | ~hole | touches(~hole))


def touches(mask):
    """The pixels within two of the mask: those on an edge belong to both sides."""
    padded = np.pad(mask, 2)
    height, width = mask.shape
    return np.any([padded[y : y + height, x : x + width] for y in range(5) for x in range(5)], axis=0)


def test_good_parts_vary_within_what_is_promised_and_are_never_cut_off():
    parts = [draw(seed) for seed in range(24)]
    rows, columns = np.indices(parts[0].part_mask.shape)
    middles = np.array([(rows[p.part_mask].mean(), columns[p.part_mask].mean()) for p in parts]) / 127 - 0.5
    sides = np.sqrt([p.part_mask.sum() for p in parts])
    light = np.array([np.median(p.image[p.part_mask]) for p in parts])
    assert np.abs(middles).max() < 0.05
    assert middles.std(axis=0).min() > 0.01
    assert 1.01 < sides.max() / sides.min() < 1.05
    assert 1.05 < light.max() / light.min() < 1.3
    for part in parts:
        border = np.concatenate([part.part_mask[[0, -1]].ravel(), part.part_mask[:, [0, -1]].ravel()])
        assert not border.any()
        assert (part.image == 255).mean() < 0.005  # not overexposed


def test_the_same_seed_writes_the_same_files_and_more_of_one_kind_change_no_other(tmp_path):
    def contents(name, **counts):
        folder = write_demo_images(tmp_path / name, size_px=64, **{"num_train": 2, "num_good": 1, **counts})
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}

    one, same = contents("one", num_per_kind=1), contents("same", num_per_kind=1)
    more, other = contents("more", num_per_kind=2, num_train=4), contents("other", num_per_kind=1, seed=1)
    assert one == same
    assert one.items() < more.items()
    assert not set(one.values()) & {data for name, data in other.items() if "ground_truth" not in name}
    assert len(set(one.values())) == len(one)


def test_the_folder_is_read_as_a_category_with_masks(split):
    assert len(split.train_paths) == 3
    assert sorted(set(split.kinds)) == sorted({*KINDS, "good"})
    category = load_category(split.train_paths[0].parents[2])
    assert category.gt_label.sum() == 2 * len(KINDS)
    assert category.has_masks
    assert category.kinds == split.kinds
    assert category.mask_paths == split.mask_paths
    for index, kind in enumerate(split.kinds):
        assert (split.gt_mask(index) is None) == (kind == "good")
    with Image.open(split.train_paths[0]) as image:
        assert (image.mode, image.size) == ("RGB", (64, 64))


def test_a_smaller_set_replaces_a_larger_one_and_leaves_other_files_alone(tmp_path):
    write_demo_images(tmp_path, num_train=3, num_good=1, num_per_kind=1, size_px=64)
    (tmp_path / "mine.txt").write_text("mine")
    write_demo_images(tmp_path, num_train=1, num_good=1, num_per_kind=0, size_px=64)
    assert len(list(tmp_path.rglob("*.png"))) == 2
    assert (tmp_path / "mine.txt").exists()


def test_what_cannot_be_drawn_or_written_is_refused_in_words(tmp_path):
    with pytest.raises(ConfigError, match=r"'rust': choose one of missing_tooth, .*missing_hole"):
        draw(0, defect="rust")
    with pytest.raises(ConfigError, match="size_px is 32: draw parts at 64 pixels"):
        draw(0, size_px=32)
    with pytest.raises(ConfigError, match="num_good is -1"):
        write_demo_images(tmp_path / "x", num_good=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="is a file"):
        write_demo_images(tmp_path / "file", num_train=1, num_good=1, num_per_kind=0)


def judged(path, label, *boxes, p_value=0.02):
    """An image's result; boxes are (left, top, right, bottom), the first one the strongest."""
    events = tuple(
        ImageRegion(path.stem, *box, box[0], box[1], 4, 9.0 - rank, 0.05) for rank, box in enumerate(boxes)
    )  # fmt: skip
    score, flags = np.array([3.0]), np.array([label])
    return ImageResult(path.stem, score, np.array([p_value]), flags, (64, 64), np.zeros((64, 64)), events=events)


def box_of(split, index):
    rows, columns = np.nonzero(split.gt_mask(index))
    return int(columns[0]), int(rows[0]), int(columns[0]) + 1, int(rows[0]) + 1


FAR = (0, 0, 2, 2)  # the corner of an image: no defect reaches it


def test_matching_counts_flags_places_and_false_alarms(split):
    results = []
    seen = dict.fromkeys(split.kinds, 0)
    for index, (path, kind) in enumerate(zip(split.test_paths, split.kinds, strict=True)):
        first = seen[kind] == 0
        seen[kind] += 1
        if kind == "good":
            results.append(judged(path, int(first), FAR, p_value=0.5))
        elif kind == "dent":  # found both times, the second time in the wrong place
            results.append(judged(path, 1, *([box_of(split, index), FAR] if first else [FAR, box_of(split, index)])))
        elif kind == "stain":  # flagged without a region, and a region without being flagged
            results.append(judged(path, 1) if first else judged(path, 0, box_of(split, index)))
        else:
            results.append(judged(path, 0))
    found = match_images(split, results)
    assert [each.kind for each in found] == [*sorted(KINDS), "good"]
    counts = {each.kind: (each.num_images, each.num_flagged, each.num_placed) for each in found}
    assert counts["dent"] == (2, 2, 1)
    assert counts["stain"] == (2, 1, 0)
    assert counts["good"] == (2, 1, 0)
    assert counts["scratch"] == (2, 0, 0)
    with pytest.raises(ValueError, match="zip"):
        match_images(split, results[:-1])


def test_a_image_that_could_not_be_judged_counts_as_missed(split, capsys):
    nothing = np.full(1, np.nan)
    failed = [ImageResult(path.stem, nothing, nothing, np.zeros(1, int), (0, 0), np.zeros((0, 0)), error="damaged")
              for path in split.test_paths]  # fmt: skip
    found = match_images(split, failed)
    assert sum(each.num_flagged for each in found) == 0
    print_images(found, 0.05)
    assert "n/a" in capsys.readouterr().out


def test_what_is_printed_says_found_missed_and_false_alarms(split, capsys):
    results = [
        judged(path, 1, FAR if kind == "good" else box_of(split, index))
        for index, (path, kind) in enumerate(zip(split.test_paths, split.kinds, strict=True))
    ]
    print_images(match_images(split, results), 0.05)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["planted", "images", "found", "at", "its", "place", "median", "p"]
    assert "missing tooth  2       2      2             0.020" in lines
    assert "none           2       2                    0.020" in lines
    assert lines[-2:] == [
        "Found 12 of 12 defective parts, 12 of them at the right place;",
        "2 false alarms among 2 good parts, 0.1 expected at alpha 0.05.",
    ]


@pytest.mark.parametrize("parts", [("series",), ("images",), ("audio",), ("audio", "images", "series")])
def test_the_demonstration_runs_the_parts_asked_for_in_their_order(parts, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(oddwave.demo, "run_series", lambda folder, **_: ran.append(("series", folder)))
    monkeypatch.setattr(oddwave.demo, "run_images", lambda folder, **_: ran.append(("images", folder)))
    monkeypatch.setattr(oddwave.demo, "run_audio", lambda folder, **_: ran.append(("audio", folder)))
    run_demo(tmp_path, parts=parts)
    expected = [("series", tmp_path), ("images", tmp_path / "images"), ("audio", tmp_path / "sound")]
    assert ran == [entry for entry in expected if entry[0] in parts]


@pytest.mark.parametrize("parts", [("smell",), ()])
def test_the_demonstration_knows_no_other_parts(parts, tmp_path):
    with pytest.raises(ConfigError, match="give one or more of series, images, audio"):
        run_demo(tmp_path, parts=parts)
