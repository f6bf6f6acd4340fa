"""The README's benchmark figures, written from the result files between two marks.

    python -m oddwave.lab.bench.figures README.md benchmarks/results

A test compares the README with what this would write, so no figure there is typed by hand. Read `markdown.py` for how
seeds and items are averaged.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from oddwave.errors import DataError
from oddwave.files import write_bytes_atomic
from oddwave.lab.bench.markdown import Row, figure_text, over_seeds
from oddwave.lab.bench.protocol import BenchModality
from oddwave.lab.bench.ranks import is_rival

__all__ = ["MARKS", "figures", "with_figures"]

MARKS = ("<!-- figures -->", "<!-- /figures -->")
LEVEL = 0.01  # a smaller difference is called level
Figure = Literal["auroc", "vus_pr"]

# What is read, in which file, data set and protocol, and which figure.
_LINES: tuple[tuple[str, BenchModality, str, str, Figure], ...] = (
    ("Series, anomalies planted in 30 streams, VUS-PR", "series", "planted", "unsupervised", "vus_pr"),
    ("Series, TSB-UAD, 7 streams, VUS-PR", "series", "tsb_uad", "unsupervised", "vus_pr"),
    ("Series, TSB-UAD, 7 streams", "series", "tsb_uad", "unsupervised", "auroc"),
    ("Series, UCR one-class, 19 sets", "series", "ucr", "one_class", "auroc"),
    ("Series, NAB, 52 files, unsupervised", "series", "nab", "unsupervised", "auroc"),
    ("Series, NAB, trained on the first 15 %", "series", "nab", "semi", "auroc"),
    ("Series, MSL, a model per channel", "series", "msl", "semi", "auroc"),
    ("Images, MVTec AD screw", "image", "mvtec_ad", "one_class", "auroc"),
    ("Images, magnetic tile", "image", "magnetic_tile", "one_class", "auroc"),
    ("Audio, UrbanSound8K, 10 classes", "audio", "urbansound8k", "one_class", "auroc"),
)


def figures(results: Path) -> str:
    """Return the table: AUROC, or the figure that is named, of oddwave's defaults and the best rival run on all items.

    Raises:
        DataError: a result file is missing, or holds no rows of a data set that the table shows.
    """
    lines = ["| data | oddwave | best rival | oddwave is |", "|---|---:|---|---|"]
    for title, modality, dataset, protocol, figure in _LINES:
        rows = [row for row in _rows(results / f"{modality}.csv") if (row["dataset"], row["protocol"]) ==
                (dataset, protocol) and row["item"] != "corpus"]  # fmt: skip
        if not any(row["method"] == "oddwave" for row in rows):
            raise DataError(f"'{results}' has no rows of oddwave on {dataset}, {protocol}: run that benchmark first")
        own, best, name = _compared(rows, figure)
        ahead = own[0] - best[0]
        word = "level" if abs(ahead) < LEVEL else "ahead" if ahead > 0 else "behind"
        lines.append(
            f"| {title} | {figure_text(own, figure, None)} | `{name}` {figure_text(best, figure, None)} | {word} |"
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


def _compared(rows: Sequence[Row], figure: Figure) -> tuple[tuple[float, float, int], tuple[float, float, int], str]:
    """Return oddwave's mean, deviation and number of seeds, the same of the best rival, and its name."""
    num_items = len({row["item"] for row in rows if row["method"] == "oddwave"})
    rivals = {row["method"] for row in rows if is_rival(row["method"])}
    whole = sorted(name for name in rivals if len({row["item"] for row in rows if row["method"] == name}) == num_items)
    means = {name: over_seeds([row for row in rows if row["method"] == name], figure) for name in whole}
    best = max(whole, key=lambda name: means[name][0])
    return over_seeds([row for row in rows if row["method"] == "oddwave"], figure), means[best], best


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
