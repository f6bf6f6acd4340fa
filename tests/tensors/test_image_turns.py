"""Copies of squares: which ones there are, in what order, and that a rotation is one."""

import pytest
import torch

from oddwave.tensors.image_turns import turned_copies


def smooth(side=32):
    across = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(across, across, indexing="ij")
    return torch.exp(-8 * ((x - 0.4) ** 2 + y**2))[None, None]  # a spot right of the middle


@pytest.mark.parametrize(
    ("augment", "num"), [((), 1), (("mirror",), 2), (("turn",), 4), (("turn", "mirror"), 8), (("rotate", "mirror"), 32)]
)
def test_as_many_copies_as_named_the_square_itself_first(augment, num):
    copies = list(turned_copies(smooth(), augment))
    assert len(copies) == num
    assert torch.equal(copies[0], smooth())


def test_right_angles_among_the_rotations_are_exact():
    rotations = list(turned_copies(smooth(), ("rotate",)))
    for step, quarter in zip(range(0, 16, 4), turned_copies(smooth(), ("turn",)), strict=True):
        assert torch.equal(rotations[step], quarter)


def test_the_spot_goes_round_in_equal_steps():
    places = []
    for copy in turned_copies(smooth(65), ("rotate",)):
        y, x = divmod(int(copy.argmax()), 65)
        places.append(torch.atan2(torch.tensor(32.0 - y), torch.tensor(x - 32.0)))
    steps = torch.rad2deg(torch.stack(places).diff()) % 360
    assert torch.allclose(steps, torch.full((15,), 22.5), atol=5.0)
