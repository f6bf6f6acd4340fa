"""Train the prior of series from nothing: `python -m oddwave.lab.prior.train -o prior.safetensors` (`make prior`).

    loss = BCE(log-odds, changed) + 0.2 * Gaussian NLL of the clean window, given the window (planted anomalies are its
           noise) or, for a quarter of the windows, what diffusion noise leaves of it

Each step draws streams of its own (`examples.py`), so that the result follows from the seed alone; one more process
draws them ahead. Interrupted, it goes on from the last checkpoint beside the output. Two cores take about an hour.
Started by torchrun, several processes share the examples of each step (`oddwave/ranks.py`); the weights are one's.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader

from oddwave.diffusion.schedule import make_schedule
from oddwave.files import write_bytes_atomic
from oddwave.lab.metrics import auroc
from oddwave.lab.prior.examples import Examples, Step, step_examples
from oddwave.lab.prior.noise import noisy
from oddwave.nets.blocks import seeded_draws
from oddwave.ranks import ONE, Ranks, joined_ranks
from oddwave.scoring.prior import Prior, PriorSays
from oddwave.training.checkpoint import load_training_state, save_training_state, tensor_bytes
from oddwave.training.ema import Ema
from oddwave.training.minimise import Descent, warm_cosine

__all__ = ["main", "train_prior"]

_RATE, _WARM, _DECAY, _CLIP = 2e-3, 200, 0.998, 1.0
_NOISY_SHARE, _NLL_WEIGHT, _MAX_T = 0.25, 0.2, 500
_VALIDATION_SEED, _VALIDATION_STEPS = 1_000_003, 24
_SAVE_EVERY = 250


def train_prior(
    out: Path, *, num_steps: int, seed: int = 0, resume: bool = True, ranks: Ranks = ONE
) -> Iterator[dict[str, float]]:
    """Train, yielding what is known every 250 steps; `out` holds the averaged weights then.

    Of several processes all train and the first writes and validates; the others yield what they know.
    Raises: OSError where nothing can be written; ConfigError for more processes than examples.
    """
    with seeded_draws(seed):
        net = Prior().to(ranks.device)
    ema, descent, state = Ema(net, _DECAY), Descent(list(net.parameters()), clip=_CLIP), out.with_suffix(".state")
    first = _resumed(state, net, ema, descent) if resume and ranks.first and state.exists() else 0
    first = _agreed(ranks, first, net, ema, descent)
    shared = ranks.around(net)
    validation = [step_examples(_VALIDATION_SEED, step) for step in range(_VALIDATION_STEPS if ranks.first else 0)]
    rates = warm_cosine(_RATE, num_steps, _WARM)
    alphas = make_schedule("linear", 1000).alphas_cumprod.float()
    losses: list[tuple[float, float]] = []
    started = time.process_time()
    for step, examples in enumerate(_drawn_ahead(seed, first, num_steps), start=first):
        draws = torch.Generator().manual_seed(seed * 1_000_003 + step)
        (bce, bce_told), (nll, nll_told) = _losses(shared, _joined(examples), alphas, draws, ranks)
        descent.down(bce + _NLL_WEIGHT * nll, rates[step])
        ema.update()
        losses.append((bce_told, nll_told))
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == num_steps:
            if ranks.first:
                own = {"net": net.state_dict(), "ema": ema.state_dict(), "optimizer": descent.optimizer.state_dict()}
                save_training_state(state, {"step": step + 1, **own})
                write_bytes_atomic(out, tensor_bytes({name: weight.half() for name, weight in ema.averages().items()}))
            told = _validated(net, ema, validation) if ranks.first else {}
            told |= {"ranks_apart": ranks.apart(net)} if ranks.count > 1 else {}
            yield {"step": step + 1, "bce": np.mean(losses, 0)[0], "nll": np.mean(losses, 0)[1], **told} | {
                "cpu_s": time.process_time() - started
            }
            losses.clear()


def _agreed(ranks: Ranks, first: int, net: Prior, ema: Ema, descent: Descent) -> int:
    """Let all processes begin where the first one does: only its machine may hold the checkpoint."""
    counts = torch.tensor([first, ema.num_updates], device=ranks.device)
    optimizer = descent.optimizer.state_dict()
    averages = ema.averages()
    ranks.take_over(
        [counts, *net.state_dict().values(), *averages.values(), *(t for own in optimizer.values() for t in own)]
    )
    descent.optimizer.load_state_dict(optimizer)
    first, ema.num_updates = counts.tolist()
    return first


def _drawn_ahead(seed: int, first: int, last: int) -> Iterator[list[Step]]:
    yield from DataLoader(Examples(seed, first, last), batch_size=None, num_workers=1, prefetch_factor=8)


def _joined(steps: Sequence[Step]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return all channels of all windows as windows of one channel: evidence, clean, changed, known."""
    return (
        torch.cat([s.x.flatten(0, 1) for s in steps])[:, None],
        torch.cat([s.clean.flatten(0, 1) for s in steps])[:, None],
        torch.cat([s.changed.flatten(0, 1) for s in steps])[:, None],
        torch.cat([s.known.flatten(0, 1) for s in steps])[:, None],
    )


def _losses(
    net: nn.Module,
    examples: tuple[Tensor, ...],
    alphas: Float[Tensor, " T"],
    draws: torch.Generator,
    ranks: Ranks = ONE,
) -> tuple[tuple[Tensor, float], tuple[Tensor, float]]:
    """Return both losses of this process's share of the examples, to go down and to be told: see `Ranks.mean`.

    All processes draw what is random for all of the examples, so that each has what one process would draw for it.
    """
    x, clean, _, _ = examples
    t = torch.randint(1, _MAX_T, (len(x),), generator=draws)
    t = torch.where(torch.rand(len(x), generator=draws) < _NOISY_SHARE, t, 0)
    noised = noisy(x, t, torch.randn(clean.shape, generator=draws), alphas)
    x, t, clean, changed, known = ranks.share((noised, t, *examples[1:]))
    says = net(x, t)
    sharp = (t == 0)[:, None, None].expand_as(changed)
    bce = F.binary_cross_entropy_with_logits(says.log_odds[sharp], changed[sharp].float(), reduction="none")
    return ranks.mean(bce), ranks.mean(_nll(says, clean)[known])


def _nll(says: PriorSays, clean: Float[Tensor, "N C L"]) -> Float[Tensor, "N C L"]:
    return 0.5 * ((clean - says.mean).square() * (-says.log_variance).exp() + says.log_variance)


@torch.no_grad()
def _validated(net: Prior, ema: Ema, validation: Sequence[Sequence[Step]]) -> dict[str, float]:
    says, hit, away = [], [], []
    for steps in validation:
        x, _, changed, _ = _joined(steps)
        said: Any = torch.func.functional_call(net, dict(ema.averages()), (x.to(net.net.embedding.frequencies.device),))
        says.append(said.log_odds.cpu())
        hit.append(changed)
        away.append(x[:, :, 0].abs())
    odds, truth, far = (torch.cat(parts)[:, 0].numpy() for parts in (says, hit, away))
    return {
        "point_auroc": auroc(truth.ravel(), odds.ravel()),
        "window_auroc": auroc(truth.any(1), np.sort(odds, 1)[:, -8:].mean(1)),
        "distance_auroc": auroc(truth.any(1), far.mean(1)),
    }


def _resumed(path: Path, net: Prior, ema: Ema, descent: Descent) -> int:
    state = load_training_state(path)
    net.load_state_dict(state["net"])
    ema.load_state_dict(state["ema"])
    descent.optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and print a line of JSON every 250 steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="where the weights go (.safetensors)")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="a GPU where there is one")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    with joined_ranks(given.device) as ranks:
        for told in train_prior(given.output, num_steps=given.steps, seed=given.seed, ranks=ranks):
            if ranks.first:
                print(json.dumps({name: round(value, 4) for name, value in told.items()}), flush=True)
        ranks.wait()


if __name__ == "__main__":
    main()
