"""Files that grow, are rotated, replaced or not there yet; lines without an end."""

import io
import time

import pytest

from oddwave.watch.sources import FileSource, StandardInput
from oddwave.watch.telling import Teller


@pytest.fixture
def opened():
    """Open sources, and close them in the end."""
    made = []

    def open_one(*arguments):
        made.append(FileSource(*arguments))
        return made[-1]

    yield open_one
    for source in made:
        source.close()


def teller():
    told = []
    return Teller(told.append), told


def lines(source):
    chunk = source.take()
    return [line.decode() for line in chunk.lines], chunk.new_file


def test_a_line_is_read_once_it_is_whole(tmp_path, opened):
    path = tmp_path / "a.csv"
    source = opened(path, teller()[0])
    assert lines(source) == ([], False)
    with path.open("a") as file:
        for text, expected in (
            ("t,x\n1,", (["t,x"], True)),
            ("2", ([], False)),
            ("3\n4,5\n6", (["1,23", "4,5"], False)),
        ):
            file.write(text)
            file.flush()
            assert lines(source) == expected
    assert source.position()["offset"] == len("t,x\n1,23\n4,5\n")
    again = opened(path, teller()[0], source.position())
    assert lines(again) == ([], False)
    assert again.rest() == [b"6"]


def test_a_rotated_file_is_read_to_its_end_first(tmp_path, opened):
    path = tmp_path / "a.csv"
    path.write_text("h\n1\n")
    source = opened(path, teller()[0])
    assert lines(source) == (["h", "1"], True)
    with path.open("a") as file:
        path.rename(tmp_path / "a.csv.1")
        path.write_text("h\n3\n")
        file.write("2\n")
    assert lines(source) == (["2"], False)
    assert lines(source) == (["h", "3"], True)


def test_a_rotation_while_away_loses_nothing(tmp_path, opened):
    path = tmp_path / "a.csv"
    path.write_text("h\n1\n")
    source = opened(path, teller()[0])
    lines(source)
    known = source.position()
    source.close()
    with path.open("a") as file:
        file.write("2\n")
    path.rename(tmp_path / "a.csv.1")
    path.write_text("h\n3\n")
    source = opened(path, teller()[0], known)
    assert lines(source) == (["2"], False)
    assert lines(source) == (["h", "3"], True)


def test_a_file_that_is_emptied_and_begins_anew_is_read_from_there(tmp_path, opened):
    path = tmp_path / "a.csv"
    path.write_text("h\n1\n2\n")
    source = opened(path, teller()[0])
    lines(source)
    path.write_text("h\n")
    assert lines(source) == (["h"], True)
    own, told = teller()
    path.write_text("other than before\n9\n9\n")
    again = opened(path, own, {"offset": 6, "inode": 1, "head": "x"})
    assert lines(again)[0] == ["other than before", "9", "9"]
    assert "another file than before" in told[0]


def test_a_line_without_an_end_is_passed_over_in_bounded_memory(tmp_path, opened):
    path, (own, told) = tmp_path / "a.csv", teller()
    path.write_bytes(b"a\n" + b"x" * 3 * 2**20 + b"\nb\n")
    source, found = opened(path, own), []
    for _ in range(400):
        found += lines(source)[0]
    assert found == ["a", "b"]
    assert own.num_faults == 1
    assert "longer than" in told[0]


def test_standard_input_ends_once_and_says_so():
    source, found, ended = StandardInput(io.BytesIO(b"a\n" + b"x" * 2**21 + b"\nb"), teller()[0]), [], False
    until = time.monotonic() + 10
    while not ended and time.monotonic() < until:
        chunk = source.take()
        found, ended = found + chunk.lines, chunk.ended
    assert (found, ended) == ([b"a", b"b"], True)


def test_the_same_kind_of_thing_is_told_once_a_minute():
    own, told = teller()
    for _ in range(5):
        own.fault("a", "bad")
    own.note("b", "other")
    assert (told, own.num_faults) == (["bad", "other"], 5)
    own.again_s = 0.0
    own.note("a", "bad")
    assert told[-1] == "bad (and 4 more of this kind since)"
