"""Twenty steps of training, to the last digits that matter: a change that should not alter numbers leaves them alone.

The network is the test's own, so that only the schedule, the draws, the loss, the optimiser and the averaging are held.
Tolerance: 1e-4 relative, which allows for another processor's rounding and for nothing else.
"""

import pytest
import torch
from torch import nn

from oddwave.diffusion import make_schedule
from oddwave.training import TensorSource, TrainingConfig, train

LOSSES = [
    0.7671537,
    0.7399641,
    0.7837855,
    0.7697343,
    0.7538171,
    0.7423916,
    0.72979,
    0.680879,
    0.7311107,
    0.7192905,
    0.6686901,
    0.7131654,
    0.6698189,
    0.6788064,
    0.7130002,
    0.7051392,
    0.6562315,
    0.5992908,
    0.6134655,
    0.6991753,
]
VALIDATION = {10: 0.6712795, 20: 0.6368528}
TOLERANCE = 1e-4


class ConvNet(nn.Module):
    """Three convolutions with weights from a formula, so that no random generator is involved."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv1d(2, 8, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1)])
        self.last = nn.Conv1d(8, 1, 3, padding=1)
        with torch.no_grad():
            for number, weight in enumerate(self.parameters()):
                wave = torch.sin(torch.arange(weight.numel()) * 1.7 + number)
                weight.copy_(0.3 * wave.reshape(weight.shape))

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        time = (t / 1000.0).view(-1, 1, 1).expand_as(x_t)
        hidden = torch.cat([x_t, time], dim=1)
        for layer in self.layers:
            hidden = nn.functional.silu(layer(hidden))
        return self.last(hidden)


def waves(num: int, offset: float) -> TensorSource:
    phase = offset + torch.arange(num, dtype=torch.float32).view(-1, 1, 1)
    return TensorSource(torch.sin(torch.arange(32.0) * 0.4 + phase))


def test_a_twenty_step_loss_curve_has_not_moved():
    config = TrainingConfig(
        num_steps=20,
        batch_size=16,
        learning_rate=5e-3,
        weight_decay=1e-4,
        warmup_steps=4,
        gradient_clip=1.0,
        ema_decay=0.99,
        prediction_type="v_prediction",
        seed=7,
        validate_every=10,
        num_validation_draws=64,
        dtype="float32",
    )
    steps = list(train(ConvNet(), waves(50, 0.0), make_schedule("cosine"), config, validation=waves(9, 0.5)))
    validation = {step.step: step.val_loss for step in steps if step.val_loss is not None}
    assert [step.loss for step in steps] == pytest.approx(LOSSES, rel=TOLERANCE)
    assert validation == pytest.approx(VALIDATION, rel=TOLERANCE)
