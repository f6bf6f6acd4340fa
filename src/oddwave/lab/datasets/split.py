"""What a data set of files is split into: normal ones to train on, and test files with labels.

Legend: M test files, k training and m test files kept. Labels: 0 normal, 1 anomalous.
Read `images.py` and `recordings.py` next: one modality each.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Int

__all__ = ["Split"]


@dataclass(frozen=True, eq=False)
class Split:
    """One category: normal files to train on, test files with their labels and kinds, such as their classes."""

    name: str
    train_paths: tuple[Path, ...]
    test_paths: tuple[Path, ...]
    gt_label: Int[np.ndarray, " M"]
    kinds: tuple[str, ...]

    def only(self, train: Int[np.ndarray, " k"], test: Int[np.ndarray, " m"]) -> Self:
        """Return the split of these training and these test files alone, by their positions."""
        return replace(
            self,
            train_paths=tuple(self.train_paths[i] for i in train),
            test_paths=tuple(self.test_paths[i] for i in test),
            gt_label=self.gt_label[test],
            kinds=tuple(self.kinds[i] for i in test),
        )
