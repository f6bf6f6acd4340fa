"""On which side a fault is: the channel in which an event's band carries what the other channels do not.

A recording of several channels is heard as their mix. For each event, every channel's power in the event's band while
it lasts is compared with that channel's own power right before and after; what was added (or is missing) in one channel
must be four times what it is in any other, else no side is named. Of what lasts throughout there is no before and
after. Read `detector.py` next.

Legend: n samples, C channels, E events, F frames, K bins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError
from oddwave.records import AudioEvent
from oddwave.sources.audio.items import AudioItem

__all__ = ["channel_name", "with_sides"]

_FRAME = 1024  # samples
_BLOCK_S = 20.0
_SHORTEST_BESIDE_S = 2.0  # before and after an event; as much as it lasts, where that is more
_LONGEST_BESIDE_S = 20.0
_CLEARLY = 4.0  # times as much power as in any other channel
_NOTHING = 1e-14


def channel_name(channel: int | None, num_channels: int) -> str:
    """Return what a channel is called: "left", "channel 3 of 4"; "" for the mix and for the only one."""
    if channel is None or num_channels < 2:
        return ""
    return ("left", "right")[channel] if num_channels == 2 else f"channel {channel + 1} of {num_channels}"


def with_sides(events: Sequence[AudioEvent], item: AudioItem, sample_rate: int) -> tuple[AudioEvent, ...]:
    """Return the events with the channel that carries each, where there are several and one clearly does."""
    own = channel_name(item.channel, item.num_channels)
    if item.channel is not None or item.num_channels < 2 or not events:
        return tuple(replace(event, channel=own) for event in events)
    try:
        change = np.stack([_changes(one, events, sample_rate) for one in item.each_channel()])
    except DataError:  # it can no longer be read: the verdict stays
        return tuple(events)
    named = []
    for event, powers in zip(events, change.T, strict=True):
        carried = np.maximum(-powers if event.level_db < 0 else powers, 0.0)
        best, other = int(carried.argmax()), float(np.sort(carried)[-2])
        clear = carried[best] > max(_CLEARLY * other, _NOTHING) and not event.throughout
        named.append(replace(event, channel=channel_name(best, item.num_channels) if clear else ""))
    return tuple(named)


def _changes(item: AudioItem, events: Sequence[AudioEvent], sample_rate: int) -> Float[np.ndarray, " E"]:
    """Return how much more power a channel has in each event's band while it lasts than beside it."""
    power, seconds = np.zeros((len(events), 2)), np.zeros((len(events), 2))
    spans = [_spans(event) for event in events]
    bins_hz = np.fft.rfftfreq(_FRAME, 1.0 / sample_rate)
    bands = [(bins_hz >= event.low_hz) & (bins_hz <= max(event.high_hz, event.low_hz + bins_hz[1])) for event in events]
    for times, spectra in _spectra(item, sample_rate):
        in_any = np.any([(times >= event.start_s) & (times < event.end_s) for event in events], axis=0)
        for number, (start_s, end_s) in enumerate(spans):
            event = events[number]
            inside = (times >= event.start_s - 0.5 * _FRAME / sample_rate) & (times < event.end_s)
            beside = (times >= start_s) & (times < end_s) & ~in_any & ~inside
            for place, chosen in enumerate((inside, beside)):
                power[number, place] += float(spectra[chosen][:, bands[number]].sum())
                seconds[number, place] += float(chosen.sum())
    mean = power / np.maximum(seconds, 1.0)
    return np.where((seconds > 0).all(1), mean[:, 0] - mean[:, 1], 0.0)


def _spans(event: AudioEvent) -> tuple[float, float]:
    """Return from when to when sound counts as beside an event."""
    beside_s = min(max(event.end_s - event.start_s, _SHORTEST_BESIDE_S), _LONGEST_BESIDE_S)
    return event.start_s - beside_s, event.end_s + beside_s


def _spectra(item: AudioItem, sample_rate: int) -> Iterator[tuple[Float[np.ndarray, " F"], Float[np.ndarray, "F K"]]]:
    """Yield where frames begin, and their power, in blocks."""
    rest, first, window = np.zeros(0, np.float32), 0, np.hanning(_FRAME)
    for block in item.blocks(sample_rate, _BLOCK_S):
        samples = np.concatenate([rest, block])
        count = len(samples) // _FRAME
        if count:
            frames = samples[: count * _FRAME].reshape(count, _FRAME)
            yield (first + np.arange(count)) * _FRAME / sample_rate, np.abs(np.fft.rfft(frames * window)) ** 2
        rest, first = samples[count * _FRAME :], first + count
