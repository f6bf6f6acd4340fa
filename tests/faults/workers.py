"""Give cases to the readers in processes of their own and judge what comes out: read, refused, or a fault.

A process reads many cases, one after the other; after a crash, a hang, or too much memory another one takes its place.
By hand, to see one case again: `python tests/faults/workers.py --case "images/photo.jpg/JPEG EXIF/3"`.

A fault is: any exception that is no `OddwaveError`; a message of several lines, of more than 500 characters, or with
control characters; a warning; more than 20 s of processor time or 60 s in all; a process that dies; results that
cannot be (infinite values, pixels outside [0, 1], label 0 without a score); a process that ever takes more than 1 GiB
of memory (resident, with interpreter and libraries) while it reads, or a refusal only because memory had run out.
"""

import argparse
import contextlib
import faulthandler
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from input_cases import Case, case_names, make_case

__all__ = ["Outcome", "judge_cases", "judge_suite", "summary_row"]

CPU_S, WALL_S, MOST_BYTES, LONGEST = 20, 60, 1 << 30, 500
_ADDRESS_SPACE = 6 << 30  # so that a fault cannot take the whole machine with it
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `kind` is "read", "refused" or "FAULT"."""

    name: str
    kind: str
    detail: str
    seconds: float
    peak_bytes: int


class _FaultError(Exception):
    """What was read cannot be."""


def _check(good: bool, what: str) -> None:
    if not good:
        raise _FaultError(what)


def _check_message(text: str) -> None:
    found = _CONTROL.search(text)
    _check(not found, f"control character {found.group()!r} in {text[:200]!r}" if found else "")
    _check(0 < len(text) <= LONGEST, f"message of {len(text)} characters: {text[:100]!r}")


def _read_series(case: Case) -> str:
    from oddwave.sources.series.reader import read_series

    series = read_series(case.source, **case.options)
    for item in series.items:
        _check(item.values.ndim == 2 and item.values.dtype == np.float64, f"values {item.values.shape}")
        _check(not np.isinf(item.values).any(), "infinite values")
        _check(len(set(item.channel_names)) == item.values.shape[1], f"channel names {item.channel_names[:5]}")
        _check(item.row_index.size == 0 or item.row_index.max() < len(item.values), "rows beyond the last point")
        if item.timestamps is not None:
            _check(bool((np.diff(item.timestamps) >= np.timedelta64(0)).all()), "times not in order")
        for note in item.notes:
            _check(not _CONTROL.search(note), f"control character in the note {note[:200]!r}")
    return f"{series.kind}, {len(series.items)} item(s)"


def _read_images(case: Case) -> str:
    from oddwave.sources.image.items import ImageFailure
    from oddwave.sources.image.reader import read_images

    images = read_images(case.source, **case.options)
    if case.then:
        case.then()
    failures = list(images.failures)
    for item in images.items:
        pixels = item.try_pixels()
        if isinstance(pixels, ImageFailure):
            failures.append(pixels)
            continue
        _check(pixels.shape == (*item.size, item.channels), f"pixels {pixels.shape}, said {item.size}, {item.channels}")
        _check(bool(((pixels >= 0) & (pixels <= 1)).all()), "pixels outside [0, 1]")
    for failure in failures:
        _check_message(failure.message)
    for note in images.notes:
        _check(not _CONTROL.search(note), f"control character in the note {note[:200]!r}")
    return f"{len(images.items)} image(s), {len(failures)} failure(s)"


def _read_audio(case: Case) -> str:
    from oddwave.sources.audio.items import AudioFailure
    from oddwave.sources.audio.reader import read_audio

    recordings = read_audio(case.source, **case.options)
    if case.then:
        case.then()
    failures = list(recordings.failures)
    for item in recordings.items:
        samples = item.try_samples(8000)
        if isinstance(samples, AudioFailure):
            failures.append(samples)
            continue
        _check(samples.ndim == 1 and samples.dtype == np.float32, f"samples {samples.shape} {samples.dtype}")
        _check(bool(np.isfinite(samples).all()), "samples that are not finite")
    for failure in failures:
        _check_message(failure.message)
    for note in recordings.notes:
        _check(not _CONTROL.search(note), f"control character in the note {note[:200]!r}")
    return f"{len(recordings.items)} recording(s), {len(failures)} failure(s)"


_READ = {"series": _read_series, "images": _read_images, "audio": _read_audio}


def _made(name: str, seed: int, folder: Path) -> tuple[Case, Callable[[Case], str]]:
    """Make a case and say who reads it: a reader, or for a case of the suite "doors" a detector or a command."""
    suite, door, other, *rest = [*name.split("/"), "", ""]
    if suite != "doors":
        case = make_case(name, seed, folder)
        return case, _READ[case.reader]
    import doors

    names = case_names(other, 200)
    case = make_case(names[(int(rest[0]) * 37 + len(other)) % len(names)], seed, folder)
    doors.open_door(case.reader, folder.parent)
    through = doors.through_command if door == "command" else doors.through_detector
    return case, lambda case: through(case, folder)


def _forget_peak() -> None:
    """Begin to measure anew: making the case may have taken more memory than reading it will."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _judge(name: str, seed: int) -> Outcome:
    """Read one case in this process."""
    from oddwave.errors import OddwaveError

    folder = Path(tempfile.mkdtemp(dir=os.environ["FAULTS_FOLDER"]))
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # making may take longer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case, read = _made(name, seed, folder)
    _forget_peak()
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + CPU_S + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
    faulthandler.dump_traceback_later(WALL_S, exit=True)
    kind, detail, begin = "read", "", time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            detail = read(case)
        except OddwaveError as error:
            kind, detail = "refused", f"{type(error).__name__}: {error}"
            try:
                _check_message(str(error))
            except _FaultError as fault:
                kind, detail = "FAULT", f"{type(error).__name__}: {fault}"
            if _is_out_of_memory(error):
                kind, detail = "FAULT", f"refused for want of memory only: {error}"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = "FAULT"
            detail = f"{type(error).__name__}: {str(error)[:300]} ({Path(place.filename).name}:{place.lineno})"
    if warned and kind != "FAULT":
        first = warned[0]
        kind, detail = "FAULT", f"warning {first.category.__name__}: {first.message} ({Path(first.filename).name})"
    faulthandler.cancel_dump_traceback_later()
    peak = _peak_bytes()
    if peak > MOST_BYTES and kind != "FAULT":
        kind, detail = "FAULT", f"took {peak / 2**30:.2f} GiB; {kind}: {detail}"
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(name, kind, detail[:600], time.perf_counter() - begin, peak)


def _is_out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _work(seed: int) -> None:
    """Read names from standard input and write outcomes to standard output, one JSON line each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        outcome = _judge(json.loads(line), seed)
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()
        if outcome.peak_bytes > MOST_BYTES:
            os._exit(0)  # what was taken is not always given back: the next case begins anew


class _Worker:
    """A process that reads cases; started when first needed, again after its death."""

    def __init__(self, seed: int, folder: Path, messages: Path) -> None:
        self.seed, self.folder, self.messages, self.process = seed, folder, messages, None

    def ask(self, name: str) -> Outcome:
        """Let one case be read; a process that dies or does not answer is a fault."""
        process = self._started()
        begin = time.monotonic()
        try:
            process.stdin.write(json.dumps(name) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            self.stop()
            process = self._started()
            process.stdin.write(json.dumps(name) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if line:
            outcome = Outcome(**json.loads(line))
            if outcome.peak_bytes > MOST_BYTES:
                self.stop()
            return outcome
        status = process.wait()
        self.stop()
        last = _last_lines(self.messages)
        how = (
            f"more than {CPU_S} s of processor time" if status == -signal.SIGXCPU else f"died, status {status}: {last}"
        )
        return Outcome(name, "FAULT", how, time.monotonic() - begin, 0)

    def _started(self) -> Any:
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-X", "faulthandler", str(Path(__file__)), "--work", "--seed", str(self.seed)]
            with self.messages.open("w") as errors:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    bufsize=1,
                    env=os.environ | {"FAULTS_FOLDER": str(self.folder)},
                )
        return self.process

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None


def _last_lines(path: Path) -> str:
    text = path.read_text(errors="replace")
    frames = re.findall(r'File "[^"]*?([^/"]+)", line (\d+) in (\w+)', text)
    way = " < ".join(f"{name}:{line} {function}" for name, line, function in frames[:6])
    return f"no answer in {WALL_S} s, in {way}" if "Timeout (" in text else way or " ".join(text[-200:].split())


def judge_suite(suite: str, number: int, seed: int, folder: Path, num_workers: int = 1) -> list[Outcome]:
    """Read so many cases of a suite; outcomes in the order of their names."""
    names = case_names(suite, number)
    return judge_cases(names, seed, folder, num_workers)


def judge_cases(names: list[str], seed: int, folder: Path, num_workers: int = 1) -> list[Outcome]:
    """Read the named cases, shared out among so many processes."""
    outcomes: dict[str, Outcome] = {}

    def run(which: int) -> None:
        worker = _Worker(seed, folder, folder / f"messages_{which}")
        for name in names[which::num_workers]:
            outcomes[name] = worker.ask(name)
        worker.stop()

    threads = [threading.Thread(target=run, args=(which,)) for which in range(num_workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcomes[name] for name in names]


def summary_row(suite: str, outcomes: list[Outcome]) -> str:
    """Return a suite's row of the table in docs/reliability.md."""
    kinds = [outcome.kind for outcome in outcomes]
    seconds = [outcome.seconds for outcome in outcomes]
    cells = (
        *(suite, len(kinds), kinds.count("read"), kinds.count("refused"), kinds.count("FAULT")),
        *(f"{max(o.peak_bytes for o in outcomes) / 2**20:.0f}", f"{max(seconds):.1f}", f"{sum(seconds):.0f}"),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if options.work:
        _work(options.seed)
        return
    names = [name for suite in options.suite for name in case_names(suite, options.number)] + options.case
    with tempfile.TemporaryDirectory() as folder:
        for outcome in judge_cases(names, options.seed, Path(folder), options.workers):
            print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    _main()
