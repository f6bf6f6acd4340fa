"""The README's figures: the best rival that ran on all items, words by difference, and only between the marks."""

import csv

import pytest

from oddwave.errors import DataError
from oddwave.lab.bench.figures import MARKS, figures, with_figures
from oddwave.lab.bench.protocol import COLUMNS

SETS = {
    "series": [
        ("planted", "unsupervised"),
        ("tsb_uad", "unsupervised"),
        ("ucr", "one_class"),
        ("nab", "unsupervised"),
        ("nab", "semi"),
        ("msl", "semi"),
    ],
    "image": [("mvtec_ad", "one_class"), ("magnetic_tile", "one_class")],
    "audio": [("urbansound8k", "one_class")],
}


@pytest.fixture
def results(tmp_path):
    """Write results in which `knn` is the best rival on all items, and `dte` better but on one item only."""
    for modality, places in SETS.items():
        with (tmp_path / f"{modality}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            for dataset, protocol in places:
                own = {"ucr": 0.9, "nab": 0.805, "msl": 0.7}.get(dataset, 0.8)
                cells = [("oddwave", own), ("oddwave_fast", 0.99), ("knn", 0.8), ("random", 0.5)]
                rows = [(name, value, item) for name, value in cells for item in "ab"] + [("dte", 0.95, "a")]
                for name, value, item in rows:
                    place = {"dataset": dataset, "item": item, "protocol": protocol, "method": name, "seed": 0}
                    writer.writerow({**place, "auroc": value, "vus_pr": value - 0.3})
    return tmp_path


def test_the_best_rival_on_all_items_stands_beside_oddwave(results):
    lines = figures(results).split("\n")[2:]
    assert lines[0] == "| Series, anomalies planted in 30 streams, VUS-PR | 0.500 | `knn` 0.500 | level |"
    assert lines[3] == "| Series, UCR one-class, 19 sets | 0.900 | `knn` 0.800 | ahead |"
    words = [*["level"] * 3, "ahead", "level", "level", "behind", *["level"] * 3]
    assert [line.split("|")[4].strip() for line in lines] == words


def test_only_what_lies_between_the_marks_changes(results):
    text = f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n"
    assert with_figures(text, results) == f"before\n{MARKS[0]}\n{figures(results)}\n{MARKS[1]}\nafter\n"


def test_a_document_without_marks_and_results_without_rows_are_refused(results):
    with pytest.raises(DataError, match="no place for figures"):
        with_figures("no marks", results)
    (results / "audio.csv").write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(DataError, match="no rows of oddwave on urbansound8k, one_class"):
        figures(results)
    (results / "audio.csv").unlink()
    with pytest.raises(DataError, match="cannot read"):
        figures(results)
