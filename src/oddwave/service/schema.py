"""The tables of the history, and the numbered steps that make them of older ones.

    items      what was judged: model and its fingerprint, source, score, p-value, label, when, a small picture
    events     what was found in it: score, p-value, from where to where
    verdicts   what a person said of an item, the latest last

Times are milliseconds since 1970 in UTC. A new version adds a step at the end of `STEPS`; steps never change once
released. Read `history.py` next: it writes and asks.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    select,
)

from oddwave.errors import ConfigError

__all__ = ["EVENTS", "ITEMS", "STEPS", "VERDICTS", "VERSION", "migrate"]

metadata = MetaData()

VERSION = Table("oddwave_history", metadata, Column("version", Integer, nullable=False))
ITEMS = Table(
    "oddwave_items",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("model", String(200), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("modality", String(40), nullable=False),
    Column("source", String(200), nullable=False),
    Column("item", Text, nullable=False),
    Column("label", Integer, nullable=False),  # 1 anomalous, 0 normal, -1 not judged
    Column("score", Double),
    Column("p_value", Double),
    Column("threshold", Double),
    Column("severity", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("num_events", Integer, nullable=False),
    Column("drift", Text, nullable=False),  # in words; empty where there is none
    Column("excerpt", LargeBinary),
    Column("excerpt_type", String(60)),
)
Index("oddwave_items_by_time", ITEMS.c.received_ms)
Index("oddwave_items_by_model", ITEMS.c.model, ITEMS.c.received_ms)
EVENTS = Table(
    "oddwave_events",
    metadata,
    Column("item_id", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("score", Double),
    Column("p_value", Double),
    Column(
        "start", String(80), nullable=False
    ),  # a time, a point, seconds, or the corner of a box, as events.csv has it
    Column("end", String(80), nullable=False),
    Column("facts", Text, nullable=False),  # JSON: all else that is known of it
)
VERDICTS = Table(
    "oddwave_verdicts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("item_id", String(32), nullable=False, index=True),
    Column("verdict", String(20), nullable=False),  # real, false_alarm, unsure, or none: taken back
    Column("note", Text, nullable=False),
    Column("given_ms", BigInteger, nullable=False),
)


def _items_and_events(connection: Connection) -> None:
    metadata.create_all(connection, [ITEMS, EVENTS])


def _verdicts(connection: Connection) -> None:
    metadata.create_all(connection, [VERDICTS])


STEPS: Sequence[Callable[[Connection], Any]] = (_items_and_events, _verdicts)


def migrate(connection: Connection) -> None:
    """Bring the tables to this version, in the transaction of the connection.

    Raises: ConfigError where a newer oddwave made them.
    """
    there = 0
    if inspect(connection).has_table(VERSION.name):
        there = connection.execute(select(VERSION.c.version)).scalar() or 0
    else:
        metadata.create_all(connection, [VERSION])
    if there > len(STEPS):
        raise ConfigError(
            f"the history has version {there}, this oddwave knows {len(STEPS)}: use a newer oddwave, or another history"
        )
    for step in STEPS[there:]:
        step(connection)
    if there < len(STEPS):
        connection.execute(VERSION.delete())
        connection.execute(VERSION.insert().values(version=len(STEPS)))
