"""Histograms from lists of counts, or from a CSV file with one a line."""

from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import numpy as np

from oddwave.errors import DataError
from oddwave.sources.base import Candidate, ItemSet, nothing_read, read_entries

NUM_BINS = 16


@dataclass(frozen=True, eq=False)
class Histogram:
    id: str
    counts: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def digest(self):
        return blake2b(self.counts.tobytes()).hexdigest()

    @property
    def identity(self):
        return self.id, self.digest


def read_histograms(source, *, on_error="skip"):
    source = np.loadtxt(source, delimiter=",", ndmin=2) if isinstance(source, str) else source
    candidates = [Candidate(f"histogram_{n}", None, partial(_read, n, counts)) for n, counts in enumerate(source)]
    data = ItemSet(tuple(read_entries(candidates, on_error)))
    if not data.items:
        raise nothing_read(data.failures, "histogram")
    return data


def _read(number, counts):
    values = np.asarray(counts, float)
    if values.shape != (NUM_BINS,) or not values.sum() > 0:
        raise DataError(f"has shape {values.shape}: give {NUM_BINS} counts, not all of them 0")
    return Histogram(f"histogram_{number}", values)
