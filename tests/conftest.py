"""Small normal data, a tiny configuration, and detectors fitted once for all tests that only look at them."""

import functools
import hashlib
import importlib.util
import os
import signal
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from oddwave.config import preset

TINY = (
    "training.num_steps=5",
    "training.batch_size=8",
    "training.num_validation_draws=8",
    "network.base_channels=8",
    "network.channel_mult=[1, 2]",
    "scoring.noise_levels=[0.5]",
    'scoring.memory_spaces=["input", "feature"]',
    "series.max_windows=100",
    "series.tensor_length=16",
    "series.window_sizes=[16]",
    "calibration.alpha=0.05",
)


def _tiny_config(*overrides):
    return preset("fast").with_overrides([*TINY, *overrides])


def _waves(n=300, channels=1, seed=0):
    """A noisy sine of period 16 per channel, (n, C)."""
    rng, time = np.random.default_rng(seed), np.arange(n)
    return np.stack([np.sin(2 * np.pi * time / 16 + c) + 0.1 * rng.normal(size=n) for c in range(channels)], axis=1)


def _beats(num=40, channels=1, length=24, seed=0):
    """Instances of one shape at slightly different phases, (N, C, L)."""
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(length) / 3 + rng.uniform(0, 0.4, size=(num, channels, 1)))
    return wave + 0.05 * rng.normal(size=(num, channels, length))


def pytest_configure() -> None:
    """Hear Ctrl-C and a lost terminal even where the shell that started the tests (nohup, &) made them deaf to it."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the rows that the suites of faults put down: `record_property("faults", "| ... |")`."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    rows = [row for report in reports for name, row in getattr(report, "user_properties", ()) if name == "faults"]
    for row in dict.fromkeys(rows):
        terminalreporter.write_line(row)


@pytest.fixture(autouse=True, scope="session")
def _no_lines_between():
    """Let a slow machine print no lines about how far it is into what tests expect to be silent."""
    from oddwave import progress

    progress.FIRST_LINE_S = 3600.0


_MOST_REMEMBERED_BYTES = 2**27


@pytest.fixture(autouse=True, scope="session")
def _the_prior_answers_once():
    """Let the shipped prior of series, most of the work of small fits, look at the same evidence once per process.

    What it said is given again to the bit; other weights, and what is traced or differentiated, are computed anew.
    """
    import torch

    from oddwave.scoring import prior

    forward, known, sizes = prior.Prior.forward, OrderedDict(), []

    @functools.wraps(forward)
    def remembered(self, x, t=None):
        plain = t is None and type(x) is torch.Tensor and not torch.compiler.is_compiling()
        shipped = prior.load_prior.cache_info().currsize and self is prior.load_prior()
        if not plain or not shipped or x.requires_grad or x.device.type != "cpu":
            return forward(self, x, t)
        key = (tuple(x.shape), hashlib.blake2b(x.contiguous().numpy().data, digest_size=16).digest())
        if key not in known:
            known[key] = forward(self, x, t)
            sizes.append(3 * x[:, :, 0].nbytes)
            while sum(sizes) > _MOST_REMEMBERED_BYTES:
                known.popitem(last=False)
                sizes.pop(0)
        return prior.PriorSays(*(said.clone() for said in known[key]))

    patch = pytest.MonkeyPatch()
    patch.setattr(prior.Prior, "forward", remembered)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def tiny_config():
    """Give a config that fits in less than a second: `tiny_config("scoring.aggregate=point")`."""
    return _tiny_config


@pytest.fixture(scope="session")
def saved_files():
    """Give what edits a saved model and signs it again: `place_of`, `rewritten`, `signed_again`."""
    path = Path(__file__).parent / "faults" / "model_mutations.py"
    spec = importlib.util.spec_from_file_location("model_mutations", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    """Give `faults/tiny_models.py`, and `saved(kind)`: a saved model of the kind, fitted once for all workers of a run.

    Tests must not change what lies there: they copy it.
    """
    spec = importlib.util.spec_from_file_location("tiny_models", Path(__file__).parent / "faults" / "tiny_models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    base = tmp_path_factory.getbasetemp()  # of this worker, where there are several
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny_models"
    folder.mkdir(exist_ok=True)

    def saved(kind):
        with FileLock(folder / f"{kind}.lock"):
            if not (folder / kind).exists():
                module.fitted(kind).save(folder / kind)
        return folder / kind

    module.saved = saved
    return module


@pytest.fixture(scope="session")
def waves():
    return _waves


@pytest.fixture(scope="session")
def beats():
    return _beats


@pytest.fixture(scope="session")
def stream_detector():
    """Fitted on two channels, two window sizes and two noise levels; tests must not change it."""
    from oddwave.detector import Detector

    config = _tiny_config("series.window_sizes=[16, 24]", "scoring.noise_levels=[0.15, 0.5]")
    return Detector(config).fit(_waves(500, channels=2))


@pytest.fixture(scope="session")
def panel_detector():
    """Fitted on forty instances; tests must not change it."""
    from oddwave.detector import Detector

    return Detector(_tiny_config("calibration.alpha=0.2")).fit(_beats())
