"""MVTec AD's layout, read from a tiny copy of it."""

import numpy as np
import pytest
from PIL import Image

from oddwave.errors import DataError
from oddwave.lab.datasets.mvtec import MVTEC_CATEGORIES, load_category, load_magnetic_tile, load_mvtec


def draw(path, values=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 12), np.uint8) if values is None else values).save(path)


def make_category(folder, ending="png"):
    for name in ("train/good/000", "train/good/001", "test/good/000", "test/dent/001", "test/dent/000", "test/cut/7"):
        draw(folder / f"{name}.{ending}")
    for number, name in enumerate(("dent/000", "dent/001", "cut/7")):
        mask = np.zeros((8, 12), np.uint8)
        mask[2 : 4 + number, 4:8] = 255
        draw(folder / "ground_truth" / f"{name}_mask.png", mask)
    return folder


@pytest.fixture
def root(tmp_path):
    make_category(tmp_path / "mvtec_ad" / "screw")
    make_category(tmp_path / "mvtec_ad" / "bottle")
    make_category(tmp_path / "magnetic_tile", "jpg")
    (tmp_path / "mvtec_ad" / "readme.txt").write_text("not a category")
    (tmp_path / "mvtec_ad" / "screw" / "test" / "dent" / "notes.txt").write_text("not an image")
    return tmp_path


def test_a_category_is_listed_in_order_with_labels_kinds_and_masks(root):
    bottle, screw = load_mvtec(root)
    assert (bottle.name, screw.name) == ("bottle", "screw")
    assert [path.name for path in screw.train_paths] == ["000.png", "001.png"]
    assert [f"{path.parent.name}/{path.name}" for path in screw.test_paths] == [
        "cut/7.png",
        "dent/000.png",
        "dent/001.png",
        "good/000.png",
    ]
    assert screw.kinds == ("cut", "dent", "dent", "good")
    assert screw.gt_label.tolist() == [1, 1, 1, 0]
    assert [path and path.name for path in screw.mask_paths] == ["7_mask.png", "000_mask.png", "001_mask.png", None]
    assert screw.has_masks


@pytest.mark.parametrize("place", ["", "mvtec_ad", "mvtec_ad/screw"])
def test_is_found_from_the_data_folder_its_own_and_a_category(root, place):
    assert "screw" in [split.name for split in load_mvtec(root / place)]
    assert "magnetic_tile" not in [split.name for split in load_mvtec(root / place)]
    assert [split.name for split in load_mvtec(root / place, ["screw"])] == ["screw"]


def test_own_categories_and_a_single_one(tmp_path):
    make_category(tmp_path / "parts" / "washer ✓", "bmp")
    (washer,) = load_mvtec(tmp_path / "parts")
    assert washer.name == "washer ✓"
    assert len(washer.train_paths) == 2
    assert load_category(str(tmp_path / "parts" / "washer ✓")).test_paths == washer.test_paths


def test_magnetic_tile_mixes_endings(root):
    for place in (root, root / "magnetic_tile"):
        (tile,) = load_magnetic_tile(place)
        assert tile.name == "magnetic_tile"
        assert tile.test_paths[0].name == "7.jpg"
        assert tile.mask_paths[0].name == "7_mask.png"
    assert len(load_magnetic_tile(root, ["magnetic_tile"])) == 1
    with pytest.raises(DataError, match="no category screw"):
        load_magnetic_tile(root, ["screw"])
    with pytest.raises(DataError, match="magnetic tile not found"):
        load_magnetic_tile(root / "mvtec_ad")


def test_masks_are_read_at_any_size(root):
    (screw,) = load_mvtec(root, ["screw"])
    expected = np.zeros((8, 12), dtype=bool)
    expected[2:4, 4:8] = True
    np.testing.assert_array_equal(screw.gt_mask(1, 8, 12), expected)
    np.testing.assert_array_equal(screw.gt_mask(1, 16, 24), expected.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(screw.gt_mask(1, 4, 6), expected[::2, ::2])
    np.testing.assert_array_equal(screw.gt_mask(3, 5, 7), np.zeros((5, 7), dtype=bool))


def test_a_small_defect_survives_shrinking(root):
    (screw,) = load_mvtec(root, ["screw"])
    speck = np.zeros((64, 64), np.uint8)
    speck[33, 10:12] = 1
    draw(screw.mask_paths[0], speck)
    small = screw.gt_mask(0, 8, 8)
    assert np.argwhere(small).tolist() == [[4, 1]]
    draw(screw.mask_paths[0], np.zeros((64, 64), np.uint8))
    assert not screw.gt_mask(0, 8, 8).any()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1", "I;16"])
def test_masks_of_any_mode(root, mode):
    (screw,) = load_mvtec(root, ["screw"])
    expected = np.zeros((8, 12), dtype=bool)
    expected[1:3, 5:] = True
    if mode == "I;16":
        image = Image.fromarray(expected.astype(np.uint16) * 40000)
    elif mode == "P":
        image = Image.fromarray(expected.astype(np.uint8) * 3, "L")
        image = Image.frombytes("P", image.size, image.tobytes())
        image.putpalette([0] * 768)  # all colours black: only the indices tell
    else:
        image = Image.fromarray(expected.astype(np.uint8) * 255).convert(mode)
    image.save(screw.mask_paths[0])
    np.testing.assert_array_equal(screw.gt_mask(0, 8, 12), expected)


def test_labels_without_any_masks(root):
    folder = root / "mvtec_ad" / "screw"
    for path in sorted((folder / "ground_truth").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (folder / "ground_truth").rmdir()
    (screw,) = load_mvtec(root, ["screw"])
    assert screw.gt_label.tolist() == [1, 1, 1, 0]
    assert not screw.has_masks
    assert not screw.gt_mask(3, 4, 4).any()
    with pytest.raises(DataError, match=r"7\.png' is defective but has no mask"):
        screw.gt_mask(0, 4, 4)


def test_damaged_layouts_say_what_is_missing(root, tmp_path):
    folder = root / "mvtec_ad" / "screw"
    (folder / "ground_truth" / "dent" / "001_mask.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"001_mask\.png' is not a mask image"):
        load_mvtec(root, ["screw"])[0].gt_mask(2, 8, 12)
    (folder / "ground_truth" / "dent" / "001_mask.png").unlink()
    with pytest.raises(DataError, match=r"001\.png' has no mask '.*001_mask\.png'"):
        load_mvtec(root, ["screw"])
    for path in (folder / "train" / "good").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no images in train/good"):
        load_mvtec(root, ["screw"])
    draw(tmp_path / "bare" / "train" / "good" / "0.png")
    with pytest.raises(DataError, match="no images in test/<defect or good>"):
        load_category(tmp_path / "bare")


def test_absent_categories_are_named(root):
    assert len(MVTEC_CATEGORIES) == 15
    with pytest.raises(
        DataError, match=r"no category pill: download and unpack pill there, or choose from bottle, screw"
    ):
        load_mvtec(root, ["screw", "pill"])
    with pytest.raises(DataError, match="no category spoon: choose from bottle, screw"):
        load_mvtec(root, ["spoon"])
    with pytest.raises(DataError, match="MVTec AD not found"):
        load_mvtec(root / "mvtec_ad" / "screw" / "test")
