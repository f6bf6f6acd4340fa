"""Where the data folder is looked for, and the registry."""

import pytest

from oddwave.errors import DataError
from oddwave.lab.datasets import DATASETS, data_root
from oddwave.lab.datasets.records import find_folder, label_from_windows


def test_explicit_folder_wins_over_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ODDWAVE_DATA", str(tmp_path / "absent"))
    assert data_root(tmp_path) == tmp_path
    with pytest.raises(DataError, match=r"ODDWAVE_DATA '.*absent' is not a folder"):
        data_root()
    monkeypatch.setenv("ODDWAVE_DATA", str(tmp_path))
    assert data_root() == tmp_path
    with pytest.raises(DataError, match=r"the given data folder '.*elsewhere' is not a folder"):
        data_root(tmp_path / "elsewhere")


@pytest.mark.parametrize("value", [None, ""])
def test_no_folder_says_how_to_name_one(value, monkeypatch):
    monkeypatch.delenv("ODDWAVE_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("ODDWAVE_DATA", value)
    with pytest.raises(DataError, match="pass --data DIR or set ODDWAVE_DATA"):
        data_root()


def test_a_data_set_is_found_in_its_own_folder_or_the_one_above(tmp_path):
    (tmp_path / "nab" / "labels").mkdir(parents=True)
    assert find_folder(tmp_path, ("nab",), "labels", "NAB") == tmp_path / "nab"
    assert find_folder(tmp_path / "nab", ("nab",), "labels", "NAB") == tmp_path / "nab"
    with pytest.raises(DataError, match="NAB not found: no 'data'"):
        find_folder(tmp_path, ("nab",), "data", "NAB")


def test_labels_include_both_ends():
    assert label_from_windows(6, [(1, 2), (5, 5)]).tolist() == [0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_loads_from_a_folder_and_says_its_licence(name, tmp_path):
    entry = DATASETS[name]
    assert entry.licence
    assert entry.source.startswith("https://")
    with pytest.raises(DataError, match="not found"):
        entry.load(tmp_path)
