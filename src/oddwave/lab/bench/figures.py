"""The README's benchmark figures, written from the result files between two marks.

    python -m oddwave.lab.bench.figures README.md benchmarks/results

A test compares the README with what this would write, so no figure there is typed by hand. Read `markdown.py` for how
seeds and items are averaged.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from oddwave.errors import DataError
from oddwave.files import write_bytes_atomic
from oddwave.lab.bench.markdown import Row, figure_text, over_seeds
from oddwave.lab.bench.protocol import BenchModality
from oddwave.lab.bench.ranks import is_rival

__all__ = ["MARKS", "figures", "with_figures"]

MARKS = ("<!-- figures -->", "<!-- /figures -->")
LEVEL = 0.01  # a smaller difference of AUROC is called level

# What is read, in which file, data set and protocol.
_LINES: tuple[tuple[str, BenchModality, str, str], ...] = (
    ("Series, UCR one-class, 5 sets", "series", "ucr", "one_class"),
    ("Series, NAB, 52 files, unsupervised", "series", "nab", "unsupervised"),
    ("Series, NAB, trained on the first 15 %", "series", "nab", "semi"),
    ("Series, MSL, a model per channel", "series", "msl", "semi"),
    ("Images, MVTec AD screw", "image", "mvtec_ad", "one_class"),
    ("Images, magnetic tile", "image", "magnetic_tile", "one_class"),
    ("Audio, UrbanSound8K, 10 classes", "audio", "urbansound8k", "one_class"),
)


def figures(results: Path) -> str:
    """Return the table: AUROC of oddwave's defaults beside the best rival that was run on all items.

    Raises:
        DataError: a result file is missing, or holds no rows of a data set that the table shows.
    """
    lines = ["| data | oddwave | best rival | oddwave is |", "|---|---:|---|---|"]
    for title, modality, dataset, protocol in _LINES:
        rows = [row for row in _rows(results / f"{modality}.csv") if (row["dataset"], row["protocol"]) ==
                (dataset, protocol) and row["item"] != "corpus"]  # fmt: skip
        if not any(row["method"] == "oddwave" for row in rows):
            raise DataError(f"'{results}' has no rows of oddwave on {dataset}, {protocol}: run that benchmark first")
        own, best, name = _compared(rows)
        ahead = own[0] - best[0]
        word = "level" if abs(ahead) < LEVEL else "ahead" if ahead > 0 else "behind"
        lines.append(
            f"| {title} | {figure_text(own, 'auroc', None)} | `{name}` {figure_text(best, 'auroc', None)} | {word} |"
        )
    return "\n".join(lines)


def with_figures(text: str, results: Path) -> str:
    """Return a document with the table between its marks.

    Raises:
        DataError: the document lacks the marks, or the results lack what the table shows.
    """
    before, opened, rest = text.partition(MARKS[0])
    _, closed, after = rest.partition(MARKS[1])
    if not (opened and closed):
        raise DataError(f"the document has no place for figures: put {MARKS[0]} and {MARKS[1]} into it")
    return f"{before}{opened}\n{figures(results)}\n{closed}{after}"


def _compared(rows: Sequence[Row]) -> tuple[tuple[float, float, int], tuple[float, float, int], str]:
    """Return oddwave's mean, deviation and number of seeds, the same of the best rival, and its name."""
    num_items = len({row["item"] for row in rows if row["method"] == "oddwave"})
    rivals = {row["method"] for row in rows if is_rival(row["method"])}
    whole = sorted(name for name in rivals if len({row["item"] for row in rows if row["method"] == name}) == num_items)
    means = {name: over_seeds([row for row in rows if row["method"] == name], "auroc") for name in whole}
    best = max(whole, key=lambda name: means[name][0])
    return over_seeds([row for row in rows if row["method"] == "oddwave"], "auroc"), means[best], best


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from None


def main(document: Path, results: Path) -> None:
    """Write the table into the document."""
    write_bytes_atomic(document, with_figures(document.read_text(encoding="utf-8"), results).encode())


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*given) if len(given) == 2 else sys.exit("usage: python -m oddwave.lab.bench.figures DOCUMENT RESULTS")
