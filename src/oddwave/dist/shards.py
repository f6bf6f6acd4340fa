"""A shard: its items scored by the one scoring path, its rows in a Parquet file that is whole or not there.

The rows are those of scores.csv with three columns more: `number`, the item's place in the input, `events`, how many
were found in it, and `item_p_value`, that of the item as a whole. What cannot be read keeps its row, with label -1 and
the reason. Read `merge.py` next.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oddwave.dist.fetching import Placed, placed
from oddwave.dist.listing import Unit
from oddwave.dist.plan import ShardPlan, shards_folder
from oddwave.errors import CheckpointError, DataError, MissingExtraError
from oddwave.files import write_bytes_atomic
from oddwave.records import AnyResult
from oddwave.result_rows import score_columns
from oddwave.results import item_p_value
from oddwave.sources.base import Failure

if TYPE_CHECKING:
    from oddwave.detector import Detector

__all__ = ["Columns", "is_whole", "parquet_of", "read_shard", "scored_rows", "tried", "whole_shards", "write_shard"]

Columns = dict[str, list[Any]]
_NO_ITEM = "holds no item of its own: nothing in it was scored"
_KEY = b"oddwave"


def parquet_of() -> Any:
    """Return pyarrow's Parquet module. Raises: MissingExtraError."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("scoring in shards", "dist") from None
    return parquet


# Scoring


def scored_rows(
    detector: "Detector", units: Sequence[Unit], asked: Mapping[str, Any], *, alone: bool = False
) -> Columns:
    """Score items and return their rows, in order, at least one for each; `alone` where one file is all of the input.

    Raises: DataError for the first that cannot be judged where the model is told to stop there; ConfigError as `score`.
    """
    columns: Columns = {}
    with placed(units) as found:
        there = [own for own in found if not own.reason]
        rows = _together(detector, there, asked, alone) if there else {}
        for own in found:
            missing = _failed(own, own.reason or _NO_ITEM, detector) if own.unit.number not in rows else None
            for name, values in (missing or rows[own.unit.number]).items():
                columns.setdefault(name, []).extend(values)
    return columns


def _together(
    detector: "Detector", found: Sequence[Placed], asked: Mapping[str, Any], alone: bool
) -> dict[int, Columns]:
    """Score items in one go; where none of them can be read or judged, one by one, for the reason of each."""
    records = list[AnyResult]()
    alone = alone and len(found) == 1
    source: Any = str(found[0].path) if alone else {own.unit.id: str(own.path) for own in found}
    try:
        for record in detector.iter_scores(source, **asked):
            records.append(record)
    except DataError as error:
        by_item = {found[0].unit.number: records} if alone and records else _by_item(records, found)
        if _stops(detector):
            raise
        if len(by_item) < len(found):  # else all were looked at, and none has a score
            if len(found) == 1:
                failures = getattr(error, "failures", ())
                return {
                    found[0].unit.number: _failed(
                        found[0], "", detector, failures[0].message if failures else str(error)
                    )
                }
            return {number: rows for own in found for number, rows in _together(detector, [own], asked, False).items()}
    else:
        by_item = {found[0].unit.number: records} if alone else _by_item(records, found)
    units = {own.unit.number: own for own in found}
    return {number: _rows(detector, own, units[number]) for number, own in by_item.items()}


def _by_item(records: Sequence[AnyResult], found: Sequence[Placed]) -> dict[int, list[AnyResult]]:
    """Sort records, which come in the items' order, under the items: one may hold several, "id/part"."""
    by_number: dict[int, list[AnyResult]] = {}
    place = 0
    for record in records:
        while place + 1 < len(found) and not _is_of(record.id, found[place].unit.id, found[place + 1].unit.id):
            place += 1
        by_number.setdefault(found[place].unit.number, []).append(record)
    return by_number


def _is_of(record: str, own: str, following: str) -> bool:
    """Return whether a record is of the item `own` rather than of a later one."""
    return record == own or (record.startswith(f"{own}/") and record != following)


def _rows(detector: "Detector", records: Sequence[AnyResult], own: Placed) -> Columns:
    """Return the rows of an item; what names its passing file names the item instead."""
    kind, block_size = detector.inner.result_kind, detector.inner.fitted_calibration().block_size
    rows: Columns = dict(score_columns(kind, records))
    p_values = [item_p_value(record, kind, block_size) for record in records]
    length = len(rows["item"])
    rows["number"], rows["events"] = [own.unit.number] * length, [record.num_events for record in records]
    if kind == "stream":  # the first row of each says it for all
        lengths = [len(score_columns(kind, [record])["item"]) for record in records]
        rows["events"] = [
            count if not i else 0 for count, size in zip(rows["events"], lengths, strict=True) for i in range(size)
        ]
        p_values = [value for value, size in zip(p_values, lengths, strict=True) for _ in range(size)]
    rows["item_p_value"] = p_values
    if own.passing:
        rows["reason"] = [text.replace(str(own.path), own.unit.id) for text in rows["reason"]]
    return rows


def _failed(own: Placed, reason: str, detector: "Detector", sentence: str = "") -> Columns:
    """Return the row of an item without a score. Raises: DataError where the model is told to stop there."""
    told = sentence or Failure(own.unit.id, None if own.passing else own.path, reason).message
    told = " ".join((told.replace(str(own.path), own.unit.id) if own.passing else told).split())
    if _stops(detector):
        raise DataError(told)
    nothing = float("nan")
    facts = {"item": own.unit.id, "score": nothing, "p_value": nothing, "label": -1, "status": "not judged"}
    stream = detector.inner.result_kind == "stream"
    more = {"index": 0, "timestamp": ""} if stream else {"p_tail": nothing, "deviations": nothing}
    more |= {"number": own.unit.number, "events": 0, "item_p_value": nothing}
    return {name: [value] for name, value in {**facts, "reason": told, **more}.items()}


def _stops(detector: "Detector") -> bool:
    return detector.read_options.get("on_error") == "stop"


# Files


def write_shard(out: Path, plan: ShardPlan, number: int, columns: Columns) -> None:
    """Write a shard's rows, whole or not at all. Raises: CheckpointError where that fails."""
    import pyarrow as pa

    first, count = plan.shards[number]
    own = sorted(set(columns["number"]))
    if own != list(range(first, first + count)):
        raise CheckpointError(f"shard {number} has rows of {len(own):,} items, {count:,} were expected: report this")
    about = {"plan": plan.digest, "shard": number, "first": first, "items": count}
    table = pa.table({name: _array(pa, name, values) for name, values in columns.items()})
    table = table.replace_schema_metadata({_KEY: json.dumps(about).encode()})
    sink = io.BytesIO()
    parquet_of().write_table(table, sink, compression="zstd", write_page_checksum=True)
    write_bytes_atomic(shards_folder(out) / plan.file_name(number), sink.getvalue())
    (shards_folder(out) / f".tries-{number:07d}").unlink(missing_ok=True)


def _array(pa: Any, name: str, values: list[Any]) -> Any:
    kinds = {"score": pa.float64(), "p_value": pa.float64(), "p_tail": pa.float64(), "deviations": pa.float64()}
    kinds |= {
        "item_p_value": pa.float64(),
        "number": pa.int64(),
        "index": pa.int64(),
        "label": pa.int8(),
        "events": pa.int32(),
    }
    return pa.array(values, kinds.get(name, pa.string()))


def is_whole(out: Path, plan: ShardPlan, number: int) -> bool:
    """Return whether a shard's file is there, of this plan, and closed: only its end is read."""
    path = shards_folder(out) / plan.file_name(number)
    if not path.is_file():
        return False
    first, count = plan.shards[number]
    try:
        about = json.loads(parquet_of().read_metadata(path).metadata[_KEY])
    except MissingExtraError:
        raise
    except Exception:  # whatever pyarrow says of a damaged file: it is scored again
        return False
    return bool(about == {"plan": plan.digest, "shard": number, "first": first, "items": count})


def tried(out: Path, number: int) -> int:
    """Put down that a shard is begun, and return how often it was, this time counted: those who follow know it."""
    path = shards_folder(out) / f".tries-{number:07d}"
    with path.open("ab") as file:
        file.write(b".")
        return file.tell()


def whole_shards(out: Path, plan: ShardPlan) -> list[int]:
    """Return the numbers of the shards that are there; what killed writers left is removed."""
    folder = shards_folder(out)
    for left in (*folder.glob(".oddwave-*.tmp"), *folder.glob(".tries-*")):
        left.unlink(missing_ok=True)
    return [number for number in range(len(plan.shards)) if is_whole(out, plan, number)]


def read_shard(out: Path, plan: ShardPlan, number: int, columns: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read a shard's columns. Raises: CheckpointError for one that is missing, damaged, or another plan's."""
    path = shards_folder(out) / plan.file_name(number)
    try:
        if not is_whole(out, plan, number):
            raise ValueError("it is missing, or not of this plan")
        table = parquet_of().read_table(path, columns=columns and list(columns), page_checksum_verification=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise CheckpointError(f"cannot read {path} ({reason}): remove it and give the same command again") from error
    return {name: table.column(name).to_numpy() for name in table.column_names}
