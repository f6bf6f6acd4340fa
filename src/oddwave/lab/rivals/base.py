"""The contract of every baseline: `fit`, `decision_function`, `save`, `load`.

Higher scores are more anomalous (scikit-learn's outlier detectors have the opposite sign). Public methods validate and
are final; a subclass is a dataclass whose fields are its settings. Which items it takes is decided one level below:
`series_base.py` for streams and panels, `image_base.py` for images. Read one of them next.

Saved form: `baseline.json` (name, settings, shape of an item) and `arrays.safetensors`, sealed by a sha256; no pickle.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, final

import numpy as np
from jaxtyping import Float

from oddwave.errors import CheckpointError, NotFittedError, ShapeError
from oddwave.files import write_json_atomic
from oddwave.folders import atomic_directory

__all__ = ["Baseline"]

AnyBaseline = TypeVar("AnyBaseline", bound="Baseline")  # typing.Self breaks the run-time shape checks of the tests
FORMAT_VERSION = 3
_FILES = ("arrays.safetensors", "baseline.json")


@dataclass(kw_only=True, eq=False)
class Baseline(ABC):
    """A scorer; its dataclass fields are its settings, its fitted state is the arrays that `fitted` names."""

    name: ClassVar[str]
    fitted: ClassVar[tuple[str, ...]] = ()  # `_reference` is named "reference"

    def __post_init__(self) -> None:
        self._item_shape: tuple[int, ...] | None = None  # (C,) of a stream, (C, L) of a panel, (C, S, S) of images

    @property
    def num_parameters(self) -> int:
        """How many weights the fitted baseline's network has; 0 without one."""
        return 0

    @property
    def is_seeded(self) -> bool:
        """Whether scores depend on a seed."""
        return hasattr(self, "seed")

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, by name."""
        return asdict(self)

    @final
    def fit(self: AnyBaseline, items: Any) -> AnyBaseline:
        """Learn what is normal.

        Raises: ShapeError for items of another shape or too few of them; DataError for values that have no meaning.
        """
        x = self._checked(items)
        self._item_shape = None
        self._learn(x)
        self._item_shape = self._shape_of(x)
        return self

    @final
    def decision_function(self, items: Any) -> Float[np.ndarray, " n"]:
        """Return a score per item (per point of a stream); higher is more anomalous.

        Raises: NotFittedError; ShapeError where items are not of the training's shape; DataError as `fit`.
        """
        return self._judge(self._expected(items))

    @final
    def save(self, directory: Path | str) -> Path:
        """Write the fitted baseline into a folder (made if absent) and return it; all of it appears, or nothing.

        Raises: NotFittedError; CheckpointError for a folder that cannot be written.
        """
        from safetensors.numpy import save

        if self._item_shape is None:
            raise NotFittedError(f"baseline '{self.name}' has no fitted state to save: call fit first")
        about: dict[str, Any] = {"format_version": FORMAT_VERSION, "name": self.name, "settings": asdict(self)}
        about["item_shape"] = list(self._item_shape)
        arrays = {name: np.ascontiguousarray(array) for name, array in self._arrays().items()}
        with atomic_directory(Path(directory), owns=_FILES) as folder:
            content = save(arrays)
            (folder / "arrays.safetensors").write_bytes(content)
            write_json_atomic(folder / "baseline.json", {**about, "sha256": _seal(about, content)})
        return Path(directory)

    @final
    @classmethod
    def load(cls: type[AnyBaseline], directory: Path | str) -> AnyBaseline:
        """Read what `save` wrote. Raises: CheckpointError for a missing, damaged or different baseline."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        folder = Path(directory)
        try:
            content, text = (_whole(folder / name) for name in _FILES)
            about = json.loads(text)
            if about["format_version"] != FORMAT_VERSION or about["name"] != cls.name:
                raise CheckpointError(
                    f"'{folder}' holds baseline '{about['name']}' in format {about['format_version']}, expected"
                    f" '{cls.name}' in format {FORMAT_VERSION}: load it with the class and version that saved it"
                )
            if about.pop("sha256") != _seal(about, content):
                raise ValueError("damaged: the files are not those that were saved")
            baseline = cls(**about["settings"])
            baseline._item_shape = tuple(int(size) for size in about["item_shape"])
            baseline._take(load(content))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
            line = " ".join(str(error).split())
            raise CheckpointError(
                f"'{folder}' is not a saved baseline '{cls.name}' ({line:.200}): save it again"
            ) from error
        return baseline

    def _expected(self, items: Any) -> Any:
        """Return the items checked, if they have the shape of those that were fitted."""
        if self._item_shape is None:
            raise NotFittedError(f"baseline '{self.name}' has no fitted state: call fit first")
        x = self._checked(items)
        if self._shape_of(x) != self._item_shape:
            given, fitted = (", ".join(map(str, shape)) for shape in (self._shape_of(x), self._item_shape))
            raise ShapeError(f"items have shape (n, {given}), fitted on (n, {fitted}): give the same")
        return x

    @abstractmethod
    def _checked(self, items: Any) -> Any:
        """Return the items in the form that `_learn` and `_judge` take, or refuse them."""

    @abstractmethod
    def _shape_of(self, x: Any) -> tuple[int, ...]:
        """Return the shape of one item."""

    @abstractmethod
    def _learn(self, x: Any) -> None:
        """Learn from checked items."""

    @abstractmethod
    def _judge(self, x: Any) -> Float[np.ndarray, " n"]:
        """Score checked items."""

    def _arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted arrays: those that `fitted` names."""
        return {name: getattr(self, f"_{name}") for name in self.fitted}

    def _take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take the arrays that `_arrays` returned; a KeyError says that one is missing."""
        for name in self.fitted:
            setattr(self, f"_{name}", arrays[name])


def _seal(about: Mapping[str, Any], content: bytes) -> str:
    """Return the sha256 of both files together, however the first is laid out."""
    facts = json.dumps(about, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(facts.encode() + content).hexdigest()


def _whole(path: Path) -> bytes:
    """Read an ordinary file, and nothing else: a pipe or a device would never end."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path.name} is no ordinary file")
    return path.read_bytes()
