"""Autoencoder on log-mel frames: the baseline of DCASE Task 2 (anomalous machine sounds) from 2020 on.

    v_t      = [L_t, ..., L_t+4]                  five neighbouring frames of 128 log-mel bands, 640 numbers
    net      = 640 - 128 x 4 - 8 - 128 x 4 - 640  dense, batch norm and ReLU after all but the last
    score(c) = mean over t of ||v_t - net(v_t)||^2 / 640

trained with Adam on the squared error of normal frames.
Source: Koizumi et al. 2020, Description and discussion on DCASE2020 Challenge Task 2.

Departures. 30 epochs instead of 100, in favour of processors. Levels are standardised by one mean and one deviation of
all training frames, which keeps the bands' weights among each other and spares the epochs that a start 65 dB away from
the data would cost. Frames are every other column of `_levels_db`: 62 ms long every 31 ms in clips of 4 s (there 64 ms
every 32 ms). Read `clip_base.py` for the interface.

Legend: b clips or vectors of a batch, R bands, T frames, V numbers of a vector.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError
from oddwave.lab.rivals.clip_base import ClipBaseline

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["LogMelAutoencoder"]

_NUM_STACKED = 5
_STEP = 2  # columns from one frame to the next
_HIDDEN, _NUM_HIDDEN, _CODE = 128, 4, 8
_COUNTER = "num_batches_tracked"  # of batch norm, which scoring has no use for


@dataclass(kw_only=True, eq=False)
class LogMelAutoencoder(ClipBaseline):
    """Reconstruction error of stacked log-mel frames; `seed` makes the training repeatable."""

    name: ClassVar[str] = "log_mel_autoencoder"
    fitted: ClassVar[tuple[str, ...]] = ("scale",)
    num_epochs: int = 30
    batch_size: int = 512
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_epochs < 1 or self.batch_size < 2 or not self.learning_rate > 0:
            raise ConfigError(
                f"num_epochs {self.num_epochs}, batch_size {self.batch_size}, learning_rate {self.learning_rate}: "
                "give 1 or more, 2 or more, and above 0"
            )
        self._scale = np.array([0.0, 1.0])
        self._network: nn.Sequential | None = None

    def _fit(self, batches: Iterator[Float[np.ndarray, "b n"]]) -> None:
        from oddwave.nets.blocks import seeded_draws

        levels = np.concatenate([self._frames(batch) for batch in batches])
        self._scale = np.array([levels.mean(dtype=np.float64), max(1.0, levels.std(dtype=np.float64))])
        vectors = self._vectors(levels)
        with seeded_draws(self.seed):
            self._network = _network(levels.shape[1] * _NUM_STACKED)
            self._train(self._network, vectors)

    @property
    def num_parameters(self) -> int:
        """How many weights the fitted network has; 0 before."""
        return 0 if self._network is None else sum(weight.numel() for weight in self._network.parameters())

    def _train(self, network: "nn.Sequential", vectors: "Float[Tensor, 'N _ R five']") -> None:
        import torch

        from oddwave.training.minimise import minimise

        per_clip = vectors.shape[1]
        total = len(vectors) * per_clip
        num_batches = -(-total // self.batch_size)
        epochs = (torch.randperm(total).chunk(num_batches) for _ in range(self.num_epochs))
        batches = (vectors[own // per_clip, own % per_clip].flatten(1) for epoch in epochs for own in epoch)

        def loss(_: int) -> "Tensor":
            batch = next(batches)
            error: Tensor = (network(batch) - batch).square().mean()
            return error

        network.train()
        rates = [self.learning_rate] * (self.num_epochs * len(torch.arange(total).chunk(num_batches)))
        for _ in minimise(loss, list(network.parameters()), rates, clip=None):
            pass
        network.eval()

    def _score_batch(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, " b"]:
        import torch

        assert self._network is not None  # fit and load both make it
        vectors = self._vectors(self._frames(batch)).flatten(2)
        with torch.inference_mode():
            error = (self._network(vectors.flatten(0, 1)) - vectors.flatten(0, 1)).square()
            scores: np.ndarray = error.reshape(len(batch), -1).double().mean(1).numpy()
        return scores

    def _frames(self, batch: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b R T"]:
        return np.ascontiguousarray(self._levels_db(batch)[..., ::_STEP])

    def _vectors(self, levels: Float[np.ndarray, "b R T"]) -> "Float[Tensor, 'b _ R five']":
        """Stack neighbouring frames: a view, so that training holds each frame once."""
        import torch

        mean, deviation = self._scale
        x = torch.from_numpy((levels - np.float32(mean)) / np.float32(deviation))
        return x.unfold(2, _NUM_STACKED, 1).movedim(2, 1)

    def _arrays(self) -> dict[str, np.ndarray]:
        assert self._network is not None
        state = self._network.state_dict()
        return super()._arrays() | {key: state[key].numpy() for key in state if not key.endswith(_COUNTER)}

    def _take(self, arrays: Mapping[str, np.ndarray]) -> None:
        import torch

        super()._take(arrays)
        self._network = _network(len(arrays["0.weight"][0])).eval()
        own = self._network.state_dict()
        self._network.load_state_dict(
            {key: own[key] if key.endswith(_COUNTER) else torch.from_numpy(arrays[key]) for key in own}
        )


def _network(width: int) -> "nn.Sequential":
    from torch import nn

    widths = (width, *[_HIDDEN] * _NUM_HIDDEN, _CODE, *[_HIDDEN] * _NUM_HIDDEN)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], width))
