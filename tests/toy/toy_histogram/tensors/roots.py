"""Counts to a vector of length 1: Euclidean distances of roots are Hellinger distances."""

import numpy as np


def root_shares(counts):
    return np.sqrt(counts / counts.sum(-1, keepdims=True)).astype(np.float32)
