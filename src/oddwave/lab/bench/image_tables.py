"""The tables of images: means per data set, one table per category, AUROC by kind of defect, the paper beside ours.

Read `item_tables.py` for the files, `paper.py` for the paper's figures.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from oddwave.lab.bench.item_tables import Facts, facts_of, with_figures, write_item_tables
from oddwave.lab.bench.markdown import Row, failed_cells, section
from oddwave.lab.bench.paper import beside_the_paper

__all__ = ["image_markdown", "write_image_tables"]

_INTRODUCTION = """# Image benchmark

Mean over categories, then mean ± standard deviation over seeds. Best in bold. AUROC, AUPR and best F1 are over
images; pixel AUROC and AUPRO (false-positive rate up to 0.3) over pixels. The threshold of the best F1 is chosen on
the labels: an upper bound that nobody reaches in use. Seconds are for all images of a category, files to scores."""


def write_image_tables(out: Path, rows: Sequence[Row]) -> Path:
    """Write `image.csv` (all cells), `image.jsonl.gz` (with all that is known of them) and `image.md`; return the last.

    Raises:
        CheckpointError: `out` cannot be written.
    """
    facts = [facts_of(out, row) for row in rows]
    return write_item_tables(out, "image", rows, facts, image_markdown(rows, facts))


def image_markdown(rows: Sequence[Row], facts: Sequence[Facts]) -> str:
    """Return the tables of cells, with what else is known of each."""
    full = [with_figures(row, own) for row, own in zip(rows, facts, strict=True)]
    kinds = [own.get("auroc_by_kind", {}) for own in facts]
    parts = [_INTRODUCTION]
    for dataset in sorted({row["dataset"] for row in rows}):
        own = [row for row in full if row["dataset"] == dataset]
        items = sorted({row["item"] for row in own})
        if len(items) > 1:
            parts += section(f"{dataset}: mean over {len(items)} categories", own)
        for item in items:
            here = [i for i, row in enumerate(rows) if (row["dataset"], row["item"]) == (dataset, item)]
            name = dataset if item == dataset else f"{dataset}, {item}"
            parts += section(name, [full[i] for i in here])
            parts += _by_kind(f"{name}: AUROC by kind of defect", [(rows[i], kinds[i]) for i in here])
    return "\n".join([*parts, *beside_the_paper("image", rows), *failed_cells(rows)]) + "\n"


def _by_kind(title: str, cells: Sequence[tuple[Row, Mapping[str, float]]]) -> list[str]:
    kinds = sorted({kind for _, own in cells for kind in own})
    if len(kinds) < 2:
        return []
    rows = [{**row, **{f"kind {kind}": str(value) for kind, value in own.items()}} for row, own in cells]
    return section(title, rows, {f"kind {kind}": kind for kind in kinds})
