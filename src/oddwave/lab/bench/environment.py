"""What a cell ran on, and how much memory it took: written beside the results."""

import os
import platform
import resource
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["available_memory_mb", "environment", "peak_memory_mb", "reset_peak_memory"]


def environment(num_threads: int) -> dict[str, Any]:
    """Name the versions, the processor and the threads of a cell."""
    return {
        "package": version("oddwave"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads_per_cell": num_threads,
    }


def available_memory_mb() -> float:
    """Return the memory that could be had now; without limit where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) / 1024
    return float("inf")


def reset_peak_memory() -> None:
    """Begin to measure the peak anew; elsewhere than on Linux the peak stays the worker's, not the cell's."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory_mb() -> float:
    """Return the largest resident memory since `reset_peak_memory`."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
