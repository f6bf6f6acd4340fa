"""Sound as a map: the level in dB of each frequency row in each time column of a clip, and that map scaled to [-1, 1].

    L = 10 log10(P + 10^(floor_db / 10)),    x0 = clip((L - mean_row) / (reach * deviation_row), -1, 1)

P is the mean power |W_j|^2 of row j within a column (`WaveletFrame.power_map`), so that the rows of a column add up to
the mean square of its samples: a full-scale sine has -3 dB. Floor, means and deviations are settled once, on training
normals. Neither depends on the clip that is mapped, let alone on its batch: a floor under each clip's own peak would
raise the floor of everything else in a clip with one loud click, and would hide that a machine has become louder.

Legend: B clips, n samples of a clip, R rows (low-pass, bands, high-pass), T columns, F bins of a short-time spectrum.
Read `audio_back.py` next, which turns a changed map into sound; `wavelets/frame.py` is the transform.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.tensors.audio_settings import SMALLEST_DEVIATION_DB, AudioMapSettings, AudioTransform, known_settings
from oddwave.wavelets.frame import WaveletFrame
from oddwave.wavelets.frame_filters import centre_frequencies

__all__ = ["SMALLEST_DEVIATION_DB", "AudioMap", "AudioTransform", "RowScale"]

FLOOR_UNDER_PEAK_DB = 80.0


@dataclass(frozen=True)
class AudioMap(AudioMapSettings):
    """The map of clips with `clip_samples` samples at `sample_rate` hertz: `num_rows` rows by `columns` columns.

    `transform="cwt"`: wavelet bands between `f_min` and `f_max` (default 0.47 `sample_rate`), spaced as `spacing` says,
    and a residual row below and above them; exactly invertible (`audio_back.py`). `width` is the sharpness of a band
    (see `WaveletFrame`). `transform="stft-mel"`: as many triangular mel bands over a short-time Fourier transform, the
    usual log-mel image, as a control: it has no exact inverse, and no way back to sound here.
    Raises: ConfigError for settings that cannot work together.
    """

    def __post_init__(self) -> None:
        """Refuse settings that cannot work; the frame checks the rest."""
        if self.transform not in get_args(AudioTransform):
            known = ", ".join(map(repr, get_args(AudioTransform)))
            raise ConfigError(f"transform={self.transform!r} is not known: use one of {known}")
        if self.num_rows < 4:
            raise ConfigError(f"num_rows={self.num_rows}: give at least 4, two bands and two residual rows")
        if self.transform == "cwt":
            _ = self.frame
        elif self.columns < 1 or self.clip_samples % self.columns or self.clip_samples // self.columns < 16:
            raise ConfigError(
                f"transform='stft-mel' needs columns that divide the clip into hops of 16 samples or more, "
                f"columns={self.columns} does not divide clip_samples={self.clip_samples} so: change either"
            )
        elif not 0 < self.f_min < self._top_hz <= self.sample_rate / 2:
            raise ConfigError(f"f_min={self.f_min}, f_max={self._top_hz} must rise from above 0 to at most half of "
                              f"sample_rate={self.sample_rate}")  # fmt: skip

    @cached_property
    def frame(self) -> WaveletFrame:
        """The wavelet frame of one clip. Raises: ConfigError for `transform="stft-mel"`, which has none."""
        if self.transform != "cwt":
            raise ConfigError(f"transform={self.transform!r} has no exact inverse: use transform='cwt' to get back to "
                              "sound")  # fmt: skip
        if self.wavelet == "mexican_hat":
            raise ConfigError("wavelet='mexican_hat' has no decimated form: use 'morse' or 'morlet' for sound")
        return WaveletFrame(
            self.clip_samples,
            float(self.sample_rate),
            f_min=self.f_min,
            f_max=self.f_max,
            num_bands=self.num_rows - 2,
            spacing=self.spacing,
            wavelet=self.wavelet,
            width=self.width,
            columns=self.columns,
        )

    @property
    def frequencies_hz(self) -> Float[np.ndarray, " R"]:
        """Centre of each row in hertz, rising; 0 and half the sample rate for the residual rows of the wavelet map."""
        return self.frame.frequencies_hz if self.transform == "cwt" else self._mel_edges_hz[1:-1]

    @property
    def clip_s(self) -> float:
        """Length of a clip in seconds."""
        return self.clip_samples / self.sample_rate

    @property
    def column_s(self) -> float:
        """Length of a column in seconds."""
        return self.clip_s / self.columns

    def power(self, clips: Float[Tensor, "B n"]) -> Float[Tensor, "B R T"]:
        """Return the mean power of each row in each column; clip by clip, so that a batch changes no bit of a clip.

        Raises: ShapeError when clips do not have `clip_samples` samples, DataError when they are no float tensor.
        """
        if clips.ndim != 2 or clips.shape[-1] != self.clip_samples:
            raise ShapeError(
                f"clips have shape {tuple(clips.shape)}, expected (clips, {self.clip_samples}): cut sound into clips "
                "of clip_samples samples, or build an AudioMap of this length"
            )
        if clips.dtype not in (torch.float32, torch.float64):
            raise DataError(f"clips are {clips.dtype}, float32 or float64 is needed: convert them with .float()")
        if not len(clips):
            return clips.new_zeros((0, self.num_rows, self.columns))
        one = self._mel_power if self.transform == "stft-mel" else self._frame_power
        return torch.stack([one(clip) for clip in clips])

    def levels_db(self, clips: Float[Tensor, "B n"]) -> Float[Tensor, "B R T"]:
        """Return the levels 10 log10(P + floor) in dB relative to full scale.

        Raises: as `power`.
        """
        return 10 * torch.log10(self.power(clips) + 10 ** (self.floor_db / 10))

    def with_floor_of(self, batches: Iterable[Float[Tensor, "_ n"]]) -> "AudioMap":
        """Return this map with its floor 80 dB under the median of the clips' peaks; never changed after fitting.

        The median, because one loud clip must not push all others into the floor.
        Raises: DataError when all clips are silent or there are none.
        """
        peaks = [power.amax((1, 2)) for batch in batches if len(power := self.power(batch))]
        loud = torch.cat(peaks) if peaks else torch.zeros(0)
        loud = loud[loud > 0]
        if not len(loud):
            raise DataError("every clip is silent (or there is none): give recordings with sound to fit on")
        return replace(self, floor_db=10 * math.log10(float(loud.median())) - FLOOR_UNDER_PEAK_DB)

    def _frame_power(self, clip: Float[Tensor, " n"]) -> Float[Tensor, "R T"]:
        return self.frame.power_map(self.frame.analyse(clip))

    def _mel_power(self, clip: Float[Tensor, " n"]) -> Float[Tensor, "R T"]:
        hop = self.clip_samples // self.columns
        window = torch.hann_window(4 * hop, dtype=clip.dtype, device=clip.device)
        spectrum = torch.stft(clip, 8 * hop, hop, 4 * hop, window, pad_mode="reflect", return_complex=True)
        power = spectrum.abs().square() * (2 / (8 * hop * float(window.square().sum())))
        rows = torch.from_numpy(self._mel_bank).to(power) @ power
        return (rows[:, 1:] + rows[:, :-1]) / 2  # frames stand on the columns' edges

    @property
    def _top_hz(self) -> float:
        return 0.47 * self.sample_rate if self.f_max is None else self.f_max

    @cached_property
    def _mel_edges_hz(self) -> Float[np.ndarray, " _"]:
        return centre_frequencies("mel", self.num_rows + 2, self.f_min, self._top_hz)

    @cached_property
    def _mel_bank(self) -> Float[np.ndarray, "R F"]:
        """Triangles that add up to 1 between the outermost centres; one that falls between two bins takes the nearer.

        The window is padded to twice its length, which keeps such cases to the lowest rows.
        """
        bins = np.fft.rfftfreq(8 * (self.clip_samples // self.columns), 1 / self.sample_rate)
        low, centre, high = (self._mel_edges_hz[i : len(self._mel_edges_hz) - 2 + i, None] for i in range(3))
        bank = np.clip(np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)), 0.0, None)
        for row in np.flatnonzero(bank.sum(1) == 0):
            bank[row, np.abs(bins - centre[row]).argmin()] = 1.0
        return np.asarray(bank)


@dataclass(frozen=True, eq=False)
class RowScale:
    """Mean and deviation of each row's level in training normals; `reach` deviations become 1.

    The rows are standardised by what is usual at this frequency, never by the clip itself, so a clip that is louder or
    duller than usual stays so.
    """

    mean_db: Float[np.ndarray, " R"]
    deviation_db: Float[np.ndarray, " R"]
    reach: float = 5.0

    @classmethod
    def fit(cls, levels: Float[Tensor, "B R T"] | Iterable[Float[Tensor, "_ R T"]], reach: float = 5.0) -> "RowScale":
        """Measure the rows of all maps; an iterable of batches is read once, and no batch is kept.

        Raises: DataError for no maps at all or levels that are not finite, ConfigError for a `reach` not above 0.
        """
        if not reach > 0:
            raise ConfigError(f"reach={reach} must be above 0 deviations")
        count, mean, spread = 0, np.zeros(1), np.zeros(1)
        for batch in [levels] if isinstance(levels, Tensor) else levels:
            if not len(batch):
                continue
            rows = batch.double().movedim(1, 0).flatten(1)
            if not bool(torch.isfinite(rows).all()):
                raise DataError("levels hold values that are not finite: leave such clips out")
            size, own = rows.shape[1], rows.mean(1)
            away = own.numpy(force=True) - mean
            spread = spread + (rows - own[:, None]).square().sum(1).numpy(force=True)
            spread = spread + away**2 * (count * size / (count + size))  # two batches' spreads about their joint mean
            mean = mean + away * (size / (count + size))
            count += size
        if not count:
            raise DataError("there are no levels to measure: give one map or more")
        return cls(mean, np.maximum(np.sqrt(spread / count), SMALLEST_DEVIATION_DB), reach)

    def scale(self, levels_db: Float[Tensor, "B R T"]) -> Float[Tensor, "B 1 R T"]:
        """Return x0: standardised levels over `reach`, clipped to [-1, 1]. Raises: ShapeError for other rows."""
        mean, step = self._tables(levels_db)
        return ((levels_db - mean) / step).clamp(-1.0, 1.0).unsqueeze(1)

    def inverse(
        self, x0: Float[Tensor, "B 1 R T"], levels_db: Float[Tensor, "B R T"] | None = None
    ) -> Float[Tensor, "B R T"]:
        """Return the levels in dB of x0. Where x0 is still what `scale(levels_db)` gives, `levels_db` comes back.

        Pass the levels of the input to keep what clipping would cost: a map that was not changed then stays as it was.
        Raises: ShapeError for other rows.
        """
        mean, step = self._tables(x0[:, 0])
        plain = x0[:, 0] * step + mean
        return (
            plain
            if levels_db is None
            else torch.where(x0 == self.scale(levels_db), levels_db[:, None], plain[:, None])[:, 0]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain values, for JSON."""
        return {"mean_db": self.mean_db.tolist(), "deviation_db": self.deviation_db.tolist(), "reach": self.reach}

    @classmethod
    def from_dict(cls, statistics: Mapping[str, Any]) -> "RowScale":
        """Undo `to_dict`. Raises: ConfigError for unknown entries."""
        known = known_settings(cls, statistics)
        return cls(np.array(known["mean_db"], float), np.array(known["deviation_db"], float), float(known["reach"]))

    def _tables(self, like: Float[Tensor, "B R T"]) -> tuple[Float[Tensor, "R 1"], Float[Tensor, "R 1"]]:
        if like.ndim != 3 or like.shape[1] != len(self.mean_db):
            raise ShapeError(f"the maps have shape {tuple(like.shape)}, expected (maps, {len(self.mean_db)} rows, "
                             "columns): use the AudioMap that the scale was fitted with")  # fmt: skip
        mean, step = (torch.from_numpy(v[:, None]).to(like) for v in (self.mean_db, self.deviation_db * self.reach))
        return mean, step
