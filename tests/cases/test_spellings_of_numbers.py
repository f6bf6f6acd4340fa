"""Numbers as people and programs write them: the number that was meant, or a refusal, never another number."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oddwave.errors import DataError
from oddwave.sources.series.table import read_table
from oddwave.sources.series.text import parse_text

FEW = settings(max_examples=40, deadline=None)


def column(cells, delimiter=";", **options):
    quoted = [f'"{cell}"' if delimiter in cell else cell for cell in cells]
    text = "\n".join([f"a{delimiter}v", *(f"x{i}{delimiter}{cell}" for i, cell in enumerate(quoted))])
    content = read_table(parse_text(text, "'a.csv'", **options), None, ["v"])
    return content.values[:, 0], content.notes


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["18.0%", "19.5 %"], [18, 19.5]),
        (["7.9 GiB", "512 MiB", "0 B"], [7.9 * 2**30, 2.0**29, 0]),
        (["60 ms", "1.2 s", "3 mins"], [0.06, 1.2, 180]),
        (["1.2K", "950", "1.5 Mil", "2 Bil"], [1200, 950, 1.5e6, 2e9]),
        (["5.1 MB/s", "800 kB/s", "3 B/s"], [5.1e6, 8e5, 3]),
        (["12 kW", "1.5 MW", "900 W"], [12e3, 1.5e6, 900]),
        (["1.2 K req/s", "950 req/s"], [1200, 950]),
        (["21,5 °C", "22,0 °C"], [21.5, 22]),
        (["1,234.5", "999.5"], [1234.5, 999.5]),
        (["1.234,5", "999,5"], [1234.5, 999.5]),
        (["1 234,5", "999,5"], [1234.5, 999.5]),
        (["1\u00a0234", "1\u202f234"], [1234, 1234]),
        (["1'234.5", "12’345.0"], [1234.5, 12345]),
        (["1,234,567", "12,345"], [1234567, 12345]),
        (["−5.5", "+3"], [-5.5, 3]),
        (["$ 5.50", "$1,200.00"], [5.5, 1200]),
        (["1.5e3", "2E-2"], [1500, 0.02]),
        (["20.125", "21.250", "19.875"], [20.125, 21.25, 19.875]),
        (["20.125", "-999", "21.250", "-999"], [20.125, -999, 21.25, -999]),
        (["0,125", "1,250"], [0.125, 1.25]),
    ],
)
def test_a_column_is_read_as_it_is_meant(cells, expected):
    values, _ = column(cells * 4)
    np.testing.assert_allclose(values, expected * 4, rtol=1e-12)


@pytest.mark.parametrize(
    "words", [["No data"], ["undefined"], ["null", "N/A"], ["Bad Input", "I/O Timeout"], ["#VALUE!"]]
)
def test_words_for_no_value_are_missing(words):
    values, _ = column([*["1.5", "2.5"] * 10, *words])
    assert np.isnan(values[20:]).all()
    np.testing.assert_array_equal(values[:2], [1.5, 2.5])


def test_an_unknown_word_among_many_numbers_is_missing_and_named_and_a_mistyped_number_is_refused():
    values, notes = column([*["1.5", "2.5"] * 10, "defrosting"])
    assert np.isnan(values[20])
    assert any("'defrosting'" in note for note in notes)
    for typo in ("1O.5", "1..5", "12:3", "5-7"):
        with pytest.raises(DataError, match=f"line 22.*'{typo}' is not a number"):
            column([*["1.5", "2.5"] * 10, typo])


@pytest.mark.parametrize("mark", [".", ","])
@FEW
@given(st.lists(st.integers(900, 1100), min_size=30, max_size=60))
def test_readings_around_a_thousand_are_thousands_or_refused(mark, numbers):
    try:
        values, _ = column([f"{n:,}".replace(",", mark) for n in numbers])
    except DataError as error:
        assert "decimal=" in str(error)  # noqa: PT017
        return
    assert np.ptp(values) <= np.ptp(numbers)  # all of them thousands or, where none is below, all of them decimals


def test_the_option_decides_where_cells_do_not():
    cells = ["1,234", "2,345"] * 5
    with pytest.raises(DataError, match=r"may be 1234 or 1\.234: say which with decimal=',' or decimal='\.'"):
        column(cells)
    np.testing.assert_array_equal(column(cells, decimal=".")[0][:2], [1234, 2345])
    np.testing.assert_array_equal(column(cells, decimal=",")[0][:2], [1.234, 2.345])


def test_another_column_of_the_file_proves_the_decimal_sign():
    text = "a;b\n" + "1,234;1,5\n2,345;2,25\n" * 5
    np.testing.assert_array_equal(parse_text(text, "x").columns[0].numbers[:2], [1.234, 2.345])
    text = 'a,b\n"1,234",1.5\n"2,345",2.25\n'
    np.testing.assert_array_equal(parse_text(text, "x").columns[0].numbers[:2], [1234, 2345])


def test_numbers_with_and_without_a_unit_are_not_mixed():
    with pytest.raises(DataError, match=r"with a unit \(ms\) and without"):
        column([*["60 ms"] * 12, *["5"] * 3])


def test_spaces_within_numbers_that_all_have_them_do_not_split_columns():
    for sign in ";|\t":
        lines = [f"name{sign}v", *(f"x{n}{sign}1 000 {100 + n},50" for n in range(5))]
        table = parse_text("\n".join(lines) + "\n", "x")
        assert [column.name for column in table.columns] == ["name", "v"]
        np.testing.assert_array_equal(table.columns[1].numbers, [1_000_100.5 + n for n in range(5)])
    table = parse_text("a b\n" + "1,5 2,5\n" * 5, "x")  # a comma is no such sign
    np.testing.assert_array_equal(table.columns[1].numbers, [2.5] * 5)


def test_names_that_begin_with_a_digit_stay_names():
    table = parse_text("id;v\n3A;1\n4B;2\n5C;3\n6D;4\n", "x")
    assert table.columns[0].is_text


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize(("spelled", "value"), [("1,000,000.00", 1e6), ("1 000 000,00", 1e6), ("12,345.5", 12345.5)])
def test_marks_of_thousands_in_every_row_are_no_delimiters(delimiter, spelled, value):
    rows = [["x", "v"], *([f"x{number}", spelled] for number in range(5))]
    table = parse_text("".join(delimiter.join(row) + "\n" for row in rows), "x")
    assert [column.name for column in table.columns] == ["x", "v"]
    np.testing.assert_array_equal(table.columns[1].numbers, [value] * 5)


@FEW
@example([1e6] * 5)
@given(st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 2)), min_size=5, max_size=30))
def test_separators_do_not_change_numbers(numbers):
    spelled = {
        "us": [f"{x:,.2f}" for x in numbers],
        "german": [f"{x:,.2f}".translate(str.maketrans(",.", ".,")) for x in numbers],
        "french": [f"{x:,.2f}".translate(str.maketrans(",.", " ,")) for x in numbers],
        "swiss": [f"{x:,.2f}".replace(",", "'") for x in numbers],
        "unit": [f"{x:.2f} bar" for x in numbers],
    }
    for cells in spelled.values():
        np.testing.assert_allclose(column(cells)[0], numbers, rtol=0, atol=1e-9)
