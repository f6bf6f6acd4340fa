"""Labels, whose values tell the series of a long table apart, and the turn from one row per value to one per time.

Read `long.py` next: it finds the labels.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from oddwave.errors import DataError
from oddwave.sources.series.bookkeeping import plain_name
from oddwave.sources.series.cells import Column, Table
from oddwave.sources.series.clock import turns

__all__ = ["METRIC_NAMES", "Label", "pivoted"]

_ENTITY_NAME = re.compile(
    r"(host|hostname|machine|device|sensor|instance|node|station|unit|asset|server|pod|container|plant|turbine|engine|pump"
    r"|motor|meter|equipment|gateway|site|location|vm|cluster|service|job|namespace|customer|store|product|sku|entity|group"
    r"|thing|robot|vehicle|car|battery|cell|room|building|zone|line|tank|well|patient|subject|user|account|region|id"
    r"|maschine|anlage|geraet|gerät|messstelle|linie|standort|uid|uuid|tagid|seriesid|tsid|uniqueid|itemid)"
    r"(id|nr|no|number|name|key|code)?s?"
)
# Numbers need a plainer name: a column "tank" or "battery" of whole numbers is a reading.
_NUMBERED_ENTITY = re.compile(
    r"\w*(machine|device|station|host|instance|sensor|unit|node|asset|engine|turbine|meter|pump|equipment|series|entity|store"
    r"|customer|product|item|vehicle|robot|patient|subject|user|account)_?(id|nr|no|number|num|key|code)"
    r"|machine|device|station|host|instance|maschine|anlage|entity|uid|uniqueid|tsid|unitnumber"
)
_FIELD_NAME = re.compile(
    r"(field|metric|metricname|name|variable|parameter|param|signal|tag|tagname|series|measurement|quantity|channel"
    r"|attribute|property|indicator|statistic|characteristic|observedproperty|messgroesse|messgröße|kanal|merkmal)(name|key)?"
)
METRIC_NAMES = frozenset({"name", "field", "metric"})  # of an export: names the channel also where there is but one
_STATES = re.compile(
    "on|off|ok|running|stopped|run|stop|open|closed|low|high|medium|auto|manual|hand|idle|normal|alarm|warn|warning|active"
    "|inactive|enabled|disabled|yes|no|start|good|bad|up|down|error|fault|full|empty|charging|standby|unknown"
)
_FIELD_ORDER = ("measurement", "name", "field")
_VALUE_NAME = frozenset({"value", "values", "val", "y", "reading", "wert", "messwert", "result", "v", "sample"})


@dataclass(frozen=True, eq=False)
class Label:
    """A column whose values tell series apart: a code per row, and the values by code."""

    place: int
    name: str
    codes: Int[np.ndarray, " R"]
    values: tuple[str, ...]
    is_number: bool

    @property
    def is_field(self) -> bool:
        return not self.is_number and _FIELD_NAME.fullmatch(plain_name(self.name)) is not None

    @property
    def is_entity(self) -> bool:
        if self.is_field or all(_STATES.fullmatch(value.lower()) for value in self.values):
            return False
        names = _NUMBERED_ENTITY if self.is_number else _ENTITY_NAME
        return names.fullmatch(plain_name(self.name)) is not None


def pivoted(
    table: Table,
    fields: Sequence[Label],
    codes: Int[np.ndarray, " R"],
    rows: Int[np.ndarray, " r"],
    times: Int[np.ndarray, " R"],
    plain: Sequence[int],
    clock: Sequence[int],
    wanted: set[str] | None,
    timed: bool,
) -> Table:
    """Put the values of each field into a column of its own, a row per time; rows alike in both stay apart."""
    turn = turns(np.column_stack([times[rows], codes[rows]]) if timed else codes[rows][:, None])
    keys = np.column_stack([times[rows], turn]) if timed else turn[:, None]
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    values = _value_columns(table, [i for i in plain if i not in clock], wanted)
    columns = [table.columns[i].take(rows[first]) for i in clock]
    for code in np.unique(codes).tolist():
        mine = rows[codes[rows] == code]
        where = place.ravel()[codes[rows] == code]
        example = int(np.flatnonzero(codes == code)[0])
        for i in values:
            source = table.columns[i].take(mine)
            numbers = np.full(len(first), np.nan)
            numbers[where] = source.numbers
            text = {int(where[row]): cell for row, cell in source.text.items()}
            name = _channel_name(fields, example)
            name = name if len(values) == 1 else f"{name} {table.columns[i].name}"
            columns.append(Column(name, numbers, text, notes=source.notes, refusal=source.refusal))
    return replace(table, columns=tuple(columns), lines=table.lines[rows[first]], labels=())


def _value_columns(table: Table, places: Sequence[int], wanted: set[str] | None) -> list[int]:
    numeric = [i for i in places if not table.columns[i].is_text and table.columns[i].times is None]
    if wanted is not None:
        return [i for i in places if table.columns[i].name in wanted]
    named = [i for i in numeric if plain_name(table.columns[i].name) in _VALUE_NAME]
    values = named or [i for i in numeric if not table.columns[i].is_empty]
    if not values:
        raise DataError(f"{table.origin} has labels and no column of numbers beside them: nothing to monitor")
    return values


def _channel_name(fields: Sequence[Label], row: int) -> str:
    """Name a channel by what was measured, and by the other labels in braces: cpu_seconds{mode=idle,cpu=0}."""
    order = {name: i for i, name in enumerate(_FIELD_ORDER)}
    named = sorted((key for key in fields if key.is_field), key=lambda key: order.get(plain_name(key.name), len(order)))
    head = " ".join(key.values[key.codes[row]] for key in named if key.values[key.codes[row]])
    told = [(key.name, key.values[key.codes[row]]) for key in fields if not key.is_field and len(key.values) > 1]
    others = ",".join(f"{name}={value}" for name, value in told if value)
    return f"{head}{{{others}}}" if head and others else head or others or "value"
