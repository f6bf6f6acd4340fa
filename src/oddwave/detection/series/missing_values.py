"""What stands in for missing values: parts of normal windows, so that what was never measured never looks odd.

Where a window lacks values, the remembered window that is nearest in what *was* measured lends its own at the same
places. They follow on from the measured ones: the difference between the two windows at the edge of a gap is carried
into it as far as it is more than noise (it fades as a first-order autoregression does). What a denoiser or a memory
then sees in the gap is as normal as can be, and agrees with the channels beside it. Windows that lack nothing pass
through untouched.

Legend: N windows, M remembered ones, C channels, L points per window. Read `terms.py` next.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.detection.series.streams import WindowSet

__all__ = ["Bank"]

_SIZE = 512
_BLOCK = 512
_MIN_PAIRS = 4  # of neighbours, to tell a difference that lasts from noise
_MIN_WHOLE = 64  # windows without any gap: with fewer, those with some are lent from too


@dataclass(frozen=True, eq=False)
class Bank:
    """Normal windows evenly spread over what was learnt, and where each came from."""

    windows: Float[np.ndarray, "M C L"]
    groups: Int[np.ndarray, " M"]
    starts: Int[np.ndarray, " M"]

    @classmethod
    def fit(cls, cut: WindowSet) -> "Bank":
        """Keep at most 512 windows, those without gaps first."""
        whole = np.flatnonzero(cut.all_known.all((1, 2)))
        chosen = whole if len(whole) >= min(_MIN_WHOLE, len(cut)) else np.arange(len(cut))
        kept = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(_SIZE, len(chosen))).round().astype(int))]
        return cls(cut.windows[kept], cut.groups[kept], cut.starts[kept])

    def joined(self, cut: WindowSet) -> "Bank":
        """Return a bank that keeps of these windows as well."""
        more = Bank.fit(cut)
        both = [np.concatenate([getattr(self, name), getattr(more, name)]) for name in ("windows", "groups", "starts")]
        nothing = np.zeros(len(both[0]), np.int64)
        return Bank.fit(WindowSet(both[0], nothing, nothing, both[1], both[2]))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a saved bank consists of."""
        return {
            "windows": self.windows,
            "groups": self.groups.astype(np.int64),
            "starts": self.starts.astype(np.int64),
        }

    def completed(self, cut: WindowSet, *, self_join: bool, reach: int | None = None) -> WindowSet:
        """Return the windows with every missing value lent; `self_join` passes over remembered ones that overlap.

        Those overlap that begin less than `reach` points apart: by default, as many as a window has.
        """
        if cut.known is None:
            return cut
        lacking = np.flatnonzero(~cut.known.all((1, 2)))
        windows = cut.windows.copy()
        for first in range(0, len(lacking), _BLOCK):
            index = lacking[first : first + _BLOCK]
            own, known = cut.windows[index], cut.known[index]
            distance = self._distances(own, known)
            if self_join:
                near = np.abs(cut.starts[index, None] - self.starts) < (reach or own.shape[2])
                distance[near & (cut.groups[index, None] == self.groups)] = np.inf
            nearest = distance.argmin(1)
            found = np.isfinite(distance[np.arange(len(index)), nearest])
            lent = self.windows[nearest]
            filled = lent + _carried(own - lent, known)
            windows[index] = np.where(known | ~found[:, None, None], own, filled)
        return cut.with_windows(windows)

    def _distances(self, own: Float[np.ndarray, "N C L"], known: Bool[np.ndarray, "N C L"]) -> Float[np.ndarray, "N M"]:
        """Return the squared distances over what is known, in double precision.

        Normal windows of different periods are nearly tied: in single precision, which of them lends would depend on
        how many windows are looked at together.
        """
        mask = known.reshape(len(own), -1).astype(float)
        lent = self.windows.reshape(len(self.windows), -1).astype(float)
        seen = np.where(mask > 0.0, own.reshape(len(own), -1), 0.0)
        squares = np.square(seen).sum(1)[:, None] + mask @ np.square(lent).T
        return cast(np.ndarray, squares - 2.0 * seen @ lent.T)


def _carried(difference: Float[np.ndarray, "N C L"], known: Bool[np.ndarray, "N C L"]) -> Float[np.ndarray, "N C L"]:
    """Carry differences from both edges of each gap into it by a straight line, fading as their correlation does."""
    length = known.shape[2]
    points = np.broadcast_to(np.arange(length), known.shape)
    left = np.maximum.accumulate(np.where(known, points, -1), axis=2)
    right = np.minimum.accumulate(np.where(known, points, length)[..., ::-1], axis=2)[..., ::-1]
    has_left, has_right = left >= 0, right < length
    to_left = np.where(has_left, points - left, np.inf)
    to_right = np.where(has_right, right - points, np.inf)
    at_left = np.take_along_axis(difference, np.maximum(left, 0), axis=2)
    at_right = np.take_along_axis(difference, np.minimum(right, length - 1), axis=2)
    span = np.where(has_left & has_right, to_left + to_right, 1.0)
    weight = np.where(has_left & has_right, np.where(has_right, to_right, 0.0) / np.maximum(span, 1.0), has_left)
    line = weight * at_left + np.where(has_right, 1.0 - weight, 0.0) * at_right
    nearest = np.minimum(to_left, to_right)
    fade = _correlation(difference, known)[..., None] ** np.where(np.isfinite(nearest), nearest, 1.0)
    carried: np.ndarray = np.where(has_left | has_right, line * fade, 0.0).astype(np.float32)
    return carried


def _correlation(difference: Float[np.ndarray, "N C L"], known: Bool[np.ndarray, "N C L"]) -> Float[np.ndarray, "N C"]:
    """Give each channel's correlation of differences one point apart, 0 where it is negative or too little is known."""
    pairs = known[..., 1:] & known[..., :-1]
    first, second = (np.where(pairs, part, 0.0) for part in (difference[..., :-1], difference[..., 1:]))
    size = np.sqrt(np.square(first).sum(-1) * np.square(second).sum(-1))
    enough = (pairs.sum(-1) >= _MIN_PAIRS) & (size > 0)
    correlation: np.ndarray = np.where(enough, (first * second).sum(-1) / np.where(enough, size, 1.0), 0.0)
    return cast(np.ndarray, np.clip(correlation, 0.0, 1.0))
