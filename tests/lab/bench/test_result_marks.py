"""Tables between marks: those of the file that a mark names, and `docs/speed.md` as the results have it."""

from pathlib import Path

import pytest

from oddwave.errors import DataError
from oddwave.lab.bench.result_marks import with_results

ROOT = Path(__file__).parents[3]


def test_a_mark_is_filled_from_its_file_and_others_stay(tmp_path) -> None:
    (tmp_path / "a.md").write_text("# Title\n\n## Part\n\nrow \\1\n")
    text = "x\n<!-- a.md -->\nold\n<!-- /a.md -->\n<!-- b.md -->\nkept\n<!-- /b.md -->\n"
    filled = with_results(text, tmp_path)
    assert filled == "x\n<!-- a.md -->\n### Part\n\nrow \\1\n<!-- /a.md -->\n<!-- b.md -->\nkept\n<!-- /b.md -->\n"
    assert with_results(filled, tmp_path) == filled
    with pytest.raises(DataError, match="no place for results"):
        with_results("nothing", tmp_path)


@pytest.mark.parametrize("page", ["speed.md", "cpu.md"])
def test_a_page_shows_the_results(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert text == with_results(text, ROOT / "benchmarks" / "results"), "python -m oddwave.lab.bench.result_marks"
