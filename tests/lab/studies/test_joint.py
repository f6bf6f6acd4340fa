"""The study of joint models compares like with like."""

import pytest

from oddwave.detection.joint_fit import check_joint
from oddwave.lab.studies.joint import WAYS, settings_of

MODALITIES = ("image", "audio", "series")


@pytest.mark.parametrize("shared", [True, False])
def test_every_way_to_train_has_one_budget_and_one_network(shared: bool) -> None:
    configs = {modality: settings_of(modality, seed=3, steps=7, shared=shared) for modality in MODALITIES}
    check_joint(configs)  # alike in all that counts, and trained on maps
    for modality, own in configs.items():
        assert (own.modality, own.preset, own.seed) == (modality, "paper", 3)
        assert (own.training.num_steps, own.training.batch_size) == (7, 8)
        assert own.network == configs["image"].network
        assert own.network.shared_adapter is shared
        assert (own.scoring.estimate, own.scoring.memory_weight) == ("one_step", 0.0)  # the denoiser alone is judged


def test_the_ways_are_all_pairs_of_both_switches() -> None:
    assert sorted(WAYS.values()) == [(False, False), (False, True), (True, False), (True, True)]
