"""VisA's layout, read from a tiny copy of it."""

import numpy as np
import pytest
from PIL import Image

from oddwave.errors import DataError
from oddwave.lab.datasets.visa import load_visa

TABLE = """object,split,label,image,mask
candle,train,normal,candle/Data/Images/Normal/0001.JPG,
candle,train,normal,candle/Data/Images/Normal/0000.JPG,
candle,test,normal,candle/Data/Images/Normal/0002.JPG,
candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png
pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,
pcb1,test,normal,pcb1/Data/Images/Normal/0001.JPG,
"""


@pytest.fixture
def visa(tmp_path):
    folder = tmp_path / "visa"
    (folder / "split_csv").mkdir(parents=True)
    (folder / "split_csv" / "1cls.csv").write_text(TABLE)
    for line in TABLE.splitlines()[1:5]:
        for name in filter(None, line.split(",")[3:]):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            values = np.zeros((6, 8), np.uint8)
            values[1, 2], values[1, 3], values[4, 5] = 1, 1, 6  # two classes of defect
            Image.fromarray(values).save(folder / name)
    return folder


def change(visa, old, new):
    table = visa / "split_csv" / "1cls.csv"
    table.write_text(TABLE.replace(old, new))


def test_objects_that_are_present_follow_the_table(visa):
    for root in (visa, visa.parent):
        (candle,) = load_visa(root)
        assert candle.name == "candle"
        assert [path.name for path in candle.train_paths] == ["0001.JPG", "0000.JPG"]
        assert [path.name for path in candle.test_paths] == ["0002.JPG", "000.JPG"]
        assert candle.gt_label.tolist() == [0, 1]
        assert candle.kinds == ("good", "anomaly")
        assert candle.mask_paths[0] is None
        assert candle.has_masks


def test_every_class_of_a_mask_is_anomalous(visa):
    (candle,) = load_visa(visa, only=["candle"])
    assert np.argwhere(candle.gt_mask(1, 6, 8)).tolist() == [[1, 2], [1, 3], [4, 5]]
    assert not candle.gt_mask(0, 6, 8).any()


def test_what_is_missing_is_named(visa, tmp_path):
    with pytest.raises(DataError, match="no object pcb1: found candle"):
        load_visa(visa, only=["candle", "pcb1"])
    (visa / "pcb1").mkdir()
    with pytest.raises(DataError, match="VisA pcb1: 2 of 2 files are missing"):
        load_visa(visa)
    with pytest.raises(DataError, match="VisA not found"):
        load_visa(tmp_path / "elsewhere")
    (visa / "candle").rename(visa / "other")
    (visa / "pcb1").rmdir()
    with pytest.raises(DataError, match="found none of those in its table"):
        load_visa(visa)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("object,split", "thing,split", "line 2 is no row of object,split"),
        ("candle,train,normal,candle/Data/Images/Normal/0000.JPG,", "candle,fit,normal,x,", "line 3"),
        ("test,anomaly", "test,defect", "line 5"),
        (",candle/Data/Masks/Anomaly/000.png", ",", "line 5"),
        (TABLE[TABLE.index("candle") :], "", "has no rows"),
        ("train,normal,candle", "test,normal,candle", "expected normal training images"),
        ("test,anomaly", "train,anomaly", "expected normal training images"),
    ],
)
def test_damaged_tables_are_refused(visa, old, new, message):
    change(visa, old, new)
    with pytest.raises(DataError, match=message):
        load_visa(visa)


def test_a_table_that_is_no_text_is_refused(visa):
    (visa / "split_csv" / "1cls.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="is not VisA's table of splits"):
        load_visa(visa)
