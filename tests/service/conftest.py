"""Tiny fitted models behind a client that speaks to the application in this process."""

import io
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from oddwave.detector import Detector
from oddwave.service.app import make_app
from oddwave.service.history import History
from oddwave.service.limits import Limits
from oddwave.service.models import load_models


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory, tiny_models):
    """Two saved models: "pump" of two channels, "parts" of images."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_models.saved("stream"), folder / "pump")
    shutil.copytree(tiny_models.saved("retrieved"), folder / "parts")
    return folder


@pytest.fixture(scope="session")
def detectors(model_folders):
    """The same models as detectors, to compare with."""
    return {name: Detector.load(model_folders / name) for name in ("pump", "parts")}


@pytest.fixture
def images(tiny_models):
    """Four images, the second with a bright square."""
    found = tiny_models.gratings(4, 1)
    found[1][8:20, 8:20] = 0.95
    return found


@pytest.fixture
def waves(tiny_models):
    """Rows of two channels, with a step in the first."""
    values = tiny_models.waves(60, 1)
    values[30:36, 0] += 2.0
    return values


@pytest.fixture
def more_waves(tiny_models):
    """As many rows as let an event close while the stream goes on."""
    values = tiny_models.waves(100, 1)
    values[30:36, 0] += 2.0
    return values


@pytest.fixture(scope="session")
def png():
    """Turn an array in [0, 1] into the bytes of a PNG file."""

    def encoded(values):
        buffer = io.BytesIO()
        Image.fromarray(np.round(255 * values).astype(np.uint8)).save(buffer, "png")
        return buffer.getvalue()

    return encoded


@pytest.fixture(scope="session")
def serve(model_folders, tmp_path_factory):
    """Open a client of a service: `with serve("pump", token=..., max_rows=...) as client`."""

    @contextmanager
    def opened(*names, history=True, url=None, spool=None, keep_s=None, token=None, hosts=frozenset(), **limits):
        bounds, folder = Limits(**limits), tmp_path_factory.mktemp("service")
        models = load_models([str(model_folders / name) for name in names or ("pump", "parts")], bounds)
        kept = None
        if history:
            kept = History(url or str(folder / "history.db"), spool or folder / "spool.jsonl", keep_s)
        app = make_app(models, bounds, token=token, history=kept, hosts=hosts)
        with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
            client.service = app.service
            yield client

    return opened


@pytest.fixture(scope="module")
def client(serve):
    """One for all tests of a module: others' requests are in its history."""
    with serve() as opened:
        yield opened
