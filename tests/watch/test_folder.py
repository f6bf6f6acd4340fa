"""Files that arrive in a folder: read when they are complete, each judged once, whatever happens to the watch."""

import json
import os
import time

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.errors import CheckpointError
from oddwave.watch.alarms import Alarms
from oddwave.watch.folder import FolderWatch, read_folder_state
from oddwave.watch.output import LineFile
from oddwave.watch.run import WatchOptions
from oddwave.watch.telling import Teller


def picture(seed, fault=False):
    rng = np.random.default_rng(seed)
    place = np.indices((64, 64)).sum(0)
    values = 128 + 60 * np.sin(place / 4) + rng.normal(0, 4, (64, 64))
    if fault:
        values[20:44, 20:44] = 255 * rng.random((24, 24))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    for seed in range(14):
        picture(seed).save(folder / f"{seed}.png")
    config = preset("fast", "image").with_overrides(
        ["image.size_px=64", "scoring.memory_size=100", "calibration.alpha=0.2"]
    )
    return Detector(config).fit(str(folder))


class Watch:
    def __init__(self, detector, folder, tmp_path, state=True):
        self.told = []
        teller = Teller(self.told.append)
        self.state = tmp_path / "state" if state else None
        known = read_folder_state(self.state)
        self.out = LineFile(tmp_path / "events", teller, (known or {}).get("out"))
        self.scores = LineFile(tmp_path / "scores", teller, (known or {}).get("scores"))
        alarms = Alarms({}, teller, sent=None, dead=tmp_path / "dead")
        options = WatchOptions(self.state, every_s=0.0, once=True)
        self.own = FolderWatch(detector, folder, self.out, alarms, teller, options, {}, self.scores, known)
        self.own._last = self.own._listed()
        alarms.finish(0.0)

    def tick(self):
        while self.own.tick():
            pass
        return self.lines("scores")

    def lines(self, name):
        path = self.out.path.with_name(name)
        return [json.loads(line) for line in path.read_text().splitlines()]

    def close(self):
        self.out.close()
        self.scores.close()


def test_an_image_is_judged_when_it_is_complete_and_once(images, tmp_path):
    folder = tmp_path / "camera"
    (folder / "a").mkdir(parents=True)
    own = Watch(images, folder, tmp_path)
    assert own.tick() == []
    picture(50).save(folder / "good.png")
    picture(51, fault=True).save(folder / "a" / "bad.png")
    picture(52).save(folder / ".hidden.png")
    picture(53).save(folder / "late.png.part", format="png")
    (folder / "notes.txt").write_text("x")
    assert own.tick() == []  # seen for the first time: perhaps not complete
    assert {line["file"] for line in own.tick()} == {"good.png", "a/bad.png"}
    (folder / "late.png.part").rename(folder / "late.png")
    own.tick()
    assert sorted(line["file"] for line in own.tick()) == ["a/bad.png", "good.png", "late.png"]
    assert len(own.tick()) == 3
    events = own.lines("events")
    assert [(line["file"], line["change"]) for line in events if line["file"] == "a/bad.png"] == [
        ("a/bad.png", "opened"),
        ("a/bad.png", "closed"),
    ]
    assert events[0]["events"][0]["left_px"] <= 44
    own.close()


def test_a_file_that_cannot_be_read_is_told_of_and_the_others_are_judged(images, tmp_path):
    folder = tmp_path / "camera"
    folder.mkdir()
    own = Watch(images, folder, tmp_path)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    (folder / "empty.png").write_bytes(b"")
    picture(60).save(folder / "good.png")
    own.tick()
    lines = {line["file"]: line for line in own.tick()}
    assert lines["good.png"]["score"] is not None
    assert lines["broken.png"]["score"] is None
    assert own.own.teller.num_faults == 2
    own.close()


def test_a_restart_judges_what_is_new_and_nothing_twice(images, tmp_path):
    folder = tmp_path / "camera"
    folder.mkdir()
    picture(70).save(folder / "one.png")
    own = Watch(images, folder, tmp_path)
    own.tick()
    saved = own.state.read_bytes()
    picture(71).save(folder / "two.png")
    own.tick()
    own.tick()
    own.close()
    own.state.write_bytes(saved)  # as after a kill between output and state
    again = Watch(images, folder, tmp_path)
    assert [line["file"] for line in again.tick()] == ["one.png", "two.png"]
    again.close()
    third = Watch(images, folder, tmp_path)
    os.utime(folder / "one.png", (time.time() + 5, time.time() + 5))  # written anew
    third.tick()
    assert [line["file"] for line in third.tick()] == ["one.png", "two.png", "one.png"]
    third.close()


def test_tables_that_arrive_are_judged_each_as_a_whole(watched, faulty, csv_rows, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "day.csv").write_text("time,flow\n" + "\n".join(csv_rows(faulty(110))) + "\n")
    (folder / "bad.csv").write_text("time,flow\n")
    done = CliRunner().invoke(app, ["watch", str(watched), str(folder), "--once", "--every", "0.01"])
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(record["file"], record["change"]) for record in records] == [("day.csv", "opened"), ("day.csv", "closed")]
    assert 55 <= records[0]["events"][0]["peak"] <= 75
    assert "bad.csv" in done.stderr
    assert done.exit_code == 3


def test_another_kind_of_state_and_another_kind_of_source_are_refused(images, watched, tmp_path):
    (tmp_path / "state").write_text('{"kind": "other"}')
    with pytest.raises(CheckpointError, match="not the state of a watch over a folder"):
        read_folder_state(tmp_path / "state")
    images.save(tmp_path / "model")
    done = CliRunner().invoke(app, ["watch", str(tmp_path / "model"), "-"], input="")
    assert done.exit_code == 2
    assert "this model is of image: give a folder" in done.stderr
