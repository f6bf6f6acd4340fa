"""How findings in recordings become words: events, places, moments.

Everything here returns plain text, never markup. Read `../wording.py` for how single numbers become words.
"""

import math

import numpy as np

from oddwave.report import wording
from oddwave.report.kinds.views import by_score
from oddwave.results import AudioEvent, AudioResult

__all__ = [
    "band_text",
    "describe",
    "hertz_text",
    "moment_text",
    "place_text",
    "rarity_text",
]

_CLICK_S = 0.12  # a click in a map is longer than the click
_TONE_OCTAVES = 0.6  # a tone in a map is wider than the tone
_WIDE_OCTAVES = 3.0
_LOWEST_HZ = 20.0  # where hearing begins: a band from below it has no lower end worth naming
_DROP_OUT_DB = -15.0
_SLIGHT_DB = 6.0  # above normal: too little to tell a tone or noise of its own from louder sound
_SMALL = 0.05


def describe(event: AudioEvent) -> str:
    """Describe an event in plain words: "a 3.1 kHz tone from 2.4 s to 3.0 s, 14 dB above normal"."""
    short = event.end_s - event.start_s <= _CLICK_S
    what = _missing_text(event, short) if event.level_db < 0 else _added_text(event, short)
    when = f"from {moment_text(event.start_s, 1)} to {moment_text(event.end_s, 1)}"
    if event.throughout:
        when = "throughout"
    if short:
        when = f"at {moment_text((event.start_s + event.end_s) / 2, 2)}"
    side = "" if not event.channel else f", in {'' if ' of ' in event.channel else 'the '}{event.channel}"
    side += " channel" * (event.channel in ("left", "right"))
    return f"{what} {when}, {_level_text(event.level_db)}{side}"


def _octaves(event: AudioEvent) -> float:
    return math.log2(max(event.high_hz, _LOWEST_HZ) / max(event.low_hz, _LOWEST_HZ))


def _missing_text(event: AudioEvent, short: bool) -> str:
    if _octaves(event) >= _WIDE_OCTAVES:
        return "a drop-out" if event.level_db <= _DROP_OUT_DB else "quieter sound at almost all frequencies"
    return f"{'a gap' if short else 'a missing band'} {band_text(event)}"


def _added_text(event: AudioEvent, short: bool) -> str:
    """Say what was added; what is hardly louder than normal is called no more than that, whatever its shape.

    The highest row holds all that lies above the bands: what is loudest there is no tone that is known to be one.
    """
    wide, narrow = _octaves(event) >= _WIDE_OCTAVES, _octaves(event) <= _TONE_OCTAVES
    slight = event.level_db < _SLIGHT_DB and not short
    louder = "unusual" if abs(event.level_db) < 0.5 else "louder"
    in_bands = event.low_hz > _LOWEST_HZ and event.peak_hz < event.high_hz
    if narrow and in_bands and not slight:
        return f"{wording.with_article(hertz_text(event.peak_hz))} {'blip' if short else 'tone'}"
    if wide and (event.throughout or slight):
        return f"{louder} sound at almost all frequencies"
    if wide:
        return "a broadband click" if short else "broadband noise"
    if slight:
        return f"{louder} sound {band_text(event)}"
    return f"{'a click' if short else 'noise'} {band_text(event)}"


def _level_text(level_db: float) -> str:
    if not math.isfinite(level_db):
        return "gone altogether" if level_db < 0 else "where normally nothing is heard"
    amount = abs(round(level_db))
    return f"{amount} dB {'below' if level_db < 0 else 'above'} normal" if amount else "hardly off its normal level"


def band_text(event: AudioEvent) -> str:
    """Write an event's band: "between 480 Hz and 1.2 kHz", "below 95 Hz"."""
    if event.low_hz <= _LOWEST_HZ:
        return f"below {hertz_text(event.high_hz)}"
    low, high = hertz_text(event.low_hz), hertz_text(event.high_hz)
    same_unit = low.split()[1] == high.split()[1]
    return f"between {low.split()[0] if same_unit else low} and {high}"


def hertz_text(frequency_hz: float) -> str:
    """Write a frequency with two digits: 85 Hz, 730 Hz, 3.1 kHz, 12 kHz."""
    digits = 1 - math.floor(math.log10(max(frequency_hz, 1.0)))
    rounded = round(frequency_hz, min(digits, 0))
    return f"{rounded:.0f} Hz" if rounded < 1000 else f"{rounded / 1000:.2g} kHz"


def moment_text(time_s: float, decimals: int = 1) -> str:
    """Write a moment of a recording: 2.4 s, 1:05.0 min, 3:01:05.0 h."""
    time_s = round(time_s, decimals)
    if time_s < 60:
        return f"{time_s:.{decimals}f} s"
    minutes, seconds = divmod(time_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    seconds_text = f"{seconds:0{3 + decimals if decimals else 2}.{decimals}f}"
    return f"{hours}:{minutes:02d}:{seconds_text} h" if hours else f"{minutes}:{seconds_text} min"


def place_text(item: AudioResult) -> str:
    """Return what is anomalous in a recording: its strongest event, and how many more there are."""
    if not item.events:
        return "no single moment stands out"
    more = f", and {wording.count_text(len(item.events) - 1, 'more event')}" if len(item.events) > 1 else ""
    return describe(by_score(item)[0]) + more


def rarity_text(item: AudioResult, num_normals: int) -> str:
    """Return how rare a recording's highest clip is among stretches of normal sound as long as the recording."""
    if severity := wording.severity_text(item.strength, "clip"):
        return f"{severity[0].upper()}{severity[1:]}."
    p_value = item.p_value
    if not math.isfinite(p_value):
        return ""
    above_all = round(float(np.nanmin(item.p_values)) * (num_normals + 1)) <= 1
    if above_all and p_value > _SMALL:
        return (
            f"None of the {num_normals:,} normal clips scores this high. How rare that is in a recording of "
            f"{wording.count_text(len(item.scores), 'clip')} is extrapolated: there is too little normal sound."
        )
    if above_all:
        return f"None of the {num_normals:,} normal clips scores this high."
    if p_value > 0.5:
        return "Many normal recordings of this length reach such a score."
    return f"Of normal recordings of this length, {wording.rate_text(p_value)} reaches such a score."
