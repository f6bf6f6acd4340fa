"""Run facts of a benchmark, compressed: `<modality>.jsonl.gz` holds all that is known of every cell.

While a benchmark runs, its facts lie in one small JSON file per cell (`scores/`), so that a killed run loses nothing;
this file is written from those at the end. Each line is a JSON object whose `record` names its kind: `cell` for a cell,
`settings` and `environment` for what many cells share (a cell holds their `key`), and whatever else a table adds.
"""

import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oddwave.errors import CheckpointError
from oddwave.files import write_bytes_atomic

__all__ = ["cell_records", "read_run_facts", "write_run_facts"]

_SHARED = ("settings", "environment")


def cell_records(cells: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the records of cells: first what several of them share, once each, then the cells with its keys."""
    shared: dict[tuple[str, str], dict[str, Any]] = {}
    own = []
    for cell in cells:
        record = {"record": "cell", **cell}
        for name in _SHARED:
            if name in cell:
                key = hashlib.sha256(json.dumps(cell[name], sort_keys=True).encode()).hexdigest()[:8]
                shared[name, key] = {"record": name, "key": key, "value": cell[name]}
                record[name] = key
        own.append(record)
    yield from shared.values()
    yield from own


def write_run_facts(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one record per line, compressed; the same records give the same bytes.

    Raises:
        CheckpointError: the file cannot be written.
    """
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        for record in records:
            file.write((json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n").encode())
    write_bytes_atomic(path, packed.getvalue())


def read_run_facts(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the records by kind, without their `record`; cells get back the settings and environments they share.

    Raises:
        CheckpointError: the file cannot be read, or is not one that `write_run_facts` wrote.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                found.setdefault(record.pop("record"), []).append(record)
        shared = {name: {each["key"]: each["value"] for each in found.pop(name, [])} for name in _SHARED}
        for cell in found.get("cell", []):
            cell.update({name: shared[name][cell[name]] for name in _SHARED if name in cell})
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"cannot read the run facts '{path}': {error}; run the benchmark again") from None
    return found
