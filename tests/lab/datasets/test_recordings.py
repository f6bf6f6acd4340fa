"""UrbanSound8K, ESC and DCASE layouts, read from tiny copies of them: nothing is decoded, so files may be empty."""

import pytest

from oddwave.errors import ConfigError, DataError
from oddwave.lab.datasets.dcase import load_dcase
from oddwave.lab.datasets.esc import load_esc10, load_esc50
from oddwave.lab.datasets.urbansound8k import URBANSOUND8K_CLASSES, load_urbansound8k


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def make_urbansound(folder, folds=(1, 2, 10), ending="wav", classes=URBANSOUND8K_CLASSES):
    rows = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for fold in range(1, 11):
        for number, name in enumerate(URBANSOUND8K_CLASSES):
            rows.append(f"{fold}00-{number}-0-0.wav,{fold}00,0,4,1,{fold},{number},{name}")
            if fold in folds and name in classes:
                touch(folder / "audio" / f"fold{fold}" / f"{fold}00-{number}-0-0.{ending}")
    touch(folder / "metadata" / "UrbanSound8K.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize("ending", ["wav", "ogg"])
@pytest.mark.parametrize("place", ["", "UrbanSound8K"])
def test_urbansound8k_has_each_class_normal_in_turn(tmp_path, ending, place):
    make_urbansound(tmp_path / "UrbanSound8K", ending=ending)
    splits = load_urbansound8k(tmp_path / place)
    assert [split.name for split in splits] == list(URBANSOUND8K_CLASSES)
    siren = splits[8]
    assert [f"{path.parent.name}/{path.name}" for path in siren.train_paths] == [
        f"fold1/100-8-0-0.{ending}",
        f"fold2/200-8-0-0.{ending}",
    ]
    assert {path.parent.name for path in siren.test_paths} == {"fold10"}
    assert siren.kinds == URBANSOUND8K_CLASSES
    assert siren.gt_label.tolist() == [int(kind != "siren") for kind in siren.kinds]
    (gun,) = load_urbansound8k(tmp_path, normal_classes=["gun_shot"], train_folds=[10], test_folds={1})
    assert [path.name for path in gun.train_paths] == [f"1000-6-0-0.{ending}"]


def test_folds_that_overlap_or_are_missing_are_refused(tmp_path):
    make_urbansound(tmp_path)
    with pytest.raises(ConfigError, match=r"fold\(s\) 2 are in train_folds and in test_folds: keep folds apart"):
        load_urbansound8k(tmp_path, train_folds=(1, 2), test_folds=(2, 10))
    with pytest.raises(ConfigError, match="name one fold or more"):
        load_urbansound8k(tmp_path, train_folds=())
    with pytest.raises(DataError, match=r"no clips of fold\(s\) 3, 4, 5, 6, 7, 8, 9 here: .* from 1, 2, 10"):
        load_urbansound8k(tmp_path, train_folds=range(1, 10))
    with pytest.raises(DataError, match=r"no clips of fold\(s\) 11 here"):
        load_urbansound8k(tmp_path, test_folds=(11,))


def test_clips_and_classes_that_are_missing_are_named(tmp_path):
    make_urbansound(tmp_path)
    with pytest.raises(DataError, match="has no class cat: choose from air_conditioner"):
        load_urbansound8k(tmp_path, normal_classes=["siren", "cat"])
    (tmp_path / "audio" / "fold2" / "200-3-0-0.wav").unlink()
    with pytest.raises(DataError, match=r"1 of 10 clips of fold 2 are missing, first '.*200-3-0-0\.wav'"):
        load_urbansound8k(tmp_path)
    table = tmp_path / "metadata" / "UrbanSound8K.csv"
    for text in ("slice_file_name,fold,class\n", "file,fold\na,1\n", "slice_file_name,fold,class\na.wav,one,siren\n"):
        table.write_text(text)
        with pytest.raises(DataError, match=r"UrbanSound8K\.csv'.*fetch it again"):
            load_urbansound8k(tmp_path)
    with pytest.raises(DataError, match="UrbanSound8K not found"):
        load_urbansound8k(tmp_path / "audio")


def test_esc_comes_in_two_sizes_and_five_folds(tmp_path):
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for target, (name, in_esc10) in enumerate([("dog", True), ("rain", True), ("crow", False)]):
            rows.append(f"{fold}-1-A-{target}.wav,{fold},{target},{name},{in_esc10},1,A")
            touch(tmp_path / "ESC-50" / "audio" / f"{fold}-1-A-{target}.wav")
    touch(tmp_path / "ESC-50" / "meta" / "esc50.csv").write_text("\n".join(rows))
    crow, dog, _ = load_esc50(tmp_path)
    assert (crow.name, dog.name) == ("crow", "dog")
    assert [path.name for path in dog.train_paths] == [f"{fold}-1-A-0.wav" for fold in (1, 2, 3, 4)]
    assert dog.kinds == ("dog", "rain", "crow")
    assert dog.gt_label.tolist() == [0, 1, 1]
    small, rain = load_esc10(tmp_path / "ESC-50", train_folds=(5,), test_folds=(1, 2))
    assert (small.name, rain.name) == ("dog", "rain")
    assert small.kinds == ("dog", "rain", "dog", "rain")
    with pytest.raises(DataError, match="ESC-10 has no class crow"):
        load_esc10(tmp_path, normal_classes=["crow"])


def make_dcase(folder):
    for section in ("00", "01"):
        for domain in ("source", "target"):
            touch(folder / "fan" / "train" / f"section_{section}_{domain}_train_normal_0000_m-n_W.wav")
            for label in ("normal", "anomaly"):
                touch(folder / "fan" / "test" / f"section_{section}_{domain}_test_{label}_0000_m-n_W.wav")
    touch(folder / "pump" / "train" / "normal_id_02_00000000.wav")
    touch(folder / "pump" / "test" / "normal_id_02_00000001.wav")
    touch(folder / "pump" / "test" / "anomaly_id_02_00000000.wav")
    touch(folder / "valve" / "train" / "section_00_source_train_normal_0000.wav")
    touch(folder / "valve" / "source_test" / "section_00_source_test_anomaly_0000.wav")
    touch(folder / "valve" / "target_test" / "section_00_target_test_normal_0000.wav")
    (folder / "readme").mkdir()
    return folder


@pytest.mark.parametrize("place", ["dev_data", "dcase/dev_data", "dcase", "."])
def test_dcase_of_all_years(tmp_path, place):
    make_dcase(tmp_path / place)
    first, second, pump, valve = load_dcase(tmp_path)
    assert [split.name for split in (first, second, pump, valve)] == [
        "fan/section_00",
        "fan/section_01",
        "pump/id_02",
        "valve/section_00",
    ]
    assert first.kinds == ("anomaly, source", "normal, source", "anomaly, target", "normal, target")
    assert first.gt_label.tolist() == [1, 0, 1, 0]
    assert all("section_00" in path.name for path in (*first.train_paths, *first.test_paths))
    assert len(first.train_paths) == 2
    assert (pump.kinds, pump.gt_label.tolist()) == (("anomaly", "normal"), [1, 0])
    assert valve.kinds == ("anomaly, source", "normal, target")
    (fan,) = load_dcase(tmp_path, ["fan"], by_section=False)
    assert (fan.name, len(fan.train_paths), len(fan.test_paths)) == ("fan", 4, 8)


def test_dcase_says_what_is_wrong(tmp_path):
    make_dcase(tmp_path)
    with pytest.raises(DataError, match="no machine gearbox: choose from fan, pump, valve"):
        load_dcase(tmp_path, ["gearbox"])
    hidden = touch(tmp_path / "fan" / "test" / "section_00_0007.wav")
    with pytest.raises(DataError, match=r"section_00_0007\.wav' does not tell .* of evaluation data are not public"):
        load_dcase(tmp_path, ["fan"])
    hidden.unlink()
    touch(tmp_path / "fan" / "train" / "section_02_source_train_normal_0000.wav")
    with pytest.raises(DataError, match="section_02 has clips to train on or to test only"):
        load_dcase(tmp_path, ["fan"])
    touch(tmp_path / "pump" / "train" / "anomaly_id_02_00000009.wav")
    with pytest.raises(DataError, match="holds anomalous clips"):
        load_dcase(tmp_path, ["pump"])
    with pytest.raises(DataError, match="DCASE Task 2 not found"):
        load_dcase(tmp_path / "fan" / "test")
