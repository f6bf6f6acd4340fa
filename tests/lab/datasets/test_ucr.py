"""The UCR archive's layout, read from a tiny copy of it."""

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError
from oddwave.lab.datasets import load_ucr, load_ucr_panels, ucr_names


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "ucr" / "ECG200"
    folder.mkdir(parents=True)
    (folder / "ECG200_TRAIN.tsv").write_text("1\t0.5\t1.5\t2.5\n-1\t9\t9\t9\n1\t1\tNaN\t3\n")
    (folder / "ECG200_TEST.tsv").write_text("-1\tNaN\t7\tNaN\n1\t0\t1\t2\n")
    return tmp_path


def add_set(archive, name, classes):
    (archive / "ucr" / name).mkdir()
    text = "\n".join(f"{own}\t0.5\t{i}" for i, own in enumerate(classes))
    for part in ("TRAIN", "TEST"):
        (archive / "ucr" / name / f"{name}_{part}.tsv").write_text(text + "\n")


def test_one_class_panel(archive):
    panel = load_ucr(archive, "ECG200")
    assert panel.train.shape == (3, 1, 3)
    assert panel.train_class.tolist() == [1, -1, 1]
    assert panel.train_normal.tolist() == [[[0.5, 1.5, 2.5]], [[1.0, 2.0, 3.0]]]
    assert panel.gt_label.tolist() == [1, 0]
    assert panel.normal_class == 1


def test_gaps_are_filled_within_the_instance_or_kept(archive):
    assert load_ucr(archive, "ECG200").test[0].tolist() == [[7.0, 7.0, 7.0]]
    kept = load_ucr(archive, "ECG200", missing="keep")
    assert np.isnan(kept.test[0, 0]).tolist() == [True, False, True]
    with pytest.raises(ConfigError, match="missing is 'drop'"):
        load_ucr(archive, "ECG200", missing="drop")


def test_any_class_can_be_the_normal_one(archive):
    assert load_ucr(archive, "ECG200", normal_class=-1).gt_label.tolist() == [0, 1]
    with pytest.raises(DataError, match=r"no instance of normal class 5, only \[-1, 1\]"):
        load_ucr(archive, "ECG200", normal_class=5)


@pytest.mark.parametrize(
    ("classes", "normal"), [((2, 1, 2), 2), ((3, 1, 3, 1, 2), 1), ((5,), 5)], ids=["most", "tie", "one"]
)
def test_the_most_frequent_class_is_normal_where_none_is_named(archive, classes, normal):
    add_set(archive, "Coffee", classes)
    panel = load_ucr(archive, "Coffee")
    assert panel.normal_class == normal
    assert panel.gt_label.tolist() == [int(own != normal) for own in classes]


def test_every_set_that_is_there_is_loaded(archive):
    add_set(archive, "Coffee", (0, 1))
    (archive / "ucr" / "Missing").mkdir()
    (archive / "ucr" / "Other").mkdir()
    (archive / "ucr" / "Other" / "Coffee_TRAIN.tsv").write_text("1\t2\n")
    assert ucr_names(archive) == ucr_names(archive / "ucr") == ["Coffee", "ECG200"]
    assert [panel.name for panel in load_ucr_panels(archive)] == ["Coffee", "ECG200"]
    assert [panel.name for panel in load_ucr_panels(archive / "ucr", ["ECG200"])] == ["ECG200"]
    with pytest.raises(DataError, match="UCR archive has no FordA here: choose from Coffee, ECG200"):
        load_ucr_panels(archive, ["FordA"])
    with pytest.raises(DataError, match=r"UCR archive not found: no '<Name>/<Name>_TRAIN\.tsv'"):
        ucr_names(archive / "elsewhere")


@pytest.mark.parametrize("text", ["", "1\t2\n1\t2\t3\n", "1\ttwo\t3\n", "1\n", "nan\t1\t2\t3\n"])
def test_damaged_files_are_refused_by_name(archive, text):
    (archive / "ucr" / "ECG200" / "ECG200_TEST.tsv").write_text(text)
    with pytest.raises(DataError, match=r"ECG200_TEST\.tsv"):
        load_ucr(archive, "ECG200")


def test_other_lengths_empty_instances_and_missing_files_are_refused(archive):
    path = archive / "ucr" / "ECG200" / "ECG200_TEST.tsv"
    path.write_text("1\t0\t1\n")
    with pytest.raises(DataError, match="TRAIN instances have 3 points, TEST 2"):
        load_ucr(archive, "ECG200")
    path.write_text("1\tNaN\tNaN\tNaN\n")
    with pytest.raises(DataError, match="row 1 has no value"):
        load_ucr(archive, "ECG200")
    path.unlink()
    with pytest.raises(DataError, match=r"ECG200_TEST\.tsv"):
        load_ucr(archive, "ECG200")
