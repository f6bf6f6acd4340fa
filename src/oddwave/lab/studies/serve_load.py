"""How the service holds under load: many clients at once, each sending one file again and again.

    python -m oddwave.lab.studies.serve_load MODEL FILE [--clients 64] [--seconds 120] [-o RESULT.json]

Starts `oddwave serve` with a history in a passing folder, measures single requests first, then lets all clients ask at
once. Reported: latencies of both, statuses, requests per second, and the memory of the server every second after a
warm-up of a fifth of the time. Wanted: no status but 200 and 429, a p99 below ten times that of a single request, and
memory that does not grow. The clients run in one process of their own and take part of the same cores.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

__all__ = ["main"]

SINGLE = 40  # requests, one after another; the first few warm up
WARM = 5


def started(model: Path, folder: str) -> tuple[subprocess.Popen[str], str]:
    """Start a service and return its process and address."""
    command = [sys.executable, "-m", "oddwave", "serve", f"loaded={model.absolute()}", "--port", "0"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("http://"):
            return process, line.split()[0]
    raise SystemExit("the service did not start")


def resident_mb(process: subprocess.Popen[str]) -> float:
    """Return the memory of a process."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Return latencies in milliseconds."""
    values = 1000 * np.array(seconds or [np.nan])
    return {f"p{p}_ms": round(float(np.percentile(values, p)), 1) for p in (50, 95, 99)}


class Client:
    """One connection that sends the same request again and again; it costs next to nothing beside the server."""

    def __init__(self, address: str, file: Path) -> None:
        place = urlsplit(address)
        self._host, self._port = str(place.hostname), int(place.port or 80)
        body = (
            f'--x\r\nContent-Disposition: form-data; name="f"; filename="{file.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode() + file.read_bytes() + b"\r\n--x--\r\n"  # fmt: skip
        self._request = (
            f"POST /v1/models/loaded/score HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        ).encode() + body
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> tuple[str, float, float]:
        """Send the request; return the status, how long that took, and how long to wait before the next one."""
        began = time.perf_counter()
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            await reader.readexactly(int(fields["content-length"]))
        except (OSError, EOFError, KeyError) as error:
            self._streams = None
            return type(error).__name__, time.perf_counter() - began, 0.2
        return head.split()[1], time.perf_counter() - began, float(fields.get("retry-after", 0))


async def measured(process: subprocess.Popen[str], address: str, file: Path, clients: int, seconds: float) -> Any:
    """Ask one by one, then all at once."""
    first = Client(address, file)
    alone = [await first.ask() for _ in range(SINGLE)]
    found: list[tuple[str, float, float]] = []
    until = time.perf_counter() + seconds

    async def one() -> None:
        own = Client(address, file)
        while time.perf_counter() < until:
            found.append(await own.ask())
            await asyncio.sleep(found[-1][2])

    memory: list[float] = []

    async def watch() -> None:
        while time.perf_counter() < until:
            memory.append(round(resident_mb(process), 1))
            await asyncio.sleep(1.0)

    await asyncio.gather(watch(), *(one() for _ in range(clients)))
    warm = memory[len(memory) // 5 :] or memory
    return {
        "single": quantiles([own[1] for own in alone[WARM:]]),
        "together": quantiles([own[1] for own in found if own[0] == "200"]),
        "statuses": dict(Counter(own[0] for own in [*alone, *found])),
        "requests_per_s": round(len(found) / seconds, 1),
        "memory_mb": {"warm": warm[0], "last": warm[-1], "most": max(warm)},
    }


def main() -> None:
    """Measure, and print or write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("-o", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process, address = started(asked.model, folder)
        try:
            result = asyncio.run(measured(process, address, asked.file, asked.clients, asked.seconds))
        finally:
            process.terminate()
            process.wait(60)
    text = json.dumps({"clients": asked.clients, "seconds": asked.seconds, **result}, indent=2)
    print(text)
    if asked.o:
        asked.o.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
