"""Back from a map to sound: what a clip would have sounded like, were its levels the normal ones.

The input's coefficients keep their phases and are raised or lowered to the normal levels:

    g = sqrt(P_normal / P_input), clamped to [0, 40] and interpolated to each block's intervals,    W_normal = g W,

after lines and instants that are too loud were taken out (`audio_layers.py`). The odd part of a clip is the input minus
its normal sound. What the map leaves unchanged comes back as it was, to rounding. A gain cannot put back sound that is
missing: where there is nothing to raise (a drop-out), the normal sound stays silent, whatever the map says.

Legend: B clips, n samples, R rows, T columns, M intervals of a block. Read `wavelets/frame.py` next.
Source: Balazs et al., Theory, implementation and applications of nonstationary Gabor frames, JCAM 236(6), 2011.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.tensors.audio_layers import EXCESS, excess_layers, lerp_columns
from oddwave.tensors.audio_map import AudioMap

__all__ = ["LARGEST_GAIN", "OverlapAdd", "normal_audio"]

LARGEST_GAIN = 40.0


@torch.inference_mode()
def normal_audio(
    audio_map: AudioMap,
    samples: Float[Tensor, "B n"],
    levels_db: Float[Tensor, "B R T"],
    normal_levels_db: Float[Tensor, "B R T"],
    *,
    layers: bool = True,
) -> Float[Tensor, "B n"]:
    """Return clips whose levels are moved from `levels_db`, their own, to `normal_levels_db`.

    Only the difference of the two counts, so a cell where they are equal keeps its power, and clips where they are
    equal everywhere come back to rounding. Leave cells equal that are not odd: what a model merely redraws differently
    would be carried over as well. `layers=False` leaves everything to the gains (faster, and less of the odd part is
    parted from its background). Subtract the result from `samples` to hear the odd part.
    Raises: ConfigError for a map without inverse; ShapeError for sizes that do not go together.
    """
    expected = (len(samples), audio_map.num_rows, audio_map.columns)
    for name, levels in (("levels_db", levels_db), ("normal_levels_db", normal_levels_db)):
        if tuple(levels.shape) != expected:
            raise ShapeError(f"{name} has shape {tuple(levels.shape)}, expected {expected}, a map for each clip: pass "
                             "what levels_db of the same AudioMap returned")  # fmt: skip
    _ = audio_map.frame  # refuses a map without inverse
    power = audio_map.power(samples)
    wanted = power * 10 ** ((normal_levels_db - levels_db).to(power.dtype) / 10)
    made = [_normal_clip(audio_map, *clip, layers) for clip in zip(samples, power, wanted, strict=True)]
    return torch.stack(made) if made else samples.clone()


def _normal_clip(
    audio_map: AudioMap, x: Float[Tensor, " n"], power: Float[Tensor, "R T"], wanted: Float[Tensor, "R T"], layers: bool
) -> Float[Tensor, " n"]:
    if torch.equal(power, wanted):
        return x.clone()
    if layers and bool((power > EXCESS[0] * wanted).any()):
        x = x - excess_layers(audio_map, x, wanted)
    frame = audio_map.frame
    blocks = frame.analyse(x)
    gains = _gains(frame.power_map(blocks), wanted)
    changed = []
    for rows, block in zip(frame.block_rows, blocks, strict=True):
        at = torch.linspace(0.0, 1.0, block.shape[-1], dtype=torch.float64, device=x.device)
        changed.append(block * lerp_columns(gains[list(rows)], at))
    return frame.synthesise(tuple(changed))


def _gains(power: Float[Tensor, "R T"], wanted: Float[Tensor, "R T"]) -> Float[Tensor, "R T"]:
    """Return sqrt(wanted / power) up to the largest gain; 1 where there is no power to change."""
    tiny = torch.finfo(power.dtype).tiny
    return torch.where(power > tiny, (wanted / power.clamp(min=tiny)).sqrt().clamp(0.0, LARGEST_GAIN), 1.0)


class OverlapAdd:
    """Joins overlapping clips into one long recording with smooth cross-fades, holding no more than they overlap.

    Clips come in the order of their starts. `fade` is the number of samples over which a clip comes and goes (default:
    a quarter of the clip); weights are divided by their sum, so any overlap, and any last clip moved up to fit, is
    right: clips that are cut from one recording give that recording. Keep `fade` at the usual overlap or below.

        join = OverlapAdd(clip_samples)
        for start, clip in clips:
            out.write(join.add(start, clip))
        out.write(join.finish())
    """

    def __init__(self, clip_samples: int, fade: int | None = None) -> None:
        fade = clip_samples // 4 if fade is None else fade
        if clip_samples < 1 or not 0 <= 2 * fade <= clip_samples:
            raise ConfigError(f"clip_samples={clip_samples}, fade={fade}: a clip must hold its two fades")
        ramp = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / max(fade, 1)) ** 2
        self._weights = np.concatenate((ramp, np.ones(clip_samples - 2 * fade), ramp[::-1]))
        self._sum, self._weight, self._start = np.zeros(0), np.zeros(0), 0

    def add(self, start: int, samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, " done"]:
        """Lay a clip at sample `start` and return the samples before it, which no later clip can change.

        Raises: ShapeError for another length; DataError for a clip that begins before the last one or leaves a gap.
        """
        if samples.shape != self._weights.shape:
            raise ShapeError(f"the clip has shape {samples.shape}, expected ({len(self._weights)},)")
        if not self._start <= start <= self._start + len(self._sum):
            raise DataError(f"the clip starts at sample {start}, expected {self._start} to "
                            f"{self._start + len(self._sum)}: give clips in order and without gaps")  # fmt: skip
        done = self._take(start - self._start)
        missing = len(samples) - len(self._sum)
        self._sum, self._weight = (np.pad(kept, (0, max(0, missing))) for kept in (self._sum, self._weight))
        self._sum[: len(samples)] += self._weights * samples
        self._weight[: len(samples)] += self._weights
        return done

    def finish(self) -> Float[np.ndarray, " rest"]:
        """Return what is left after the last clip."""
        return self._take(len(self._sum))

    def _take(self, count: int) -> Float[np.ndarray, " count"]:
        done = (self._sum[:count] / self._weight[:count]).astype(np.float32)
        self._sum, self._weight, self._start = self._sum[count:], self._weight[count:], self._start + count
        return done
