"""Two fits in two threads give the weights that they give one after the other, and leave the process as it was."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from oddwave.config import preset
from oddwave.detection.threads import one_thread
from oddwave.detector import Detector
from oddwave.nets.blocks import seeded_draws
from oddwave.nets.unet import UNet


def together(*works: Callable[[], object]) -> None:
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_series_detectors_fitted_at_once(tiny_config, waves) -> None:
    data = waves(300)
    seeds = (0, 1, 2)
    alone = {seed: Detector(tiny_config(f"seed={seed}")).fit(data) for seed in seeds}
    beside: dict[int, Detector] = {}
    before, generator = torch.get_num_threads(), torch.get_rng_state()

    def fit(seed: int) -> None:
        beside[seed] = Detector(tiny_config(f"seed={seed}")).fit(data)

    together(*(lambda seed=seed: fit(seed) for seed in seeds))
    assert torch.get_num_threads() == before
    assert torch.equal(torch.get_rng_state(), generator)
    for seed in seeds:
        np.testing.assert_array_equal(alone[seed].calibration.scores, beside[seed].calibration.scores)


def test_networks_of_one_seed_are_alike_whatever_else_is_made_meanwhile() -> None:
    settings = preset("fast").network.model_dump()

    def weights(seed: int) -> torch.Tensor:
        with seeded_draws(seed):
            net = UNet(1, grid_dims=1, **settings)
        return torch.cat([weight.detach().flatten() for weight in net.parameters()])

    alone = [weights(seed) for seed in range(3)]
    found: list[tuple[int, torch.Tensor]] = []
    together(*(lambda seed=seed: found.extend((seed, weights(seed)) for _ in range(5)) for seed in (0, 1, 2)))
    assert len(found) == 15
    assert all(torch.equal(alone[seed], made) for seed, made in found)


@pytest.mark.parametrize("num_threads", [1, 3])
def test_the_number_of_threads_is_given_back_when_the_last_is_through(num_threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    entered, leave = threading.Event(), threading.Event()
    counts: dict[str, int] = {}

    @one_thread()
    def longer() -> None:
        entered.set()
        leave.wait(10)
        counts["while the other left"] = torch.get_num_threads()

    def count() -> None:
        counts["in a new thread"] = torch.get_num_threads()

    try:
        other = threading.Thread(target=longer)
        with one_thread():
            other.start()
            assert entered.wait(10)
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == num_threads
        leave.set()
        other.join()
        together(count)
        assert counts == {"while the other left": 1, "in a new thread": num_threads}
        assert torch.get_num_threads() == num_threads
    finally:
        leave.set()
        torch.set_num_threads(before)
