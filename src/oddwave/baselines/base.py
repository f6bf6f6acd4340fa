"""The contract of every baseline: `fit`, `decision_function`, `fit_predict`, `save`, `load`.

Items are one float array: a stream (n, C), scored per point, or a panel (N, C, L), scored per instance. Higher scores
are more anomalous (scikit-learn's outlier detectors have the opposite sign). Public methods validate and are final; a
subclass is a dataclass whose fields are its settings and which writes `_fit` and `_score`, or, if it looks at windows,
`_fit_windows` and `_score_windows`. Values are standardised per channel with the training mean and standard deviation.

Saved form: `baseline.json` (name, settings, shapes) and `arrays.npz`; no pickle. Read `knn.py` for the strongest one.
"""

import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, final

import numpy as np
from jaxtyping import Float

from oddwave.errors import CheckpointError, DataError, NotFittedError, ShapeError
from oddwave.modalities.series_windows import sliding_windows, window_starts
from oddwave.scoring.aggregate import window_to_point

__all__ = ["BLOCK_VALUES", "Baseline", "WindowBaseline", "evenly_spaced", "row_blocks"]

AnyBaseline = TypeVar("AnyBaseline", bound="Baseline")  # typing.Self breaks the run-time shape checks of the tests
FORMAT_VERSION = 1
BLOCK_VALUES = 2**22  # values held by one block of windows or distances: 32 MiB in float64


@dataclass(kw_only=True, eq=False)
class Baseline(ABC):
    """A scorer of streams and panels; its dataclass fields are its settings, its fitted state is `_state()`."""

    name: ClassVar[str]

    def __post_init__(self) -> None:
        self._item_shape: tuple[int, ...] | None = None  # (C,) of a stream, (C, L) of a panel
        self._mean: np.ndarray = np.zeros(0)
        self._scale: np.ndarray = np.ones(0)

    @final
    def fit(self: AnyBaseline, items: Any) -> AnyBaseline:
        """Learn what is normal from a stream (n, C) or a panel (N, C, L).

        Raises: ShapeError for another shape or too few points; DataError for values that are not finite.
        """
        x = _checked(items)
        self._item_shape = None
        self._set_scale(x)
        self._fit(self._standardised(x))
        self._item_shape = x.shape[1:]
        return self

    @final
    def decision_function(self, items: Any) -> Float[np.ndarray, " n"]:
        """Return a score per point of a stream (n, C), or per instance of a panel (N, C, L); higher is more anomalous.

        Raises: NotFittedError; ShapeError where channels or lengths differ from the training's; DataError as `fit`.
        """
        if self._item_shape is None:
            raise NotFittedError(f"baseline '{self.name}' has no fitted state: call fit first")
        x = _checked(items)
        if x.shape[1:] != self._item_shape:
            raise ShapeError(f"items have shape (n, *{x.shape[1:]}), fitted on (n, *{self._item_shape}): give the same")
        return self._score(self._standardised(x))

    @final
    def fit_predict(self, items: Any) -> Float[np.ndarray, " n"]:
        """Fit on the items and return the scores of the same items, without labels (the unsupervised protocol).

        Scores, not 0/1 labels. A baseline that would recognise its own items (nearest neighbours) leaves each item's
        own surroundings out. Raises: as `fit`.
        """
        self.fit(items)
        return self._score_training(self._standardised(_checked(items)))

    @final
    def save(self, directory: Path | str) -> Path:
        """Write the fitted baseline into a folder (made if absent) and return it; a file appears whole or not at all.

        Raises: NotFittedError; OSError of a folder that cannot be written.
        """
        if self._item_shape is None:
            raise NotFittedError(f"baseline '{self.name}' has no fitted state to save: call fit first")
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        about = {"format_version": FORMAT_VERSION, "name": self.name, "settings": asdict(self)}
        arrays = {"item_shape": np.array(self._item_shape), "mean": self._mean, "scale": self._scale, **self._state()}
        with (folder / "arrays.npz.part").open("wb") as file:
            write_arrays: Callable[..., None] = np.savez  # its stub takes any keyword for a flag
            write_arrays(file, **arrays)
        (folder / "baseline.json.part").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        for name in ("arrays.npz", "baseline.json"):
            (folder / f"{name}.part").replace(folder / name)
        return folder

    @final
    @classmethod
    def load(cls: type[AnyBaseline], directory: Path | str) -> AnyBaseline:
        """Read what `save` wrote. Raises: CheckpointError for a missing, damaged or different baseline."""
        folder = Path(directory)
        try:
            about = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
            with (folder / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = dict(stored)
            if about["format_version"] != FORMAT_VERSION or about["name"] != cls.name:
                raise CheckpointError(
                    f"'{folder}' holds baseline '{about['name']}' in format {about['format_version']}, expected"
                    f" '{cls.name}' in format {FORMAT_VERSION}: load it with the class and version that saved it"
                )
            baseline = cls(**about["settings"])
            baseline._item_shape = tuple(int(size) for size in arrays.pop("item_shape"))
            baseline._mean, baseline._scale = arrays.pop("mean"), arrays.pop("scale")
            baseline._restore(arrays)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointError(
                f"'{folder}' is not a saved baseline '{cls.name}' ({error}): save it again"
            ) from error
        return baseline

    @abstractmethod
    def _fit(self, x: Float[np.ndarray, "..."]) -> None:
        """Learn from standardised items."""

    @abstractmethod
    def _score(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        """Score standardised items."""

    def _score_training(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        """Score the very items that were fitted."""
        return self._score(x)

    @abstractmethod
    def _state(self) -> dict[str, np.ndarray]:
        """Return the fitted arrays."""

    @abstractmethod
    def _restore(self, state: dict[str, np.ndarray]) -> None:
        """Take the arrays that `_state` returned."""

    def _set_scale(self, x: Float[np.ndarray, "..."]) -> None:
        axes = (0,) if x.ndim == 2 else (0, 2)
        self._mean, deviation = x.mean(axis=axes), x.std(axis=axes)
        self._scale = np.where(deviation <= 1e-12 * np.abs(self._mean), 1.0, deviation)  # constant channels keep unit 1

    def _standardised(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        column = (slice(None),) + (None,) * (x.ndim - 2)
        scaled: np.ndarray = (x - self._mean[column]) / self._scale[column]
        return scaled


@dataclass(kw_only=True, eq=False)
class WindowBaseline(Baseline):
    """A baseline that looks at windows: of `window_size` points every `stride` in a stream, whole instances in a panel.

    A point's score is the mean over the windows that cover it. `window_size` and `stride` do not apply to panels.
    """

    window_size: int = 64
    stride: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        window_starts(self.window_size, self.window_size, self.stride)  # refuses settings that cannot work

    @final
    def _fit(self, x: Float[np.ndarray, "..."]) -> None:
        self._fit_windows(self._windows(x))

    @final
    def _score(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        return self._to_items(self._score_windows(self._windows(x)), x)

    def _windows(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "N C L"]:
        return x if x.ndim == 3 else sliding_windows(x, self.window_size, self.stride)[0]

    def _to_items(self, scores: Float[np.ndarray, " N"], x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " n"]:
        if x.ndim == 3:
            return scores
        return window_to_point(scores, window_starts(len(x), self.window_size, self.stride), self.window_size, len(x))

    @abstractmethod
    def _fit_windows(self, windows: Float[np.ndarray, "N C L"]) -> None:
        """Learn from standardised windows."""

    @abstractmethod
    def _score_windows(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, " N"]:
        """Score standardised windows."""


def evenly_spaced(n: int, at_most: int) -> np.ndarray:
    """Return `at_most` of the indices 0..n-1, evenly spread, first and last among them (all of them if n is less)."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64))


def row_blocks(windows: Float[np.ndarray, "N C L"], row_values: int) -> Iterator[tuple[int, Float[np.ndarray, "m D"]]]:
    """Yield (first index, windows flattened to (m, C * L)) so that m * row_values stays within BLOCK_VALUES."""
    size = max(1, BLOCK_VALUES // max(row_values, windows[0].size))
    for first in range(0, len(windows), size):
        block = windows[first : first + size]
        yield first, block.reshape(len(block), -1)


def _checked(items: Any) -> Float[np.ndarray, "..."]:
    x = np.asarray(items)
    if x.dtype.kind not in "fiu":
        raise DataError(f"items have dtype {x.dtype}: give an array of numbers")
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise ShapeError(
            f"items have shape {x.shape}: expected a stream (n, C) or a panel (N, C, L), x[:, None] for (n,)"
        )
    x = x.astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(x)))
    if bad:
        raise DataError(f"items have {bad} of {x.size} values NaN or infinite: fill or remove them first")
    return x
