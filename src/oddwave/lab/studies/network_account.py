"""Where a network's time goes, by operation: how near each is to the matrix rate, and what multiplies nothing.

    python -m oddwave.lab.studies.network_account [--batch 16] [-o OUT.md]

The prior of series, and the denoisers of images and audio as `fast` and `balanced` build them, after one step of
training. One thread, CPU time. Multiply-adds are counted by operation; the rate is what products of 1,024 x 1,024
matrices reach in the same minute, in what the network computes in. The profiler's seconds are shared out over what the
call takes without it. Attention's own products are not counted.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.lab.bench.machine_rate import matrix_rate
from oddwave.lab.bench.made_data import make_data
from oddwave.lab.bench.same_network import denoiser_settings, same_network
from oddwave.lab.bench.speed_tables import table
from oddwave.scoring.prior import load_prior
from oddwave.training.run import computes_bfloat16

__all__ = ["account", "main"]

_KINDS = {
    "convolution": ("convolution", "conv1d", "conv2d"),
    "attention": ("attention",),
    "matrix product": ("mm", "bmm", "addmm", "linear"),
    "norm": ("group_norm", "layer_norm", "batch_norm"),
    "activation": ("silu", "hardtanh", "relu", "sigmoid", "gelu"),
}
_OTHER = "copies, sums, padding"
_ROUNDS = 5  # the median counts
_PLURAL = {"image": "images", "audio": "audio"}
_SIZES = {"train": 16, "test": 4, "requests": 1}


def account(network: Callable[..., Any], *inputs: Tensor) -> list[tuple[str, float, float]]:
    """Return kind of operation, CPU seconds and multiply-adds; the last row is all of it."""
    with torch.inference_mode():
        network(*inputs)
        spent = []
        for _ in range(_ROUNDS):
            began = time.process_time()
            network(*inputs)
            spent.append(time.process_time() - began)
        with FlopCounterMode(display=False) as counted:
            network(*inputs)
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            for _ in range(_ROUNDS):
                network(*inputs)
    seconds: dict[str, float] = defaultdict(float)
    for event in seen.key_averages():
        seconds[_kind(event.key)] += event.self_cpu_time_total / 1e6 / _ROUNDS
    products: dict[str, float] = defaultdict(float)
    for operation, flops in counted.get_flop_counts()["Global"].items():
        products[_kind(str(operation))] += flops / 2
    whole = sorted(spent)[_ROUNDS // 2]
    scale = whole / sum(seconds.values())
    rows = [(kind, scale * seconds[kind], products[kind]) for kind in (*_KINDS, _OTHER) if seconds[kind]]
    return [*rows, ("all", whole, sum(products.values()))]


def _kind(operation: str) -> str:
    name = operation.rpartition("::")[2].removeprefix("aten.").strip("_")
    for kind, parts in _KINDS.items():
        if any(part == name or (len(part) > 4 and part in name) for part in parts):
            return kind
    return _OTHER


def _networks(batch: int, work: Path) -> Iterator[tuple[str, torch.dtype, Callable[..., Any], Tensor]]:
    """Yield what a network is, what it computes in, and how it is called with what."""
    torch.manual_seed(0)
    prior = load_prior().net
    yield (
        "prior of series, windows of 64 points",
        torch.float32,
        prior,
        torch.randn(batch, prior.config.in_channels, 64),
    )
    for modality, name in product(("image", "audio"), ("fast", "balanced")):
        data = make_data(modality, work, _SIZES)
        settings = denoiser_settings(preset(name, modality)).with_overrides(["training.num_steps=1"])
        network = same_network(Detector(settings).fit(data.train))
        x0 = network.encode(data.test).x0[:1].repeat(batch, 1, 1, 1)
        size = sum(own.numel() for own in network.net.parameters())
        half = computes_bfloat16(settings.training, 2, torch.device("cpu"), size)
        what = f"denoiser of {_PLURAL[modality]}, {name}, {x0.shape[2]} x {x0.shape[3]} places"
        yield what, torch.bfloat16 if half else torch.float32, network.call, x0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write them where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rates = {dtype: matrix_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
    head = ["operation", "", "ms", "share", "million multiply-adds", "of the matrix rate"]
    lines = [f"Billion multiply-adds/s in products of matrices: {_told(rates)}; {given.batch} at once, one thread."]
    with tempfile.TemporaryDirectory() as work:
        for name, dtype, network, x in _networks(given.batch, Path(work)):
            rows = account(network, x, torch.full((given.batch,), 300))
            whole = rows[-1][1]
            lines += table(f"{name}, {str(dtype).removeprefix('torch.')}", head, [
                [kind, "", f"{1e3 * s:.2f}", f"{100 * s / whole:.0f} %", f"{m / 1e6:,.0f}" if m else "",
                 f"{100 * m / s / rates[dtype]:.0f} %" if m and s else ""] for kind, s, m in rows
            ])  # fmt: skip
    text = "\n".join(lines)
    print(text)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")


def _told(rates: Mapping[torch.dtype, float]) -> str:
    return ", ".join(f"{rate / 1e9:.1f} in {str(dtype).removeprefix('torch.')}" for dtype, rate in rates.items())


if __name__ == "__main__":
    main()
