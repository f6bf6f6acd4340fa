"""MobileNetV2 with its real weights on scikit-learn's two photographs.

The folder is ODDWAVE_DATA, else shared/data beside the repository.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from oddwave.nets.perceptual import load_perceptual

ROOT = Path(os.environ.get("ODDWAVE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
WEIGHTS = ROOT / "weights" / "mobilenet_v2_1.0_224.npz"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"no '{WEIGHTS}': set ODDWAVE_DATA to the data folder"),
]


@pytest.fixture(scope="module")
def network():
    return load_perceptual("mobilenet_v2", WEIGHTS)


def photograph(name, side=224):
    """Give the middle square, (1, 3, side, side) in [-1, 1]."""
    image = Image.fromarray(load_sample_image(name))
    left, top = (image.width - min(image.size)) // 2, (image.height - min(image.size)) // 2
    box = (left, top, left + min(image.size), top + min(image.size))
    pixels = np.array(image.resize((side, side), Image.Resampling.BICUBIC, box=box), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def labels():
    return (ROOT / "weights" / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()


def test_photographs_get_their_classes(network):
    names = labels()
    assert len(names) == network.num_classes == 1001
    china = network.classify(photograph("china.jpg"))[0].softmax(0)
    assert names[china.argmax()] == "palace"
    assert china.max() > 0.6  # 0.71; 0.53 with symmetric padding
    assert "monastery" in [names[k] for k in china.topk(5).indices]
    # ImageNet has no dahlia; the middle of this one is a lattice of cells
    flower = network.classify(photograph("flower.jpg"))[0].softmax(0)
    assert names[flower.argmax()] == "honeycomb"
    assert {"bee", "mushroom"} <= {names[k] for k in flower.topk(5).indices}


def test_taps(network):
    taps = network(photograph("china.jpg"))
    assert [tuple(tap.shape[1:]) for tap in taps] == [(24, 56, 56), (32, 28, 28), (96, 14, 14)]


def test_a_position_looks_at_the_middle_of_its_cell(network):
    x = (torch.rand(8, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1).requires_grad_()
    for tap, stride in zip(network(x), network.strides, strict=True):
        position = tap.shape[-1] // 2
        weights = torch.linspace(-1, 1, tap.shape[1]).cos().mul(3).sin()
        (gradient,) = torch.autograd.grad((tap[:, :, position, position] @ weights).sum(), x, retain_graph=True)
        energy = gradient.square().sum((0, 1))
        pixels = torch.arange(128) - position * stride - (stride - 1) / 2
        for axis in (0, 1):
            assert abs((energy.sum(axis) * pixels).sum() / energy.sum()) < 0.3 * stride + 0.6
