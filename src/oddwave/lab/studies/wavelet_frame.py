"""Compare `WaveletFrame` with the continuous wavelet transforms of other libraries: time, memory, round trip.

    python -m oddwave.lab.studies.wavelet_frame [--seconds 10] [--repeats 5] [--threads 1]

Ten seconds of sound at 22.05 kHz, 128 rows, 20 Hz to 10.4 kHz, one float32 channel. Every method runs in a process of
its own, which reads its own peak memory; times are medians over runs that take turns, so that a busy moment of the
machine hits all methods alike. PyWavelets is a dependency; ssqueezepy and ptwt are compared where they are installed.
Writes benchmarks/results/wavelet_frame.md and .json.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

__all__ = ["main"]

RATE, LOW_HZ, HIGH_HZ, ROWS = 22050, 20.0, 0.47 * 22050, 128
RESULTS = Path("benchmarks/results")
Method = tuple[Callable[[], Any], Callable[[Any], np.ndarray] | None]


def audio(seconds: float) -> np.ndarray:
    """Return a machine with a squeal: hum, coloured noise, one gliding tone; full scale at most."""
    rng, t = np.random.default_rng(0), np.arange(round(seconds * RATE)) / RATE
    hum = sum(0.2 / k * np.sin(2 * np.pi * 50 * k * t + k) for k in (1, 2, 3, 5, 8))
    noise = np.convolve(rng.normal(size=len(t)), np.exp(-np.arange(60) / 8), "same")
    squeal = 0.1 * np.sin(2 * np.pi * (2000 * t + 300 * np.sin(t))) * (np.abs(t - 0.6 * seconds) < 0.5)
    samples: np.ndarray = (0.5 * hum + 0.05 * noise + squeal).astype(np.float32)
    return samples


def frame_method(x: np.ndarray, form: str) -> Method:
    """Return a form of WaveletFrame: `cwt` at full rate, `analyse` decimated, `map` pooled to 256 columns."""
    import torch

    from oddwave.wavelets.frame import WaveletFrame

    frame = WaveletFrame(len(x), float(RATE), f_min=LOW_HZ, f_max=HIGH_HZ, num_bands=ROWS - 2)
    signal = torch.from_numpy(x)
    if form == "cwt":
        return lambda: frame.cwt(signal), lambda c: frame.icwt(c).numpy()
    if form == "map":
        return lambda: frame.power_map(frame.analyse(signal)), None
    return lambda: frame.analyse(signal), lambda c: frame.synthesise(c).numpy()


def pywt_method(x: np.ndarray) -> Method:
    """Return PyWavelets' transform by FFT, and the usual sum over scales for its missing inverse."""
    import pywt

    scales = RATE / np.geomspace(LOW_HZ, HIGH_HZ, ROWS)

    def inverse(coefficients: np.ndarray) -> np.ndarray:
        summed = (coefficients.real / np.sqrt(scales)[:, None]).sum(0)
        return np.asarray(summed * (summed @ x / (summed @ summed)))  # the constant that suits it best

    return lambda: pywt.cwt(x, scales, "cmor1.5-1.0", method="fft")[0], inverse


def ptwt_method(x: np.ndarray) -> Method:
    """Return ptwt's transform, PyWavelets' in torch; it has no inverse either, so its sum over scales is taken."""
    import ptwt
    import torch

    signal, scales = torch.from_numpy(x), RATE / np.geomspace(LOW_HZ, HIGH_HZ, ROWS)

    def inverse(coefficients: Any) -> np.ndarray:
        summed = (coefficients.real / torch.from_numpy(np.sqrt(scales))[:, None]).sum(0).numpy()
        return np.asarray(summed * (summed @ x / (summed @ summed)))

    return lambda: ptwt.cwt(signal, scales, "cmor1.5-1.0")[0], inverse


def ssqueezepy_method(x: np.ndarray) -> Method:
    """Return ssqueezepy's Morse transform and its own inverse (a sum over scales)."""
    import ssqueezepy

    wavelet = ssqueezepy.Wavelet(("gmw", {"gamma": 3, "beta": 20}))
    peak = ssqueezepy.experimental.scale_to_freq(np.array([1.0, 2.0]), wavelet, len(x), fs=1.0)[0]
    scales = peak * RATE / np.geomspace(HIGH_HZ, LOW_HZ, ROWS)
    scales = scales.astype(np.float32)

    def inverse(made: Any) -> np.ndarray:
        back = ssqueezepy.icwt(made, wavelet, scales, x_len=len(x))
        return np.asarray(back * (back @ x / (back @ back)))

    return lambda: ssqueezepy.cwt(x, wavelet, scales)[0], inverse


METHODS: dict[str, tuple[str, Callable[[np.ndarray], Method]]] = {
    "WaveletFrame.cwt": ("oddwave", lambda x: frame_method(x, "cwt")),
    "WaveletFrame.analyse": ("oddwave", lambda x: frame_method(x, "analyse")),
    "WaveletFrame.analyse and power_map": ("oddwave", lambda x: frame_method(x, "map")),
    "pywt.cwt": ("PyWavelets", pywt_method),
    "ptwt.cwt": ("ptwt", ptwt_method),
    "ssqueezepy.cwt": ("ssqueezepy", ssqueezepy_method),
}


def measure_once(name: str, seconds: float, threads: int) -> dict[str, Any]:
    """Measure one method in this process: the least of three calls after one to warm up; its memory and its error."""
    import torch

    torch.set_num_threads(threads)
    x = audio(seconds)
    try:
        forward, inverse = METHODS[name][1](x)
    except ImportError as missing:
        return {"method": name, "skipped": f"not installed ({missing.name})"}
    made = forward()
    before = resource.getrusage(resource.RUSAGE_SELF)
    times = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        made = forward()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    row: dict[str, Any] = {"method": name, "wall_s": min(w for w, _ in times), "cpu_s": min(c for _, c in times)}
    row["peak_mib"] = before.ru_maxrss / 1024
    if inverse is not None:
        back = inverse(made)
        row["round_trip_error"] = float(np.linalg.norm(back - x) / np.linalg.norm(x))
        start = time.perf_counter()
        inverse(made)
        row["inverse_wall_s"] = time.perf_counter() - start
    return row


def baseline_mib(seconds: float) -> float:
    """Return the memory of a process that holds torch, PyWavelets and the sound, and transforms nothing."""
    import pywt  # noqa: F401
    import torch  # noqa: F401

    audio(seconds)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_turns(seconds: float, repeats: int, threads: int) -> list[dict[str, Any]]:
    """Run every method `repeats` times, one after the other, and give the medians."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in METHODS}
    bare = _child("baseline", seconds, threads)
    for turn in range(repeats):
        for name in METHODS:
            if not any("skipped" in run for run in runs[name]):
                runs[name].append(_child(name, seconds, threads))
        print(f"turn {turn + 1} of {repeats} done", file=sys.stderr)
    rows = []
    for name, own in runs.items():
        if "skipped" in own[0]:
            rows.append(own[0])
            continue
        row = {key: median(run[key] for run in own) for key in own[0] if key != "method"}
        row["peak_mib"] = max(0.0, row["peak_mib"] - float(bare))
        rows.append({"method": name, **row})
    return rows


def _child(name: str, seconds: float, threads: int) -> Any:
    command = [sys.executable, __file__, "--only", name, "--seconds", str(seconds), "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return {"method": name, "skipped": f"failed: {done.stderr.strip().splitlines()[-1][:100]}"}
    return json.loads(done.stdout.splitlines()[-1])


def environment(threads: int) -> dict[str, Any]:
    """Say on what this was measured."""
    versions = {}
    for package in ("oddwave", "torch", "numpy", "PyWavelets", "ptwt", "ssqueezepy"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    processor = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    return {
        "date": date.today().isoformat(),
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": threads,
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **versions,
    }


def markdown(rows: list[dict[str, Any]], facts: dict[str, Any], seconds: float, repeats: int) -> str:
    """Write the table."""
    lines = [
        "# Continuous wavelet transforms compared",
        "",
        f"{seconds:g} s of sound at {RATE / 1000:g} kHz in {ROWS} rows, float32; medians of {repeats} processes",
        "per method that took turns, each the best of three calls. Other work on the machine lengthens wall time,",
        "hardly CPU time. Memory is the process's peak above one that only imports and holds the sound. The round trip",
        "is the relative L2 error of the method's inverse; pywt and ptwt have none, a sum over scales stands in, and",
        "all sums over scales get the constant that suits them best. The map alone cannot be inverted.",
        "",
        "| method | wall s | CPU s | peak MiB | inverse, wall s | round-trip error |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        if "skipped" in row:
            lines.append(f"| `{row['method']}` | {row['skipped']} | | | | |")
            continue
        back = f"{row['inverse_wall_s']:.3f}" if "inverse_wall_s" in row else "-"
        error = row.get("round_trip_error", math.nan)
        shown = "-" if math.isnan(error) else f"{error:.2g}"
        cells = (
            f"`{row['method']}`",
            f"{row['wall_s']:.3f}",
            f"{row['cpu_s']:.3f}",
            f"{row['peak_mib']:.0f}",
            back,
            shown,
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Measured with: " + ", ".join(f"{key} {value}" for key, value in facts.items()) + ".", ""]
    return "\n".join(lines)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        only = given.only
        print(
            json.dumps(
                baseline_mib(given.seconds) if only == "baseline" else measure_once(only, given.seconds, given.threads)
            )
        )
        return
    facts = environment(given.threads)
    rows = in_turns(given.seconds, given.repeats, given.threads)
    text = markdown(rows, facts, given.seconds, given.repeats)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "wavelet_frame.md").write_text(text, encoding="utf-8")
    kept = {"seconds": given.seconds, "repeats": given.repeats, "rows": rows, "environment": facts}
    (RESULTS / "wavelet_frame.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
