"""Images and recordings: each keeps its place and its whole name, whether it can be read or not."""

import inspect
import json
import os
import sys

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from oddwave.errors import ConfigError, DataError
from oddwave.sources.audio.reader import read_audio
from oddwave.sources.files import find_files
from oddwave.sources.image.folder import IMAGES
from oddwave.sources.image.reader import read_images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
NOISE = (0.1 * RNG.normal(size=4000)).astype(np.float32)
RATE = 8000


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".wav":
        soundfile.write(path, NOISE, RATE)
    else:
        Image.fromarray(GREY).save(path)
    return path


READERS = [(read_images, ".png"), (read_audio, ".wav")]
BOTH = pytest.mark.parametrize(("read", "ending"), READERS, ids=["images", "sound"])


def names(found):
    return [entry.id for entry in found.entries]


class PathOf(os.PathLike):
    """A path object that gives anything."""

    def __init__(self, value):
        self.value = value

    def __fspath__(self):
        return self.value


def readable(found):
    return [not hasattr(entry, "reason") for entry in found.entries]


@BOTH
def test_what_cannot_be_read_keeps_its_place_in_a_list_a_folder_and_a_glob(tmp_path, read, ending):
    paths = [save(tmp_path / f"{letter}{ending}") for letter in "abc"]
    paths[1].write_bytes(b"")
    for source in (paths, tmp_path, tmp_path / f"*{ending}", {str(i): path for i, path in enumerate(paths)}):
        found = read(source)
        assert readable(found) == [True, False, True]
        assert [len(found.items), len(found.failures)] == [2, 1]
    assert names(read(paths)) == [path.name for path in paths]
    backwards = read([*paths[::-1], tmp_path / f"gone{ending}", paths[0]])
    assert names(backwards) == [f"c{ending}", f"b{ending}", f"a{ending}", f"gone{ending}", f"a{ending} (2)"]
    assert readable(backwards) == [True, False, True, False, True]


@BOTH
def test_lists_may_mix_paths_with_what_is_in_memory(tmp_path, read, ending):
    path, memory = save(tmp_path / f"a{ending}"), GREY if read is read_images else (NOISE, RATE)
    tensor = torch.from_numpy(GREY) if read is read_images else (torch.from_numpy(NOISE), RATE)
    found = read([memory, None, path, str(path), 7, tensor])
    assert readable(found) == [True, False, True, True, False, True]
    assert names(found)[2:4] == [f"a{ending}", f"a{ending} (2)"]
    assert found.items[1].digest == found.items[2].digest
    named = read({"first": memory, "second": path, 3: None})
    assert names(named) == ["first", "second", "3"]
    assert names(read(np.array([str(path), str(path)]))) == [f"a{ending}", f"a{ending} (2)"]
    strange = read([PathOf(b"x"), PathOf(3), "~nobody-of-this-name/x", "a\0b", "x" * 5000, np.ma.masked, path])
    assert readable(strange) == [False] * 6 + [True]
    for source in ([None, path.parent], PathOf(b"x"), PathOf(3), "~nobody-of-this-name/x", "a\0b", "x" * 5000):
        with pytest.raises(DataError):
            read(source)
    with pytest.raises(DataError, match="bytes"):
        read(b"\x89PNG")


@BOTH
def test_names_keep_their_endings_and_start_below_the_common_folder(tmp_path, read, ending):
    one, other = save(tmp_path / f"x/part.v1{ending}"), save(tmp_path / f"y/part.v1{ending}")
    assert names(read([one, other])) == [f"x/part.v1{ending}", f"y/part.v1{ending}"]
    assert names(read([one])) == names(read(one)) == [f"part.v1{ending}"]
    assert names(read([tmp_path / f"x/../y/part.v1{ending}", one])) == [f"y/part.v1{ending}", f"x/part.v1{ending}"]
    assert names(read(tmp_path)) == [f"x/part.v1{ending}", f"y/part.v1{ending}"]


@BOTH
def test_brackets_in_names_are_meant_where_they_exist(tmp_path, read, ending):
    for name in ("run [1]/a", "run [1]/b", "run 1/c", "deep/er/d"):
        save(tmp_path / f"{name}{ending}")
    assert names(read(tmp_path / "run [1]")) == [f"a{ending}", f"b{ending}"]
    assert names(read(tmp_path / f"run [1]/*{ending}")) == [f"a{ending}", f"b{ending}"]
    assert names(read(tmp_path / f"run [1-9]/*{ending}")) == [f"run 1/c{ending}"]
    assert names(read(str(tmp_path / f"**/[cd]{ending}"))) == [f"deep/er/d{ending}", f"run 1/c{ending}"]
    assert len(read(str(tmp_path / "**")).items) == 4
    for nothing in ("[", "run [/x*", "~nobody-of-this-name/*", "a\0b*", "x" * 300 + "*"):
        with pytest.raises(DataError):
            read(str(tmp_path / nothing) if nothing[0] != "~" else nothing)


@BOTH
def test_links_that_lead_back_or_multiply_end(tmp_path, read, ending):
    save(tmp_path / f"a{ending}")
    for i in range(12):
        (tmp_path / f"f{i:02d}").mkdir()
        save(tmp_path / f"f{i:02d}/x{ending}")
        for j in range(12):
            (tmp_path / f"f{i:02d}/to{j:02d}").symlink_to(tmp_path / f"f{j:02d}")
    found = read(tmp_path)
    assert 13 <= len(found.items) <= 1 + 12 * 8
    assert any("not followed" in note for note in found.notes)
    assert len(read(str(tmp_path / f"**/x{ending}")).items) <= 12 * 8


def test_folders_may_lie_deeper_than_python_recurses(tmp_path):
    save(tmp_path / f"{'d/' * 150}a.png")
    depth = len(inspect.stack())
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 100)
    try:
        found = find_files(tmp_path, IMAGES)
    finally:
        sys.setrecursionlimit(limit)
    assert len(found.files) == 1


def write_results(folder):
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"oddwave_version": "0", "audio": {"folder": "audio"}}))
    (folder / "report.html").write_text("")
    for name in ("audio/a_normal.wav", "audio/a_odd.wav", "mine.wav", "mine.png"):
        save(folder / name)


@BOTH
def test_what_oddwave_wrote_is_no_data_wherever_it_lies(tmp_path, read, ending):
    save(tmp_path / f"a{ending}")
    before = names(read(tmp_path))
    write_results(tmp_path / "out")
    write_results(tmp_path / "deep/er/out")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/meta.json").write_text('{"format": "oddwave model"}')
    save(tmp_path / f"model/x{ending}")
    (tmp_path / ".oddwave").mkdir()
    (tmp_path / ".oddwave/owner.json").write_text('{"format": "oddwave owner"}')
    save(tmp_path / f".oddwave/y{ending}")
    theirs = [f"deep/er/out/mine{ending}", f"out/mine{ending}"]
    for source in (tmp_path, str(tmp_path / f"**/*{ending}")):
        found = read(source)
        assert names(found) == sorted([*before, *theirs])
        assert any("what oddwave wrote itself is no data" in note for note in found.notes)
    assert names(read(tmp_path / "out/audio")) if ending == ".wav" else True  # asked for by name, it is read


@BOTH
@pytest.mark.parametrize(
    "options", [{"part": ["test"]}, {"on_error": 3}, {"recursive": "no"}, {"on_error": None}], ids=str
)
def test_values_of_options_are_checked(tmp_path, read, ending, options):
    with pytest.raises(ConfigError):
        read(save(tmp_path / f"a{ending}"), **options)


@pytest.mark.parametrize("options", [{"subset": "5"}, {"subset": 2.5}, {"max_pixels": None}, {"subset": True}], ids=str)
def test_numbers_among_the_options_of_images_are_checked(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        read_images([GREY], **options)
