"""Give the readers Python objects of every kind, and options that no reader has: arrays, frames, tensors, streams.

Each maker takes a random generator and returns what is given as the source. Read `input_cases.py` next.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from mutations import Rng, one_of

__all__ = [
    "AUDIO_OBJECTS",
    "AUDIO_OPTIONS",
    "IMAGE_OBJECTS",
    "IMAGE_OPTIONS",
    "SERIES_OBJECTS",
    "SERIES_OPTIONS",
    "odd_array",
]

Maker = Callable[[Rng], Any]
_TYPES = (
    *(
        "f8",
        "f4",
        "f2",
        "longdouble",
        ">f8",
        "i1",
        "i8",
        "u8",
        "?",
        "c16",
        "U5",
        "S5",
        "O",
        "M8[s]",
        "M8[ns]",
        "m8[ms]",
        "V4",
    ),
    *("f8,i4", "u1", "u2", ">u2", "i2", "i4", "f8", "f8", "f4", "u1"),
)
_SHAPES = (
    *(
        (),
        (0,),
        (1,),
        (5,),
        (0, 3),
        (3, 0),
        (1, 1),
        (60,),
        (60, 2),
        (2, 60),
        (60, 1),
        (20, 2, 24),
        (1, 1, 1),
        (2, 2, 2, 2),
    ),
    *(
        (40, 50),
        (40, 50, 3),
        (3, 40, 50),
        (4, 40, 50, 3),
        (40, 50, 4),
        (40, 50, 7),
        (1, 40, 50),
        (8000,),
        (8000, 2),
        (2, 8000),
    ),
    *((1,) * 9, (700, 1, 1), (1, 700), (64, 64, 0), (2, 300)),
)


def odd_array(rng: Rng) -> Any:
    """Return an array of odd type, shape, layout or values, masked or not."""
    kind, shape = np.dtype(one_of(rng, _TYPES)), one_of(rng, _SHAPES)
    values = rng.normal(size=shape) if rng.random() < 0.5 else rng.uniform(0, 1, size=shape)
    with np.errstate(all="ignore"):
        if kind.kind in "OUS":
            array = np.asarray(values, dtype=kind)
        elif kind.kind == "V":
            array = np.zeros(shape, kind)
        else:
            array = np.asarray(np.asarray(values) * (100 if kind.kind in "iuMm" else 1)).astype(kind)
    return _twisted(array, rng)


def _twisted(array: np.ndarray, rng: Rng) -> Any:
    how = int(rng.integers(12))
    if how == 0:
        array = np.ma.MaskedArray(array, mask=np.asarray(rng.random(array.shape) < 0.3))
    elif how == 1 and array.ndim:
        array = array[::-2]
    elif how == 2:
        array = np.asfortranarray(array.T)
    elif how == 3 and array.dtype.kind == "f" and array.size:
        array = array.copy()
        array.flat[:: int(rng.integers(1, 9))] = float(one_of(rng, ("nan", "inf", "-inf", "1e300", "-1")))
    elif how == 4:
        array = np.broadcast_to(array, (3, *array.shape))
    elif how == 5:
        array.flags.writeable = False
    elif how == 6 and array.ndim == 2:
        return np.matrix(array) if array.dtype.kind in "fiu" else array
    elif how == 7 and array.ndim:
        return [*array]
    elif how == 8 and array.dtype.kind in "fiub":
        return _tensor(array, rng)
    return array


def _tensor(array: np.ndarray, rng: Rng) -> Any:
    import torch

    usual = array.astype(array.dtype.newbyteorder("=") if array.dtype.itemsize <= 8 else np.float64)
    tensor = torch.from_numpy(np.ascontiguousarray(usual).copy())
    how = int(rng.integers(8))
    if how == 0 and tensor.is_floating_point():
        return tensor.requires_grad_()
    if how in (1, 2):
        return tensor.to((torch.bfloat16, torch.complex64)[how - 1])
    if how == 3:
        return tensor.to("meta")
    if how == 4 and tensor.ndim == 2:
        return tensor.to_sparse()
    if how == 5 and tensor.is_floating_point():
        return torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8) if tensor.numel() else tensor
    return tensor


class _Liar:
    """Says that it is an array, and is none."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


FRAMES: tuple[Maker, ...] = (
    lambda rng: _frame(),
    lambda rng: _frame().set_axis(rng.permutation(60)),
    lambda rng: _frame().set_axis(_times("s", "Europe/Berlin")),
    lambda rng: _frame().set_axis(_times("ns", None), axis=0).tz_localize("US/Eastern"),
    lambda rng: _frame().set_axis([f"row {i}" for i in range(60)]),
    lambda rng: _frame().rename_axis("when\x1b[31m"),
    lambda rng: _frame().set_index(["a", "b"]),
    lambda rng: _frame().T,
    lambda rng: _frame().set_axis(["same", "same", "c"], axis=1),
    lambda rng: _frame().set_axis([("x", 1), ("x", 2), ("y", 1)], axis=1),
    lambda rng: _frame().set_axis([None, float("nan"), 3], axis=1),
    lambda rng: _frame().set_axis(["", "line\nbreak", "x" * 3000], axis=1),
    lambda rng: _frame().iloc[:0],
    lambda rng: _frame().iloc[:, :0],
    lambda rng: _frame().iloc[:1],
    lambda rng: _frame().astype({"a": "category", "b": "string"}),
    lambda rng: _frame().astype("Float64").mask(_frame() > 0),
    lambda rng: _frame().astype(str).replace("", None),
    lambda rng: _frame().astype(complex),
    lambda rng: _frame().assign(d=[{1: 2}, [3], None] * 20),
    lambda rng: _frame().assign(d=_times("s", None), e=_times("s", None)),
    lambda rng: _frame().assign(d=_times("s", None) - _times("s", None)[0]),
    lambda rng: _frame()["a"],
    lambda rng: _frame()["a"].rename(None),
    lambda rng: _frame()["a"].astype("Sparse[float]"),
    lambda rng: _frame().groupby("a"),
    lambda rng: _frame().columns,
    lambda rng: _frame().index,
    lambda rng: _frame().rolling(3),
    lambda rng: _frame().assign(time=["2500-01-01", "1500-01-01"] * 30),
    lambda rng: _frame().assign(time=[__import__("datetime").date(2025, 1, 1 + i % 28) for i in range(60)]),
    lambda rng: _frame().assign(d=[10**30] * 60),
    lambda rng: _frame().set_axis(_times("s", None).to_period("h")),
    lambda rng: {"one": _frame(), "two": _frame().iloc[:9]},
    lambda rng: [_frame(), _frame()["a"]],
    lambda rng: _arrow(),
    lambda rng: _arrow().to_batches()[0],
)


def _frame() -> Any:
    import pandas as pd

    return pd.DataFrame(np.random.default_rng(5).normal(size=(60, 3)), columns=["a", "b", "c"])


def _times(unit: str, zone: str | None) -> Any:
    import pandas as pd

    return pd.date_range("2025-03-30", periods=60, freq="h", tz=zone).as_unit(unit)


def _arrow() -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(_frame())


_THINGS: tuple[Maker, ...] = (
    lambda rng: None,
    lambda rng: one_of(rng, (0, 1.5, -1, True, 10**400, float("nan"), 1j, ..., NotImplemented, object(), int, len)),
    lambda rng: one_of(rng, ([], {}, (), set(), frozenset(), range(0), iter(()), [[]], [[], []], {"": []}, [()])),
    lambda rng: one_of(rng, (b"", b"1,2\n3,4\n", bytearray(b"\0\1"), memoryview(b"a"), "", "\0", "x" * 5000, "a\nb")),
    lambda rng: one_of(rng, (io.BytesIO(b"a,b\n1,2\n"), io.StringIO("a\n1\n2\n"), io.BytesIO(b""), io.StringIO("\0"))),
    lambda rng: range(90),
    lambda rng: (float(i) for i in range(90)),
    lambda rng: list(rng.normal(size=90)),
    lambda rng: [*rng.normal(size=50), None, "x"],
    lambda rng: [[1, 2], [3, 4, 5]],
    lambda rng: [[[1.0]], [[2.0], [3.0]]],
    lambda rng: [10**400, 1, 2],
    lambda rng: {"a": [1, 2], "b": [[1, [2]]]},
    lambda rng: {i: rng.normal(size=(60, i + 1)) for i in range(3)},
    lambda rng: {"x\x1b[31m\n": rng.normal(size=90)},
    lambda rng: {None: rng.normal(size=90), (1, 2): rng.normal(size=90)},
    lambda rng: {"a": rng.normal(size=90), "b": None},
    lambda rng: [odd_array(rng), odd_array(rng)],
    lambda rng: {"a": odd_array(rng), "b": odd_array(rng)},
    lambda rng: (odd_array(rng), odd_array(rng)),
    lambda rng: _Liar(one_of(rng, (None, "text", [1], RuntimeError("no"), ValueError("no\nway"), 3))),
    lambda rng: [_Liar(RuntimeError("\x1b[31m"))],
    lambda rng: _nested(900),
    lambda rng: np.random.default_rng(0),
    lambda rng: [["a.csv", 1], 2],
    lambda rng: {"a", "b"},
    lambda rng: [b"bytes.csv"],
    lambda rng: b"bytes.csv",
    lambda rng: type("Path", (), {"__fspath__": lambda self: b"\xff.csv"})(),
    lambda rng: type("Path", (), {"__fspath__": lambda self: 3})(),
)  # fmt: skip


def _nested(depth: int) -> list[Any]:
    inner: list[Any] = [1.0]
    for _ in range(depth):
        inner = [inner]
    return inner


def _image(mode: str, size: tuple[int, int] = (30, 20)) -> Any:
    from PIL import Image

    return Image.new(mode, size)


def _cut_image(rng: Rng) -> Any:
    """Return an open image whose file ends in the middle."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (60, 60), dtype=np.uint8)).save(file, one_of(rng, ("PNG", "BMP", "TIFF")))
    return Image.open(io.BytesIO(file.getvalue()[: len(file.getvalue()) // 2]))


IMAGE_OBJECTS: tuple[Maker, ...] = (
    *_THINGS,
    lambda rng: _image(one_of(rng, ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB"))),
    lambda rng: _image(one_of(rng, ("I", "F", "HSV", "RGBX", "I;16", "I;16B"))),
    lambda rng: [_image("L", (0, 5)), _image("L")],
    lambda rng: [_image("L"), rng.uniform(size=(20, 30))],
    lambda rng: [_image("L"), "image.png"],
    _cut_image,
    lambda rng: [_image("L"), _cut_image(rng)],
)
_RATES = (
    8000,
    8000.0,
    8000.5,
    0,
    -1,
    99,
    10**400,
    float("nan"),
    float("inf"),
    True,
    "8000",
    None,
    np.int16(8000),
    2**31,
    1e300,
)
AUDIO_OBJECTS: tuple[Maker, ...] = (
    *_THINGS,
    lambda rng: (rng.normal(size=8000) * 0.1, one_of(rng, _RATES)),
    lambda rng: (one_of(rng, _RATES), rng.normal(size=8000) * 0.1),
    lambda rng: (odd_array(rng), 8000),
    lambda rng: (odd_array(rng), 44_100),
    lambda rng: [(odd_array(rng), 8000), (rng.normal(size=8000) * 0.1, 8000)],
    lambda rng: {"a": (odd_array(rng), 8000), "b\x1b[1m\n": (rng.normal(size=900) * 0.1, 7919)},
    lambda rng: [(rng.normal(size=8000), 8000, 1), (rng.normal(size=8000),), ()],
    lambda rng: (np.full(9000, np.nan), 8000),
    lambda rng: (np.full((9000, 2), 1e38), 8000),
    lambda rng: (rng.normal(size=(50_000, 3)).astype(np.float32), 96_001),
)  # fmt: skip

SERIES_OPTIONS: dict[str, tuple[Any, ...]] = {
    "timestamp": (0, -1, 99, 1.5, True, "", "time", "TIME", "flow", "\x1b[31m", [], ["time"], b"time", 2**70),
    "columns": (
        "flow",
        "*",
        [],
        [""],
        ["flow", "flow"],
        ["flow", 0],
        [99],
        [-1],
        [True],
        [1.5],
        [None],
        3,
        {"flow"},
        "x" * 5000,
        ["\x1b[1m\n"],
    ),
    "exclude": ("flow", [], ["*"], ["[", "]"], ["**"], [99], [None], 3, "x" * 5000, ["\x1b[1m"]),
    "delimiter": ("", ",,", "\n", '"', "tab", "\0", 3, b",", "é", " ", "\x1b", ";"),
    "header": ("yes", 2, [], None, True, False, 0.5),
    "kind": ("table", "", None, 3, "panel", "stream", ["panel"], "\x1b[31m"),
    "label_column": ("yes", 3, None, True, False, "\x1b[31m", [], "auto"),
    "max_gap": (-1, 0, 2**63, 10**30, "3", 1.5, float("nan"), None, True, []),
}
IMAGE_OPTIONS: dict[str, tuple[Any, ...]] = {
    "on_error": ("stop", "skip", "ignore", None, 3, [], "\x1b[31m"),
    "recursive": (False, "no", None, [], 3),
    "part": ("train", "test", "", None, 3, ["train"], "\x1b[31m\n"),
    "subset": (0, 1, -1, 2**70, 1.5, "3", True, float("nan"), []),
    "max_pixels": (0, 1, -1, 2**70, 1.5, "3", None, float("nan"), []),
}
AUDIO_OPTIONS: dict[str, tuple[Any, ...]] = {
    "channels": ("each", "mix", "left", None, 0, [], "\x1b[31m\n"),
    **{name: IMAGE_OPTIONS[name] for name in ("on_error", "recursive", "part")},
}
SERIES_OBJECTS: tuple[Maker, ...] = (*_THINGS, *FRAMES)
