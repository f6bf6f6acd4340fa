"""Text that is no table, or a damaged one: one line that says where, in no time."""

import csv
import time

import pytest

from oddwave.errors import DataError
from oddwave.sources.series.text import parse_text, read_text_table

ROWS = "1,2\n" * 50


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n1,2\n3,"4\n' + ROWS, "line 3: a quote opened here is never closed"),
        ("a,b\n1,2\n3," + "4" * 200_000 + "\n" + ROWS, "line 3: a cell of more than"),
        ('"' + "x" * 300_000 + '"\n' + ROWS, "line 1: a cell of more than"),
        ('a,b\n1,2\n"3"x,4\n' + ROWS, "line 3"),
        ("a,b\n1,2\n3\n" + ROWS, "line 3 has 1 cell"),
        ("a,b\n1,2\n3,4,5\n" + ROWS, "line 3 has 3 cell"),
        ("a,b", "a header and no rows"),
        ("[" * 30, "a header and no rows"),
        ("," * 200_000 + "\n" + ROWS, "line 1 has 200001 cells"),
        ("a,b\n1,2\n\x00,4\n" + ROWS, None),
    ],
)
def test_damaged_text_is_refused_with_its_line(text, message):
    began = time.process_time()
    if message is None:
        parse_text(text, "'x.csv'")
    else:
        with pytest.raises(DataError, match=message) as caught:
            parse_text(text, "'x.csv'")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500
    assert time.process_time() - began < 5
    assert csv.field_size_limit() == 131_072


def test_thousands_of_equal_names_take_no_time():
    began = time.process_time()
    table = parse_text("\n".join([",".join(["x"] * 5000), *[",".join(["1"] * 5000)] * 3]), "x")
    assert time.process_time() - began < 5
    names = [column.name for column in table.columns]
    assert len(set(names)) == 5000
    assert names[:3] == ["x", "x_2", "x_3"]


@pytest.mark.parametrize("name", ["a\x1b[31mred", "a\u202eb", '"a\nb"', "a" * 5000])
def test_names_can_be_shown(name, tmp_path):
    (tmp_path / "x.csv").write_text(f"{name},b\n1,2\n3,4\n", encoding="utf-8")
    (first, _) = read_text_table(tmp_path / "x.csv").columns
    assert first.name.isprintable()
    assert len(first.name) <= 200
