"""One training run from step to step: weights, averages, optimiser, randomness, validation; what a checkpoint holds.

`loop.py` turns it into a generator and is what callers use; read it first. Here: what one step computes.

Legend: B batch of this process, A of all, C channels, ... the grid.
"""

import math
import reprlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.config import TrainingConfig
from oddwave.diffusion.process import diffusion_loss
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.errors import CheckpointError, OddwaveError
from oddwave.ranks import Ranks
from oddwave.stopping import held_back
from oddwave.training.adamw import AdamW
from oddwave.training.checkpoint import require_alike
from oddwave.training.draws import BatchSource, validation_draws
from oddwave.training.ema import Ema
from oddwave.training.ports import Perceptual, Port, PortData, port_of_step

__all__ = ["TrainingDivergedError", "TrainingRun", "computes_bfloat16", "learning_rate_at"]

_BALANCE_DECAY = 0.98  # running means of the two losses, over about the last 50 steps


class TrainingDivergedError(OddwaveError, ArithmeticError):
    """The loss or its gradient became infinite or NaN; the weights of the last good step are kept."""


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Return the rate of step 0, 1, ...: a linear rise over the warm-up (a fifth of the run at most), a cosine to 0."""
    warmup = min(config.warmup_steps, config.num_steps // 5)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / (config.num_steps - warmup)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def computes_bfloat16(config: TrainingConfig, grid_dims: int, device: torch.device, num_weights: int = 10**6) -> bool:
    """Decide on bf16 autocast; "auto" takes it for large networks on 2-D grids where the hardware multiplies bf16."""
    if config.dtype != "auto":
        return config.dtype == "bfloat16"
    if grid_dims == 1 or num_weights < 10**6:  # small convolutions lose more to conversions than they gain
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


class TrainingRun:
    """Everything a run carries from one step to the next; `state` and `load` are its checkpoint."""

    def __init__(
        self, net: nn.Module, ports: Sequence[PortData], schedule: NoiseSchedule, config: TrainingConfig, ranks: Ranks
    ) -> None:
        self.net, self.schedule, self.config, self.ranks = net, schedule, config, ranks
        self.stepping = net  # with several processes, what averages its gradients over them
        ranks.check(config.batch_size)
        self.weights = [weight for weight in net.parameters() if weight.requires_grad]
        self.device, dtype = self.weights[0].device, self.weights[0].dtype
        self.ports = [Port(given, schedule.num_train_timesteps, config, dtype) for given in ports]
        grid_dims = len(self.ports[0].shape) - 1
        self.mixed = computes_bfloat16(config, grid_dims, self.device, sum(own.numel() for own in self.weights))
        if self.mixed and grid_dims == 2:
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = AdamW(self.weights, config.weight_decay)
        self.ema = Ema(net, config.ema_decay)
        self.step = 0
        self.loss = math.nan
        self.validated = 0  # the step after which the last validation ran
        self.best_loss = math.inf
        self.best: dict[str, Tensor] | None = None
        self.num_worse = 0
        self.closed = False  # True once the averages are in the network: no state may be saved from then on

    @property
    def finished(self) -> bool:
        """True after the last step, or once validation has failed to improve `patience` times in a row."""
        out_of_patience = 0 < self.config.patience <= self.num_worse
        return self.step >= self.config.num_steps or out_of_patience

    @property
    def validation_due(self) -> bool:
        """True if the present step calls for a validation that has not run yet."""
        if self.validated == self.step or all(port.validation is None for port in self.ports):
            return False
        return self.step % self.config.validate_every == 0 or self.step == self.config.num_steps

    def advance(self) -> None:
        """Take one optimiser step.

        May be interrupted at any moment: draws count only once the weights have moved, and those move as one.

        Raises:
            TrainingDivergedError: if the loss or its gradient is not finite; the weights stay as they were.
        """
        rate = learning_rate_at(self.step, self.config)
        port = self.ports[port_of_step(self.step, len(self.ports), self.config.seed or 0)]
        self.optimizer.zero_grad()
        x0 = self._batch(port.data, port.draws.indices()[self.ranks.own])
        t = port.draws.timesteps()
        loss, balance = self._loss(port, x0, t, port.draws.noise_like(x0, self.ranks.own))
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.weights, self.config.gradient_clip, foreach=True)
        (value,) = self.ranks.averages(loss)
        if not (math.isfinite(value) and math.isfinite(norm.item())):
            raise TrainingDivergedError(
                f"the loss became {value} at step {self.step + 1} (learning rate {rate:.3g});"
                " lower learning_rate, or check the data for NaN and huge values"
            )
        with held_back():
            self.optimizer.step(rate)
            self.ema.update()
            self.step += 1
            self.loss = port.loss = value
            port.balance = balance
            port.draws.commit()

    @torch.no_grad()
    def validate(self) -> float:
        """Return the averaged weights' loss on held-out items, always with the same noise, and remember the best.

        Of several ports it is the mean of theirs.
        """
        self.net.eval()
        losses = {port: self._validated(port, port.validation) for port in self.ports if port.validation is not None}
        self.net.train()
        loss = sum(losses.values()) / len(losses)
        with held_back():
            for port, own in losses.items():
                port.val_loss = own
            self._judge(loss)
        return loss

    def _validated(self, port: Port, source: BatchSource) -> float:
        averages, total, named = self.ema.averages(), 0.0, {} if port.name is None else {"port": port.name}

        def averaged_net(x_t: Tensor, t: Tensor) -> Tensor:
            prediction: Tensor = torch.func.functional_call(self.net, averages, (x_t, t), named)
            return prediction

        timesteps, own = self.schedule.num_train_timesteps, self.ranks.own
        draws = validation_draws(len(source), port.shape, timesteps, self.config, self.device)
        for indices, t, noise in islice(draws, own.start, None, own.step):
            x0 = self._batch(source, indices)
            with self._autocast():
                losses, _ = diffusion_loss(averaged_net, x0, t, noise, self.schedule, self.config.prediction_type)
            total += losses.sum().item()
        (mean,) = self.ranks.averages(torch.tensor(total, dtype=torch.float64, device=self.device))
        return mean * self.ranks.count / self.config.num_validation_draws

    def take_averages(self) -> None:
        """Put the weights that score into the net: with `patience` the best validated ones, else the last averages."""
        if self.best is not None:
            self.ema.load_state_dict(self.best)
        self.ema.copy_to_net()
        self.closed = True

    def state(self) -> dict[str, Any]:
        """Return all that `load` needs to go on as if nothing had happened."""
        return {
            "identity": self._identity(),
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict(),
            "ports": {port.name or "": port.state() for port in self.ports},
            "progress": {name: getattr(self, name) for name in _PROGRESS},
        }

    def join(self, path: Path) -> None:
        """Let all processes go on from where the first one is."""
        state = self.ranks.of_first(self.state()) if self.ranks.count > 1 else {}
        if not self.ranks.first:
            self.load(state, path)
        self.stepping = self.ranks.around(self.net, in_turn=len(self.ports) > 1)

    def load(self, state: dict[str, Any], path: Path) -> None:
        """Go on from a state, saved in `path`, of this very run: same settings, same data, same network.

        Raises:
            CheckpointError: if the state is of another run.
        """
        try:
            self._require_own_run(state["identity"], path)
            parts: dict[str, Any] = {"net": self.net, "optimizer": self.optimizer, "ema": self.ema}
            for name, part in parts.items():
                require_alike(state[name], part.state_dict(), name)
            self._require_progress(state["progress"])
            for port in self.ports:
                port.load(state["ports"][port.name or ""])  # checks by itself
            for name, part in parts.items():
                part.load_state_dict(state[name])
            for name in _PROGRESS:
                setattr(self, name, state["progress"][name])
        except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            line = str(error).partition("\n")[0] or type(error).__name__
            raise CheckpointError(f"{path} is of another network ({line}); start again without resuming") from error

    def _require_own_run(self, saved: dict[str, Any], path: Path) -> None:
        """Raises: CheckpointError where a setting or the data differ."""
        for name, value in self._identity().items():
            if repr(saved.get(name)) != repr(value):  # a text compares even where a tensor stands
                raise CheckpointError(
                    f"{path} is of another run ({name} was {reprlib.repr(saved.get(name))}, now {value!r});"
                    " give the same settings and data, or start again without resuming"
                )

    def _require_progress(self, saved: dict[str, Any]) -> None:
        """Raises: ValueError, TypeError, KeyError for counters that this run cannot have."""
        counts = [saved[name] for name in ("step", "validated", "num_worse")]
        if not all(type(count) is int and 0 <= count <= self.config.num_steps for count in counts):
            raise ValueError(f"its counters {reprlib.repr(counts)} are not within {self.config.num_steps} steps")
        if not all(type(saved[name]) is float for name in ("loss", "best_loss")):
            raise ValueError("its losses are no numbers")
        if saved["best"] is not None:
            require_alike(saved["best"], self.ema.state_dict(), "best")

    def _identity(self) -> dict[str, Any]:
        own = {
            **self.config.model_dump(exclude={"checkpoint_every", "checkpoint_seconds"}),
            "num_train_timesteps": self.schedule.num_train_timesteps,
        }
        for port in self.ports:
            own |= port.identity()
        return own

    def _batch(self, source: BatchSource, indices: Int[Tensor, " B"]) -> Float[Tensor, "B C ..."]:
        x0 = source.batch(indices).to(self.device, non_blocking=True)
        return x0.contiguous(memory_format=torch.channels_last) if self.mixed and x0.ndim == 4 else x0

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed)

    def _loss(
        self, port: Port, x0: Float[Tensor, "B C ..."], t: Int[Tensor, " A"], noise: Float[Tensor, "B C ..."]
    ) -> tuple[Float[Tensor, ""], tuple[float, float] | None]:
        """Return this process's part of L_MSE + gamma L_feat, and the running means that balance gamma."""
        low, t = t < self.config.feature_loss_max_t * self.schedule.num_train_timesteps, t[self.ranks.own]
        with self._autocast():
            losses, x0_hat = diffusion_loss(
                port.into(self.stepping), x0, t.to(self.device), noise, self.schedule, self.config.prediction_type
            )
        loss = self.ranks.part(losses.mean(), len(t), len(low))
        if port.perceptual is None or self.config.feature_loss_weight == 0.0 or not low.any():
            return loss, port.balance
        own = low[self.ranks.own].to(self.device)
        feature_loss = _feature_distance(port.perceptual, x0[own], x0_hat[own]) if own.any() else loss.new_zeros(())
        feature_loss = self.ranks.part(feature_loss, int(own.sum()), int(low.sum()))
        now = self.ranks.averages(loss, feature_loss)
        means = now if port.balance is None else tuple(map(_running_mean, port.balance, now))
        gamma = self.config.feature_loss_weight * means[0] / max(means[1], 1e-12)
        return loss + gamma * feature_loss, (means[0], means[1])

    def _judge(self, loss: float) -> None:
        self.validated = self.step
        if not self.config.patience:
            return
        if loss < self.best_loss:
            self.best_loss, self.best, self.num_worse = loss, self.ema.state_dict(), 0
        else:
            self.num_worse += 1


_PROGRESS = ("step", "loss", "validated", "best_loss", "best", "num_worse")


def _feature_distance(perceptual: Perceptual, x0: Tensor, x0_hat: Tensor) -> Float[Tensor, ""]:
    """Mean squared distance of the features of x0 and of its one-step estimate, averaged over the taps."""
    with torch.no_grad():
        real = _taps(perceptual(x0))
    estimated = _taps(perceptual(x0_hat))
    return torch.stack([(a - b).square().mean() for a, b in zip(real, estimated, strict=True)]).mean()


def _taps(features: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [features] if isinstance(features, Tensor) else features


def _running_mean(mean: float, value: float) -> float:
    return _BALANCE_DECAY * mean + (1.0 - _BALANCE_DECAY) * value
