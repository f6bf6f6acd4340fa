"""Cross-fitting: all normals are learnt from, and each is judged by what would be known without it.

Normals are dealt out to folds. What is found by looking things up (memories, Gaussians, density ratios) is kept once of
all, which is the model, and once without each fold, for as long as it is fitted; a network on features, whose residuals
are judged by such Gaussians, is trained once on all of them. One in pixel space is judged by its bare error, which is
smaller where it was trained: it is trained without the first fold, and that one alone calibrates. Scores of a fold by
what is known without it calibrate: as many as there are normals, where a share that is held back gives as many as the
share. A normal item to come is judged by a little more than they were, so they err, if at all, on the safe side.

Source: Vovk 2015, Cross-conformal predictors; Barber et al. 2021, Predictive inference with the jackknife+.
Legend: N normals, K folds. Read `audio/model.py` for its use.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

__all__ = ["NUM_FOLDS", "Chosen", "Folds", "LeftOut"]

NUM_FOLDS = 5

Chosen = Bool[Tensor, " N"] | slice


@dataclass(frozen=True, eq=False)
class Folds:
    """The fold that each normal is judged in, and what is not learnt from there: the fold, and all that is like it."""

    of: Int[np.ndarray, " N"]
    apart: Bool[np.ndarray, "K N"]

    @property
    def num(self) -> int:
        """The number of folds."""
        return len(self.apart)

    def members(self) -> Iterator[tuple[int, Int[np.ndarray, " n"]]]:
        """Yield each fold with its members."""
        for fold in range(self.num):
            if len(found := np.flatnonzero(self.of == fold)):
                yield fold, found


class LeftOut:
    """What is known without each fold, as modules that take the place of `owner.distances`."""

    def __init__(self, owner: nn.Module, folds: Folds) -> None:
        self.owner, self.folds = owner, folds
        self._known: list[dict[str, nn.Module]] = [{} for _ in range(folds.num)]

    def learn(self, fitted: Callable[[Bool[Tensor, " N"]], Mapping[str, nn.Module]]) -> None:
        """Take over what `fitted` makes of the normals that it is told to use: of all but each fold."""
        for known, apart in zip(self._known, torch.from_numpy(self.folds.apart), strict=True):
            known.update(fitted(~apart))

    @property
    def unseen(self) -> Bool[Tensor, " N"]:
        """The normals that may be trained on where a network must not have seen the first fold."""
        return torch.from_numpy(~self.folds.apart[0])

    @contextmanager
    def without(self, fold: int) -> Iterator[None]:
        """Let the owner know nothing of a fold; what was learnt of no normal, such as a background, stays."""
        whole = self.owner.distances
        assert isinstance(whole, nn.ModuleDict)
        device = next((buffer.device for buffer in whole.buffers()), torch.device("cpu"))
        known = {name: module.to(device) for name, module in self._known[fold].items()}
        self.owner.distances = nn.ModuleDict({**dict(whole.items()), **known})
        try:
            yield
        finally:
            self.owner.distances = whole
