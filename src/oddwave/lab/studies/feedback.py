"""What one mark does: how much of its kind a marked false alarm silences, and what it costs with faults of other kinds.

    python -m oddwave.lab.studies.feedback [series image audio] [--seeds 0,1] [-o benchmarks/results/feedback.json]

A model learns from normal data; one occurrence of a harmless kind is marked a false alarm, the first that was flagged.
Then, of what was flagged before among

    its kind     other occurrences, each with an amplitude, a length and a place of its own: how many are silent now
    the others   planted faults of all other kinds: how many are found still

Series are made by `planted/normal_streams.py`, with kinds of this file and the faults of `planted/series_streams.py`;
images are the demonstration's with a thing left lying on them, beside its faults; sound is the demonstration's, each
of whose faults is the harmless kind once. No label chooses anything.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from oddwave.config import preset
from oddwave.demo.gear_defects import GEAR_DEFECTS
from oddwave.demo.gear_image import draw_part
from oddwave.demo.machine_audio import MACHINE_FAULTS, SAMPLE_RATE, make_machine_audio
from oddwave.detector import Detector
from oddwave.lab.metrics.inputs import label_runs
from oddwave.planted.normal_streams import normal_stream
from oddwave.planted.series_streams import plant_in_stream
from oddwave.tensors.series_scale import robust_scale

__all__ = ["IMAGE_KINDS", "SERIES_KINDS", "Outcome", "measured", "occurrence", "with_thing"]

_TRAIN, _TEST, _FAULTS = 2500, 2400, 16
_SPACING = 200  # points from one occurrence to the next
_NUM_GOOD, _NUM_LIKE, _NUM_OTHER = 40, 12, 6  # images; of other faults so many per kind
_NUM_HEALTHY, _NUM_LIKE_SOUNDS = 20, 6
_MOST_MARKS = 2
_CASES = 4

Stretch = Float[np.ndarray, " m"]


@dataclass(frozen=True)
class Outcome:
    """Of one mark: how many of its kind were flagged before and are silent now; other faults found before and now."""

    modality: str
    kind: str
    seed: int
    num_like: int
    num_silenced: int
    num_others: int
    num_found: int


SERIES_KINDS: dict[str, Callable[[Stretch], Stretch]] = {  # time from 0 to 1 -> deviation, 1 at its highest
    "bump": lambda t: np.sin(np.pi * t),
    "dip and recovery": lambda t: -np.exp(-4.0 * t) * (1.0 - np.exp(-40.0 * t)),
    "step up and back": lambda t: np.minimum(1.0, 12.0 * np.minimum(t, 1.0 - t)),
    "ringing": lambda t: np.exp(-3.0 * t) * np.sin(10.0 * np.pi * t),
}


IMAGE_KINDS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], tuple[float, float, float]]] = {
    "white disc": (lambda x, y: x**2 + y**2 < 81, (0.95, 0.95, 0.9)),
    "blue label": (lambda x, y: (abs(x) < 14) & (abs(y) < 8), (0.2, 0.3, 0.8)),
    "red thread": (lambda x, y: (abs(y + 6 * np.sin(x / 12)) < 1.8) & (abs(x) < 26), (0.85, 0.2, 0.15)),
}


def occurrence(kind: str, rng: np.random.Generator, length: int, height: float) -> Stretch:
    """Return one occurrence of a kind: up to a tenth longer or shorter, higher or lower."""
    size = max(4, round(length * rng.uniform(0.9, 1.1)))
    return height * rng.uniform(0.9, 1.1) * SERIES_KINDS[kind](np.linspace(0.0, 1.0, size))


def measured(modality: str, seed: int) -> Iterator[Outcome]:
    """Yield the outcome of each kind."""
    yield from {"series": _series, "image": _images, "audio": _audio}[modality](seed)


def _series(seed: int) -> Iterator[Outcome]:
    for number in range(_CASES):
        rng = np.random.default_rng([seed, number])
        whole = normal_stream(rng, _TRAIN + 2 * _TEST, 1 + number % 3)
        detector = Detector(preset("fast")).fit(whole[:_TRAIN])
        with_kind, with_faults = whole[_TRAIN : _TRAIN + _TEST].copy(), whole[_TRAIN + _TEST :]
        kind = list(SERIES_KINDS)[number % len(SERIES_KINDS)]
        length, height = int(rng.integers(16, 80)), 6.0 * robust_scale(whole[:, 0])[1]
        places = []
        for start in range(100, _TEST - _SPACING, _SPACING):
            own = occurrence(kind, rng, length, height)
            with_kind[start : start + len(own), 0] += own
            places.append((start, start + len(own) - 1))
        with_faults, mask = plant_in_stream(with_faults, rng, num=_FAULTS, strength=(1.0, 6.0))
        faults = list(zip(*label_runs(mask.any(1).astype(int)), strict=True))
        before = [_hit(detector, data, own) for data, own in ((with_kind, places), (with_faults, faults))]
        flagged = np.flatnonzero(before[0])
        if not len(flagged):
            continue
        _mark_event(detector, with_kind, places[flagged[0]])
        after = [_hit(detector, data, own) for data, own in ((with_kind, places), (with_faults, faults))]
        like = flagged[1:]
        yield Outcome("series", f"{kind}, {whole.shape[1]} channels", seed, len(like), int((~after[0][like]).sum()),
                      int(before[1].sum()), int((before[1] & after[1]).sum()))  # fmt: skip


def _hit(detector: Detector, data: Float[np.ndarray, "n C"], places: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return which stretches an event overlaps."""
    events = detector.score(data, explain="none").series[0].events
    return np.array([any(e.start <= last and e.end >= first for e in events) for first, last in places])


def _mark_event(detector: Detector, data: Float[np.ndarray, "n C"], place: tuple[int, int]) -> None:
    events = detector.score(data, explain="none").series[0].events
    number = next(n for n, e in enumerate(events, 1) if e.start <= place[1] and e.end >= place[0])
    detector.feedback(data, verdict="false-alarm", event=number)


def _images(seed: int) -> Iterator[Outcome]:
    rng = np.random.default_rng([seed, 1])
    good = [draw_part(rng).image for _ in range(_NUM_GOOD)]
    detector = Detector(preset("fast", "image")).fit(good)
    kinds = {kind: [with_thing(draw_part(rng).image, kind, rng) for _ in range(_NUM_LIKE)] for kind in IMAGE_KINDS}
    others = {kind: [draw_part(rng, defect=kind).image for _ in range(_NUM_OTHER)] for kind in GEAR_DEFECTS}
    yield from _each_kind(detector, "image", seed, kinds, others)


def with_thing(image: UInt8[np.ndarray, "H W 3"], kind: str, rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """Return an image with a harmless thing on it: turned, sized and lit a little otherwise each time, anywhere."""
    size = image.shape[0]
    (top, left), scale, turn = rng.uniform(0.2, 0.8, 2) * size, rng.uniform(0.9, 1.1), rng.uniform(-0.2, 0.2)
    y, x = np.mgrid[:size, :size] - np.array([top, left])[:, None, None]
    across = (x * np.cos(turn) + y * np.sin(turn)) / scale * 256 / size
    down = (y * np.cos(turn) - x * np.sin(turn)) / scale * 256 / size
    covers, colour = IMAGE_KINDS[kind]
    share = ndimage.gaussian_filter(covers(across, down).astype(float), 0.7)[..., None]
    lit = np.array(colour) * rng.uniform(0.95, 1.05) * 255
    made: np.ndarray = np.clip(image * (1 - share) + lit * share, 0, 255).astype(np.uint8)
    return made


def _audio(seed: int) -> Iterator[Outcome]:
    rng = np.random.default_rng([seed, 2])
    config = preset("fast", "audio").with_overrides([f"audio.sample_rate={SAMPLE_RATE}"])
    detector = Detector(config).fit(_recordings([make_machine_audio(rng).samples for _ in range(_NUM_HEALTHY)]))
    kinds = {
        kind: _recordings([make_machine_audio(rng, fault=kind).samples for _ in range(_NUM_LIKE_SOUNDS)])
        for kind in MACHINE_FAULTS
    }
    yield from _each_kind(detector, "audio", seed, kinds, kinds)


def _recordings(samples: Sequence[np.ndarray]) -> list[tuple[np.ndarray, int]]:
    return [(own, SAMPLE_RATE) for own in samples]


def _each_kind(
    detector: Detector, modality: str, seed: int, kinds: dict[str, list[Any]], others: dict[str, list[Any]]
) -> Iterator[Outcome]:
    """Mark the first flagged item of each kind in turn, and take the mark back."""
    flagged = {kind: [own for own, odd in zip(items, detector.predict(items) == 1, strict=True) if odd]
               for kind, items in {**others, **kinds}.items()}  # fmt: skip
    for kind in kinds:
        if len(flagged[kind]) < 2:
            continue
        first, *like = flagged[kind]
        marks: list[int] = []
        while len(marks) < _MOST_MARKS and detector.predict([first])[0] == 1:
            event = None if modality == "image" else 1
            marks.append(detector.feedback([first], verdict="false-alarm", event=event, item=None).id)
        silent = int((detector.predict(like) == 0).sum())
        rest = [own for other in others if other != kind for own in flagged[other]]
        found = int((detector.predict(rest) == 1).sum())
        yield Outcome(modality, kind, seed, len(like), silent, len(rest), found)
        for number in marks:
            detector.undo_feedback(number)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modalities", nargs="*", default=["series", "image", "audio"])
    parser.add_argument("--seeds", default="0")
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args(arguments)
    found: list[Outcome] = []
    for modality in given.modalities:
        for seed in map(int, given.seeds.split(",")):
            for own in measured(modality, seed):
                found.append(own)
                print(f"{own.modality:<7} {own.kind:<32} silenced {own.num_silenced:>3} of {own.num_like:>3}    "
                      f"others found {own.num_found:>3} of {own.num_others:>3}", flush=True)  # fmt: skip
                if given.out is not None:
                    given.out.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
        these = [each for each in found if each.modality == modality]
        like, others = sum(each.num_like for each in these), sum(each.num_others for each in these)
        print(f"{modality}: silenced {sum(each.num_silenced for each in these)} of {like}, other faults found "
              f"{sum(each.num_found for each in these)} of {others}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
