"""Events in sound: connected parts of an anomaly map that stand out, in seconds, hertz and dB, and in plain words.

Legend: R rows (frequencies, rising), T columns (equal spans of time) of one clip or of a whole recording.
Read `detection/series/events.py` for the same in one dimension.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from oddwave.errors import ShapeError
from oddwave.results import AudioEvent

__all__ = ["find_audio_events", "row_edges_hz"]

_MOST_EVENTS = 50
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)
_BRIDGE = np.ones((3, 5), bool)  # rows, columns: parts with less than this between them are one event
_MERGE_GAP_S = 0.1
_CARRIES = 0.1  # of the power that the strongest row has above or below normal
_CLICK_S = 0.12  # a click in a map is longer than the click


@dataclass(frozen=True, eq=False)
class _Part:
    """Cells of one event: a box of the map and which cells of it; the box's ends are excluded."""

    top: int
    left: int
    cells: Bool[np.ndarray, "r t"]
    peak: float
    louder: bool = True

    @property
    def box(self) -> tuple[slice, slice]:
        rows, columns = self.cells.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)


def find_audio_events(
    item: str,
    anomaly_map: Float[np.ndarray, "R T"],
    threshold: float,
    levels_db: Float[np.ndarray, "R T"],
    normal_levels_db: Float[np.ndarray, "R T"],
    frequencies_hz: Float[np.ndarray, " R"],
    column_s: float,
    evidence: Callable[[float, float], tuple[float, float]],
    *,
    start_s: float = 0.0,
    at_least_one: bool = False,
) -> tuple[AudioEvent, ...]:
    """Find the events of a recording, strongest first; higher values of the map are more anomalous.

    A strong event raises the map around it, so each event reaches from where the map rises past half of its height
    (counted from the map's median) to where it falls below that again; parts that nearly touch are one event.
    `levels_db` and `normal_levels_db` say what is there and what normally would be, `column_s` how long a column is,
    `start_s` where the map begins, `evidence` gives score and p-value of what lies between two moments. `at_least_one`
    outlines the highest place where nothing reaches the threshold: the recording as a whole is odd. Of the rows of a
    louder event, those are named that carry its power: a map reaches further than a tone does.
    Raises: ShapeError when the maps differ in size or do not have a frequency for each row.
    """
    shapes = {np.shape(anomaly_map), np.shape(levels_db), np.shape(normal_levels_db)}
    if len(shapes) > 1 or anomaly_map.ndim != 2 or len(frequencies_hz) != len(anomaly_map):
        raise ShapeError(f"the maps have shapes {sorted(shapes)} and there are {len(frequencies_hz)} frequencies: give "
                         "three maps of one size (rows, columns) and a frequency for each row")  # fmt: skip
    if not np.isfinite(anomaly_map).any():
        return ()
    filled = np.nan_to_num(anomaly_map, nan=-np.inf)
    usual, highest = float(np.nanmedian(anomaly_map)), float(filled.max())
    if highest < threshold and at_least_one:
        threshold = usual + 0.5 * (highest - usual)
    parts = _strongest(_parts(filled, threshold, usual), 10 * _MOST_EVENTS)
    for index, part in enumerate(parts):
        here, normal = _powers(part, levels_db, normal_levels_db)
        parts[index] = replace(part, louder=bool(here.sum() >= normal.sum()))
    parts = _strongest(_merged(parts, column_s, len(anomaly_map)), _MOST_EVENTS)
    edges = row_edges_hz(np.asarray(frequencies_hz, float))
    events = []
    for part in parts:
        rows, columns = part.box
        here, normal = _powers(part, levels_db, normal_levels_db)
        difference = np.abs(here - normal).sum(1)
        carried = rows.start + np.flatnonzero((not part.louder) | (difference >= _CARRIES * difference.max()))
        first_s, last_s = (start_s + column * column_s for column in (columns.start, columns.stop))
        score, p_value = evidence(first_s, last_s)
        event = AudioEvent(
            item=item,
            start_s=first_s,
            end_s=last_s,
            low_hz=float(edges[carried[0]]),
            high_hz=float(edges[carried[-1] + 1]),
            peak_hz=_peak_hz(difference, frequencies_hz[rows]),
            level_db=_level_db(here, normal),
            score=score,
            p_value=p_value,
        )
        events.append(event)
    return tuple(sorted(events, key=lambda event: -event.score))  # where scores are the same, by the map


def _parts(values: Float[np.ndarray, "R T"], threshold: float, usual: float) -> Iterator[_Part]:
    """Cut each connected part above the threshold into its peaks, each down to half its own height.

    A lower peak counts for itself when a valley of half its own height parts it from those found before; what does not
    is their flank.
    """
    labelled, _ = ndimage.label(values >= threshold, structure=_EIGHT_NEIGHBOURS)
    for number, box in enumerate(ndimage.find_objects(labelled), start=1):
        left = np.where(labelled[box] == number, values[box], -np.inf)
        inside, found = left.copy(), np.zeros(left.shape, bool)
        for _ in range(_MOST_EVENTS):
            if not (peak := float(left.max())) >= max(threshold, -1e300):
                break
            high = inside >= min(peak, usual + 0.5 * (peak - usual))  # a whole map may lie above the threshold
            own = _around(high, int(left.argmax()))
            left[own] = -np.inf
            if not (own & found).any():
                found |= own
                yield _cropped(own, box[0].start, box[1].start, peak)


def _around(high: Bool[np.ndarray, "r t"], place: int) -> Bool[np.ndarray, "r t"]:
    """Keep what is connected with one cell, over gaps smaller than the bridge."""
    bridged, _ = ndimage.label(ndimage.binary_dilation(high, _BRIDGE), structure=_EIGHT_NEIGHBOURS)
    own: np.ndarray = high & (bridged == bridged.flat[place])
    return own


def _strongest(parts: Iterable[_Part], count: int) -> list[_Part]:
    return sorted(parts, key=lambda part: -part.peak)[:count]


def _powers(
    part: _Part, levels_db: Float[np.ndarray, "R T"], normal_levels_db: Float[np.ndarray, "R T"]
) -> tuple[Float[np.ndarray, "r t"], Float[np.ndarray, "r t"]]:
    """Return the power in the cells of a part, as it is and as it normally is; zero in the box's other cells."""
    here, normal = (10 ** (levels[part.box] / 10) * part.cells for levels in (levels_db, normal_levels_db))
    return here, normal


def _merged(parts: list[_Part], column_s: float, num_rows: int) -> list[_Part]:
    """Join what is one sound in pieces: parts that follow each other in the same rows, and pieces of one instant.

    Pieces of a click or of missing sound lie above each other with gaps where the background is loud or silent; tones
    that sound at the same time stay apart.
    """
    joined: list[_Part] = []
    for part in sorted(parts, key=lambda p: p.left):
        for other in reversed(joined):
            if other.louder == part.louder and (
                _follow(other, part, round(_MERGE_GAP_S / column_s))
                or _one_instant(other, part, round(_CLICK_S / column_s), num_rows // 4)
            ):
                joined.remove(other)
                part = _union(other, part)
        joined.append(part)
    return joined


def _follow(first: _Part, second: _Part, max_gap: int) -> bool:
    """Return whether two parts share most of their rows and nearly touch in time."""
    shared, gap = _overlap(first, second, 0), -_overlap(first, second, 1)
    return gap <= max_gap and 2 * shared >= max(len(first.cells), len(second.cells))


def _one_instant(first: _Part, second: _Part, short: int, max_gap: int) -> bool:
    """Return whether two parts are at the same time, short or of missing sound, and not too far apart in rows."""
    lengths = first.cells.shape[1], second.cells.shape[1]
    if first.louder and max(lengths) > short:
        return False
    needed = min(lengths) if first.louder else max(lengths)
    return 2 * _overlap(first, second, 1) >= needed and -_overlap(first, second, 0) <= max_gap


def _overlap(first: _Part, second: _Part, axis: int) -> int:
    """Return how many rows (axis 0) or columns (1) two boxes share; negative for the gap between them."""
    one, other = first.box[axis], second.box[axis]
    return int(min(one.stop, other.stop) - max(one.start, other.start))


def _union(first: _Part, second: _Part) -> _Part:
    top, left = min(first.top, second.top), min(first.left, second.left)
    bottom, right = (max(first.box[axis].stop, second.box[axis].stop) for axis in (0, 1))
    cells = np.zeros((bottom - top, right - left), bool)
    for part in (first, second):
        rows, columns = part.cells.shape
        cells[part.top - top :, part.left - left :][:rows, :columns] |= part.cells
    return _Part(top, left, cells, max(first.peak, second.peak), first.louder)


def _cropped(own: Bool[np.ndarray, "r t"], top: int, left: int, peak: float) -> _Part:
    rows, columns = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
    cells = own[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _Part(top + int(rows[0]), left + int(columns[0]), cells, peak)


def row_edges_hz(frequencies_hz: Float[np.ndarray, " R"]) -> Float[np.ndarray, " _"]:
    """Return edges half way between the rows, in octaves; the outer rows begin and end at their own frequency."""
    low, high = frequencies_hz[:-1], frequencies_hz[1:]
    between = np.where(low > 0, np.sqrt(low * high), high / 2**0.5)
    return np.concatenate((frequencies_hz[:1], between, frequencies_hz[-1:]))


def _level_db(here: Float[np.ndarray, "r t"], normal: Float[np.ndarray, "r t"]) -> float:
    """Compare the powers where they differ; a map is blurred, so a part holds normal rows and columns too.

    Rows, then columns, count from half the largest difference in dB; single cells are too noisy to go by.
    """
    sign = 1.0 if here.sum() >= normal.sum() else -1.0
    for axis in (1, 0):
        usual = normal.sum(axis)
        ratio = np.divide(here.sum(axis), usual, out=np.ones_like(usual), where=usual > 0)  # merged parts have gaps
        difference = sign * np.log10(ratio)
        kept = difference >= 0.5 * difference.max()
        here, normal = (np.compress(kept, power, 1 - axis) for power in (here, normal))
    return float(10 * np.log10(here.sum() / normal.sum()))


def _peak_hz(difference: Float[np.ndarray, " r"], frequencies_hz: Float[np.ndarray, " r"]) -> float:
    """Return the top of a parabola through the largest difference and its neighbours, all as levels over octaves."""
    row = int(difference.argmax())
    near = slice(max(0, row - 1), row + 2)
    hz, power = frequencies_hz[near], difference[near]
    if len(hz) < 3 or hz[0] <= 0 or power.min() <= 0:
        return float(frequencies_hz[row])
    octave = np.log2(hz / hz[1])
    a, b, _ = np.polyfit(octave, np.log(power), 2)
    return float(hz[1] * 2 ** np.clip(-b / (2 * a), octave[0], octave[2])) if a < 0 else float(hz[1])
