"""What is asked of the history: items by model, time and verdict, one with its events, trends, and a person's verdict.

Each runs in a transaction of its own. Read `schema.py` for the tables, `routes_history.py` for who asks.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, case, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from oddwave.service.limits import ProblemError
from oddwave.service.schema import EVENTS, ITEMS, VERDICTS

__all__ = ["VERDICT_WORDS", "Wanted", "excerpt_of", "item_of", "items_of", "latest", "trends"]

VERDICT_WORDS = ("real", "false_alarm", "unsure", "none")
_BUCKETS_MS = {"hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}
_MONDAY_MS = 4 * 86_400_000  # 1970-01-05
MOST = 500
_SHOWN = [column for column in ITEMS.c if column.name != "excerpt"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items: `verdict` is one of the words, or "any" or "none"; times are milliseconds since 1970."""

    model: str | None = None
    source: str | None = None
    label: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    verdict: str | None = None
    before: str | None = None  # the id of the last item of the page before
    limit: int = 50


def _last_verdicts() -> Any:
    """Return, per item, what was said of it last."""
    order = (VERDICTS.c.given_ms.desc(), VERDICTS.c.id.desc())
    number = func.row_number().over(partition_by=VERDICTS.c.item_id, order_by=order)
    ranked = select(VERDICTS.c.item_id, VERDICTS.c.verdict, VERDICTS.c.note, VERDICTS.c.given_ms, number.label("rank"))
    inner = ranked.subquery()
    return select(inner).where(inner.c.rank == 1).subquery()


def _filtered(query: Select[Any], wanted: Wanted, said: Any) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (ITEMS.c.model, wanted.model),
        (ITEMS.c.source, wanted.source),
        (ITEMS.c.label, wanted.label),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.since_ms is not None:
        conditions.append(ITEMS.c.received_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        conditions.append(ITEMS.c.received_ms < wanted.until_ms)
    if wanted.verdict == "none":
        conditions.append(or_(said.c.verdict.is_(None), said.c.verdict == "none"))
    elif wanted.verdict == "any":
        conditions.append(and_(said.c.verdict.is_not(None), said.c.verdict != "none"))
    elif wanted.verdict is not None:
        conditions.append(said.c.verdict == wanted.verdict)
    return query.where(*conditions)


def items_of(engine: Engine, wanted: Wanted) -> list[dict[str, Any]]:
    """Return items, the newest first. Raises: ProblemError where the history does not answer."""
    said = _last_verdicts()
    query: Select[Any] = select(*_SHOWN, said.c.verdict, said.c.note, said.c.given_ms).outerjoin(
        said, said.c.item_id == ITEMS.c.id
    )
    query = _filtered(query, wanted, said)
    if wanted.before is not None:
        query = query.where(ITEMS.c.id < wanted.before)
    query = query.order_by(ITEMS.c.id.desc()).limit(max(1, min(wanted.limit, MOST)))
    return [_plain(row) for row in _rows(engine, query)]


def item_of(engine: Engine, identifier: str) -> dict[str, Any]:
    """Return an item, its events and all that was said of it. Raises: ProblemError, also where there is none."""
    said = _last_verdicts()
    query: Select[Any] = select(*_SHOWN, said.c.verdict, said.c.note, said.c.given_ms).outerjoin(
        said, said.c.item_id == ITEMS.c.id
    )
    rows = _rows(engine, query.where(ITEMS.c.id == identifier))
    if not rows:
        raise ProblemError(404, f"the history has no item '{identifier:.40}': it waits, or is forgotten")
    events = _rows(engine, select(EVENTS).where(EVENTS.c.item_id == identifier).order_by(EVENTS.c.number))
    verdicts = _rows(engine, select(VERDICTS).where(VERDICTS.c.item_id == identifier).order_by(VERDICTS.c.given_ms))
    return {
        **_plain(rows[0]),
        "events": [
            {**json.loads(row["facts"]), "score": row["score"], "p_value": row["p_value"], "start": row["start"],
             "end": row["end"]} for row in events
        ],
        "verdicts": [{key: row[key] for key in ("verdict", "note", "given_ms")} for row in verdicts],
    }  # fmt: skip


def excerpt_of(engine: Engine, identifier: str) -> tuple[bytes, str]:
    """Return the small picture or excerpt of an item, and its media type. Raises: ProblemError."""
    rows = _rows(engine, select(ITEMS.c.excerpt, ITEMS.c.excerpt_type).where(ITEMS.c.id == identifier))
    if not rows or rows[0]["excerpt"] is None:
        raise ProblemError(404, f"the history has no picture of '{identifier:.40}'")
    return bytes(rows[0]["excerpt"]), str(rows[0]["excerpt_type"])


def latest(engine: Engine) -> list[dict[str, Any]]:
    """Return, for each model and source, the newest item, how many there are, and how many were anomalous of late."""
    group = (ITEMS.c.model, ITEMS.c.source)
    newest = (
        select(*group, func.max(ITEMS.c.id).label("id"), func.count().label("num_items")).group_by(*group).subquery()
    )
    query = select(*_SHOWN, newest.c.num_items).join(newest, newest.c.id == ITEMS.c.id).order_by(*group)
    return [_plain(row) for row in _rows(engine, query.limit(MOST))]


def trends(engine: Engine, wanted: Wanted, bucket: str) -> list[dict[str, Any]]:
    """Return scores over time per model: how many items, how many anomalous, the mean and highest score.

    Raises: ProblemError.
    """
    width = _BUCKETS_MS[bucket]
    start = _MONDAY_MS if bucket == "week" else 0
    place = ((ITEMS.c.received_ms - start) // width).label("place")
    said = _last_verdicts()
    false = func.sum(case((said.c.verdict == "false_alarm", 1), else_=0)).label("num_false_alarms")
    query = select(
        ITEMS.c.model,
        place,
        func.count().label("num_items"),
        func.sum(case((ITEMS.c.label == 1, 1), else_=0)).label("num_anomalous"),
        func.sum(case((ITEMS.c.label == -1, 1), else_=0)).label("num_not_judged"),
        false,
        func.avg(ITEMS.c.score).label("mean_score"),
        func.max(ITEMS.c.score).label("highest_score"),
        func.max(ITEMS.c.threshold).label("threshold"),
    ).outerjoin(said, said.c.item_id == ITEMS.c.id)
    query = _filtered(query, wanted, said).group_by(ITEMS.c.model, place).order_by(ITEMS.c.model, place).limit(5_000)
    found = []
    for row in _rows(engine, query):
        start_ms = int(row["place"]) * width + start
        counts = {key: int(row[key] or 0) for key in row if key.startswith("num_")}
        scores = {key: _finite(row[key]) for key in ("mean_score", "highest_score", "threshold")}
        found.append({"model": row["model"], "start_ms": start_ms, **counts, **scores})
    return found


def _rows(engine: Engine, query: Any) -> list[Mapping[str, Any]]:
    try:
        with engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]
    except SQLAlchemyError as error:
        told = " ".join(str(getattr(error, "orig", None) or error).split())[:120]
        raise ProblemError(
            503, f"the history does not answer now ({told}); scoring goes on", {"Retry-After": "5"}
        ) from None


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON has it."""
    plain = {key: _finite(value) if isinstance(value, float) else value for key, value in row.items()}
    plain["has_excerpt"] = plain.pop("excerpt_type", None) is not None
    if plain.get("verdict") == "none":
        plain["verdict"] = None
    return plain


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
