"""Delimited text to a table: delimiter, decimal comma, header, encodings, and what is refused."""

import gzip

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError
from oddwave.sources.series.text import parse_text, read_text_table, sniff_dialect


def numbers(table):
    return np.stack([column.numbers for column in table.columns], axis=1)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", "  "])
@pytest.mark.parametrize("header", [True, False])
def test_every_delimiter_with_and_without_header_gives_the_same_numbers(delimiter, header):
    rows = [["a", "b", "c"]] * header + [["1", "2.5", "-3e2"], ["4", "5.25", "6"]]
    table = parse_text("\n".join(delimiter.join(row) for row in rows), "x")
    np.testing.assert_array_equal(numbers(table), [[1, 2.5, -300], [4, 5.25, 6]])
    expected = ("a", "b", "c") if header else ("column_0", "column_1", "column_2")
    assert tuple(column.name for column in table.columns) == expected


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_decimal_comma_is_found_and_noted(delimiter):
    table = parse_text(f"a{delimiter}b\n1,5{delimiter}2\n-3,25{delimiter}4,0\n", "x")
    np.testing.assert_array_equal(numbers(table), [[1.5, 2], [-3.25, 4]])
    assert "numbers read with a decimal comma" in table.notes


def test_decimal_comma_in_dates_and_numbers_keeps_the_date_column_whole():
    table = parse_text("Zeit;Wert\n01.02.2014 00:00;1,5\n01.02.2014 00:30;2,5\n", "x")
    assert [column.name for column in table.columns] == ["Zeit", "Wert"]
    np.testing.assert_array_equal(table.columns[1].numbers, [1.5, 2.5])
    assert table.columns[0].text[1] == "01.02.2014 00:30"


def test_what_may_be_thousands_or_decimals_is_not_guessed():
    table = parse_text('a,b\n"1,234",2\n5,6\n', "x")
    assert "may be 1234 or 1.234" in table.columns[0].refusal
    assert parse_text('a,b\n"1,234",2\n5,6.5\n', "x").columns[0].numbers[0] == 1234


def test_single_column_and_timestamps_with_a_space():
    assert numbers(parse_text("1.5\n2.5\n3.5\n", "x")).shape == (3, 1)
    assert sniff_dialect(["timestamp,value", "2014-07-01 00:00:00,10844"]).delimiter == ","


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (["time,0,1", "2014-01-01,5,6"], True),
        (["1,2,3", "4,5,6"], False),
        (["a,b", "NA,", "NA,"], True),
        (["NA,1", "2,3"], False),
        (["2014-01-01,1", "2014-01-02,2"], False),
        (["pump_a,1", "pump_b,2"], False),
    ],
)
def test_header_is_text_above_numbers(sample, expected):
    assert sniff_dialect(sample).header is expected


def test_header_option_and_delimiter_option_win():
    assert [c.name for c in parse_text("0,1\n2,3\n", "x", header=True).columns] == ["0", "1"]
    table = parse_text("1,5\n2,5\n", "x", delimiter=";")
    np.testing.assert_array_equal(numbers(table), [[1.5], [2.5]])
    assert numbers(parse_text("1\t2\n3\t4\n", "x", delimiter="\\t")).shape == (2, 2)
    with pytest.raises(ConfigError, match="delimiter is '::'"):
        parse_text("1::2\n", "x", delimiter="::")


def test_names_are_filled_in_and_made_distinct():
    table = parse_text("a,a,,a_2\n1,2,3,4\n", "x")
    assert [column.name for column in table.columns] == ["a", "a_3", "column_2", "a_2"]
    assert any("repeated" in note for note in table.notes)


def test_comments_blank_lines_crlf_and_bom_are_handled_and_noted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf# made by hand\r\na,b\r\n1,2\r\n\r\n3,4\r\n\r\n")
    table = read_text_table(path)
    np.testing.assert_array_equal(numbers(table), [[1, 2], [3, 4]])
    assert table.columns[0].name == "a"
    assert table.row_name(1) == "line 5"
    assert "1 blank line skipped" in table.notes
    assert "1 comment line skipped" in table.notes


def test_gzip_utf16_and_latin1_headers_are_read(tmp_path):
    text = "temp °C,b\n1,2\n3,4\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "b.csv").write_bytes(text.encode("utf-16"))
    (tmp_path / "c.csv").write_bytes(text.encode("latin-1"))
    for name in ("a.csv.gz", "b.csv", "c.csv"):
        table = read_text_table(tmp_path / name)
        assert table.columns[0].name == "temp °C"
        np.testing.assert_array_equal(numbers(table), [[1, 2], [3, 4]])
    assert any("Latin-1" in note for note in table.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"a,b\n", "a header and no rows"),
        (b"\x00\x01\x02\x03PNG\x00", "binary file"),
        (b"a,b\n1,2\n3,\xff\xfe4\n", "line 3 is not UTF-8"),
        (b"\x1f\x8b\x08\x00broken", "damaged gzip"),
        (b"\xff\xfea\x00,\xd8", "damaged UTF-16"),
        (b"a,b\n1,2\n3\n4,5\n", "line 3 has 1 cell"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 cell"),
        (b'a,b\n1,"2\n3,4\n', "line 2: .*quotes"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_text_table(path)
    assert "\n" not in str(caught.value)
    assert "bad.csv" in str(caught.value)


def test_a_truncated_gzip_file_is_refused(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 500)[:-20])
    with pytest.raises(DataError, match="damaged gzip"):
        read_text_table(path)


def test_blocks_longer_than_the_block_size_keep_rows_and_text_apart():
    lines = [f"2014-01-{1 + i % 28:02d},{i}" for i in range(45_000)]
    table = parse_text("day,value\n" + "\n".join(lines), "x")
    np.testing.assert_array_equal(table.columns[1].numbers, np.arange(45_000))
    assert table.columns[0].text[44_999] == lines[-1].split(",")[0]
    assert table.row_name(44_999) == "line 45001"
