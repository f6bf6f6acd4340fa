"""The scorer's modules against the formulas they stand for, and the graph that they make."""

import numpy as np
import pytest
import torch

from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.scoring.scorer import NearestDistance, Scorer

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(300, 12)).astype(np.float32)
GROUPS, STARTS = np.repeat([0, 1, 2], 100), np.tile(np.arange(100), 3)
QUERIES = RNG.normal(size=(70, 12)).astype(np.float32)


@pytest.mark.parametrize("num_neighbors", [1, 5, 400])
@pytest.mark.parametrize("local_exclusion", [0, 8])
def test_nearest_distances_are_those_of_the_memory(num_neighbors, local_exclusion):
    settings = {"size": 200, "num_neighbors": num_neighbors, "local_exclusion": local_exclusion, "standardise": True}
    memory = Memory.fit(VECTORS, GROUPS, STARTS, **settings)
    module = NearestDistance(memory)
    np.testing.assert_allclose(module(torch.from_numpy(QUERIES)), memory.distance(QUERIES), rtol=1e-5)
    own = {"groups": GROUPS[:70], "starts": STARTS[:70]}
    found = module(torch.from_numpy(QUERIES), *(torch.from_numpy(own[name]) for name in own), exclusion=30)
    np.testing.assert_allclose(found, memory.distance(QUERIES, **own, exclusion=30), rtol=1e-5)


def test_a_query_without_neighbours_gets_the_largest_distance_and_no_number_none():
    memory = Memory.fit(VECTORS[:5], np.zeros(5, int), np.arange(5), size=5, num_neighbors=2)
    queries = torch.from_numpy(np.concatenate([VECTORS[:2], np.full((1, 12), np.nan, np.float32), VECTORS[2:4]]))
    groups, starts = torch.tensor([0, 1, 1, 1, 1]), torch.tensor([2, 0, 0, 90, 95])
    found = NearestDistance(memory)(queries, groups, starts, exclusion=50).numpy()
    assert np.isnan(found[2])
    assert found[0] == np.nanmax(found[[1, 3, 4]])


@pytest.mark.parametrize("names", [("recon.a", "feature.a", "memory.b", "memory.c"), ("memory.b",), ("recon.a",)])
def test_groups_and_their_fusion_are_those_of_the_formulas(names):
    shapes = {"recon.a": (90, 3), "feature.a": (90, 3), "memory.b": (90,), "memory.c": (90,)}
    terms = {name: RNG.gamma(2.0, size=shapes[name]) for name in names}
    standardiser, fusion = Standardiser.fit(terms), Fusion(0.3, 0.6)
    scorer = Scorer(standardiser, fusion)
    groups = scorer.standardise({name: torch.from_numpy(own) for name, own in terms.items()})
    for name, expected in standardiser.transform(terms).items():
        np.testing.assert_allclose(groups[name], expected, rtol=1e-12, atol=1e-12)
    if "recon.a" in names:
        np.testing.assert_allclose(scorer.fuse(groups), fusion.score(standardiser.transform(terms)), atol=1e-12)
