"""Up to which frequency a model hears: the sample rate that follows from the recordings it learns from.

    audio.sample_rate = auto      the lowest rate of the recordings, up to 48 kHz; bands then end at 20 kHz or below

A model hears no higher than all that it learnt from: rows in which some recordings hold nothing would call the others
odd. A tenth of them may have less, and are told of. Read `detector.py` next.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from oddwave.config import LONGEST_CLIP, AudioConfig
from oddwave.sources.audio.items import AudioItem

__all__ = ["Hearing", "hearing_of"]

_HIGHEST_RATE, _CD_RATE, _LOWEST_RATE = 48_000, 44_100, 1_000
_HIGHEST_HZ, _USUAL_SHARE = 20_000.0, 0.47  # of the rate, where bands end by default
_MOST_BELOW = 0.1  # of the recordings


@dataclass(frozen=True, slots=True)
class Hearing:
    """The sample rate that recordings are brought to, where the bands end (None: as usual), and why."""

    sample_rate: int
    f_max_hz: float | None
    why: str

    @property
    def overrides(self) -> list[str]:
        """The settings that stand for it."""
        ends = [] if self.f_max_hz is None else [f"audio.f_max_hz={self.f_max_hz}"]
        return [f"audio.sample_rate={self.sample_rate}", *ends]


def hearing_of(items: Sequence[AudioItem], config: AudioConfig) -> Hearing:
    """Return what a model of these recordings can hear."""
    rates = sorted(item.sample_rate for item in items)
    usual = rates[int(_MOST_BELOW * len(rates))]
    rate = max(usual, _LOWEST_RATE)
    if rate > _HIGHEST_RATE:
        rate = _CD_RATE if rate % _CD_RATE == 0 else _HIGHEST_RATE
    rate = min(rate, int(LONGEST_CLIP / config.clip_s))
    ends = _HIGHEST_HZ if config.f_max_hz is None and _USUAL_SHARE * rate > _HIGHEST_HZ else None
    counted = Counter(rates)
    if len(counted) == 1:
        why = f"the recordings have {usual} Hz"
    else:
        why = "the lowest rate of " + ", ".join(f"{number} at {own} Hz" for own, number in sorted(counted.items()))
        why += f", but for the {sum(own < usual for own in rates)} below it" if rates[0] < usual else ""
    return Hearing(rate, ends, why)
