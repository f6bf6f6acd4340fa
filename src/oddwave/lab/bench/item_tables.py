"""What the tables of all modalities share: what is known of a cell beside its row, and the three files.

Figures that `results.csv` has no column for come from the files that `runner.py` wrote beside the scores. Read
`image_tables.py` and `audio_tables.py` next.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oddwave.errors import CheckpointError
from oddwave.files import read_json, write_bytes_atomic
from oddwave.lab.bench.markdown import Row, csv_text
from oddwave.lab.bench.protocol import COLUMNS, BenchModality, Cell
from oddwave.lab.bench.run_facts import cell_records, write_run_facts

__all__ = ["Facts", "facts_of", "with_figures", "write_item_tables"]

Facts = Mapping[str, Any]


def facts_of(out: Path, row: Row) -> Facts:
    """Read what else is known of a cell; nothing where that is lost, for the cell's own row is whole."""
    cell = Cell(row["dataset"], row["item"], row["protocol"], row["method"], int(row["seed"]))
    path = out / "scores" / cell.facts_name
    if row["error"] or not path.exists():
        return {}
    try:
        return read_json(path)
    except CheckpointError:
        return {}


def with_figures(row: Row, facts: Facts) -> dict[str, str]:
    """Return a row with the single figures among its facts."""
    return {**row, **{name: str(value) for name, value in facts.items() if isinstance(value, int | float)}}


def write_item_tables(
    out: Path, modality: BenchModality, rows: Sequence[Row], facts: Sequence[Facts], markdown: str
) -> Path:
    """Write `<modality>.csv` (all cells), `.jsonl.gz` (with all that is known of them) and `.md`; return the last.

    Raises:
        CheckpointError: `out` cannot be written.
    """
    filled = [{name: value for name, value in row.items() if value != ""} for row in rows]
    cells = [{**row, **own} for row, own in zip(filled, facts, strict=True)]
    write_bytes_atomic(out / f"{modality}.csv", csv_text(rows, COLUMNS).encode())
    write_run_facts(out / f"{modality}.jsonl.gz", cell_records(cells))
    write_bytes_atomic(out / f"{modality}.md", markdown.encode())
    return out / f"{modality}.md"
