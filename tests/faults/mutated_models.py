"""Load mutated models, each in a process of its own with bounded time and memory, and print what came of them.

`python tests/faults/mutated_models.py FOLDER FIRST LAST STEP` prints one line of JSON per model: numbers FIRST to LAST.
By hand, to see one again: the same with FOLDER, N, N + 1, 1. `FOLDER fit` makes the intact models first.
"""

import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from model_mutations import mutate
from tiny_models import KINDS, fitted, outcome

CPU_S, WALL_S = 20, 180  # the latter for what waits for ever; a busy machine is slow
_ADDRESS_SPACE = 6 << 30


def make_models(folder: Path) -> None:
    """Fit the intact models, and note what they say."""
    for kind in KINDS:
        model = fitted(kind).save(folder / kind)
        (folder / f"{kind}.json").write_text(json.dumps(outcome(model, kind)))


def judge(folder: Path, number: int) -> dict[str, Any]:
    """Mutate a copy of one of the models and let a process of its own load it and score with it."""
    kind = KINDS[(number // 4) % len(KINDS)]
    sibling = KINDS[(number // 4 + 1) % len(KINDS)]
    model = folder / f"mutated-{number}"
    shutil.copytree(folder / kind, model)
    mutation = mutate(model, folder / sibling, number)
    intact = json.loads((folder / f"{kind}.json").read_text())
    told = _in_a_process(model, kind)
    if told.get("outcome") == "scored":
        same = told.pop("values") == intact
        told["outcome"] = "same" if same else ("other model" if mutation.allowed else "SILENT")
    shutil.rmtree(model)
    return {"number": number, "kind": kind, "family": mutation.family, "text": mutation.text, **told}


def _in_a_process(model: Path, kind: str) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_end)
        _child(model, kind, write_end)
    os.close(write_end)
    parts, until = [], time.monotonic() + WALL_S
    os.set_blocking(read_end, False)
    while time.monotonic() < until:
        try:
            part = os.read(read_end, 2**20)
        except BlockingIOError:
            time.sleep(0.005)
            continue
        if not part:
            break
        parts.append(part)
    else:
        os.kill(child, signal.SIGKILL)
    os.close(read_end)
    _, status, used = os.wait4(child, 0)
    cpu_s = round(used.ru_utime + used.ru_stime, 2)
    text = b"".join(parts)
    if not os.WIFEXITED(status) or not text:
        what = "HANG" if not os.WIFEXITED(status) and os.WTERMSIG(status) in (9, signal.SIGXCPU) else "CRASH"
        return {"outcome": what, "detail": f"status {status}", "cpu_s": cpu_s}
    return {**json.loads(text), "cpu_s": cpu_s}


def _child(model: Path, kind: str, write_end: int) -> None:
    from oddwave.errors import OddwaveError

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    warnings.simplefilter("ignore")
    try:
        told = {"outcome": "scored", "values": outcome(model, kind)}
    except OddwaveError as error:
        line = str(error)
        plain = "\n" not in line and 0 < len(line) <= 900 and line.isprintable()
        told = {"outcome": "refused" if plain else "UNCLEAR", "detail": f"{type(error).__name__}: {line[:900]}"}
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        told = {"outcome": "TRACEBACK", "detail": f"{type(error).__name__}: {str(error)[:200]} ({place})"}
    content = json.dumps(told).encode()
    while content:
        content = content[os.write(write_end, content) :]
    os._exit(0)


if __name__ == "__main__":
    place, *rest = sys.argv[1:]
    if rest == ["fit"]:
        make_models(Path(place))
    else:
        first, last, step = map(int, rest)
        import oddwave.detector
        import oddwave.nets.efficientnet  # noqa: F401 - so that a child has it already

        for own in range(first, last, step):
            print(json.dumps(judge(Path(place), own)), flush=True)
