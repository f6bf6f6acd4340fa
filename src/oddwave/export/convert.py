"""A graph of torch becomes a file that others read: ONNX, OpenVINO's IR, or torch's own exported program.

All three come from one exported program. A few operations that ONNX has no name for, or its runtime no kernel in
double precision, are written out in others (`_TABLE`).
"""

import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from oddwave.errors import ConfigError, MissingExtraError

__all__ = ["FORMATS", "GRAPH_FILES", "Format", "Run", "convert", "program_of", "require_extra", "runner_of"]

Format = Literal["onnx", "openvino", "torch-export"]
FORMATS: tuple[Format, ...] = get_args(Format)
Run = Callable[..., list[np.ndarray]]

GRAPH_FILES: dict[Format, str] = {"onnx": "model.onnx", "openvino": "model.xml", "torch-export": "model.pt2"}
_NEEDED: dict[Format, tuple[tuple[str, ...], str]] = {
    "onnx": (("onnx", "onnxscript", "onnxruntime"), "onnx"),
    "openvino": (("openvino",), "openvino"),
    "torch-export": ((), ""),
}
_OPSET = 18


def require_extra(format: str) -> Format:
    """Return a format whose packages are there. Raises: ConfigError for another; MissingExtraError without them."""
    known = next((each for each in FORMATS if each == format), None)
    if known is None:
        raise ConfigError(f"--format is {format!r:.40}: give one of {', '.join(FORMATS)}")
    names, extra = _NEEDED[known]
    for name in names:
        try:
            __import__(name)
        except ImportError as error:
            raise MissingExtraError(f"export to {known}", extra) from error
    return known


@torch.no_grad()
def program_of(graph: nn.Module, example: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    """Return the graph as torch exports it, in operations that all three formats know."""
    graph.eval()(*example)  # what is drawn or kept at the first call must not be made while it is traced
    with _quiet():
        program = torch.export.export(graph, example)
        table = torch.export.default_decompositions()
        for operation, words in _TABLE.items():
            table[operation] = words
        written: torch.export.ExportedProgram = program.run_decompositions(table)
    return written


def convert(
    program: torch.export.ExportedProgram, format: Format, folder: Path, inputs: Sequence[str], outputs: Sequence[str]
) -> Path:
    """Write the graph into a folder; return its file."""
    path = folder / GRAPH_FILES[format]
    if format == "torch-export":
        with _quiet():
            torch.export.save(program, path)
        return path
    with _quiet():
        if format == "onnx":
            made = torch.onnx.export(
                program, dynamo=True, input_names=inputs, output_names=outputs, opset_version=_OPSET, verbose=False
            )
            assert made is not None
            made.save(path, external_data=False)
            return path
        import openvino

        model = openvino.convert_model(program)
        for port, name in (*zip(model.inputs, inputs, strict=True), *zip(model.outputs, outputs, strict=True)):
            port.get_tensor().set_names({name})
        openvino.save_model(model, path, compress_to_fp16=False)
    return path


def runner_of(format: Format, path: Path) -> Run:
    """Return what runs a written graph, with one thread: arrays in, arrays out."""
    if format == "torch-export":
        with _quiet():
            module = torch.export.load(path).module()

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            with torch.no_grad():
                found = module(*(torch.from_numpy(array) for array in arrays))
            return [own.numpy() for own in (found if isinstance(found, tuple) else (found,))]

        return run
    if format == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [own.name for own in session.get_inputs()]
        return lambda *arrays: list(session.run(None, dict(zip(names, arrays, strict=True))))
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda *arrays: [np.array(own) for own in compiled(arrays).values()]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converters' own talk to themselves."""
    os.environ.setdefault("OPENVINO_TELEMETRY_DISABLE", "1")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


# Operations in other words; NotImplemented leaves one as it is


def _nanmedian(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The lower of the middle values of those that are numbers. Its place is not asked for by any graph of ours."""
    unseen = torch.isnan(x)
    count = (~unseen).sum(dim, keepdim=True)
    ordered = torch.where(unseen, torch.inf, x).sort(dim).values
    found = ordered.gather(dim, ((count - 1) // 2).clamp(min=0))
    found = torch.where(count > 0, found, torch.nan)
    found = found if keepdim else found.squeeze(dim)
    return found, torch.zeros_like(found, dtype=torch.long)


def _amax(x: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Any:
    return NotImplemented if len(dim) or keepdim else x.flatten().amax(0)


def _asinh(x: Tensor) -> Any:
    if x.dtype != torch.float64:
        return NotImplemented
    return x.sign() * (x.abs() + (x.square() + 1.0).sqrt()).log()


def _sinh(x: Tensor) -> Any:
    if x.dtype != torch.float64:
        return NotImplemented
    return (x.exp() - (-x).exp()) / 2.0


def _avg_pool2d(
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Averages that leave out what lies beyond the border: ONNX's converter would count it as zeros."""
    if count_include_pad or not any(padding) or divisor_override is not None:
        return NotImplemented
    rest = (kernel_size, stride, padding, ceil_mode, True)
    pool = torch.ops.aten.avg_pool2d.default
    return pool(x, *rest) / pool(torch.ones_like(x[:1, :1]), *rest)


_TABLE: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.nanmedian.dim: _nanmedian,
    torch.ops.aten.amax.default: _amax,
    torch.ops.aten.asinh.default: _asinh,
    torch.ops.aten.avg_pool2d.default: _avg_pool2d,
    torch.ops.aten.sinh.default: _sinh,
}
