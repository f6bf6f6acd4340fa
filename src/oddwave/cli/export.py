"""`oddwave export`: a model as one fixed graph for other programs. Read `export/build.py` next."""

from pathlib import Path
from typing import Annotated

import typer

from oddwave.cli import options as opt
from oddwave.cli.joint import PartOf
from oddwave.console import say

__all__ = ["export"]

Out = Annotated[Path, opt.out_option("OUT", "Folder for the exported model.")]
Format = Annotated[str, typer.Option("--format", metavar="onnx|openvino|torch-export", help="What the graph is for.")]


def export(
    model: opt.Model,
    out: Out,
    format: Format = "onnx",
    modality: PartOf = None,
    allow_external: opt.AllowExternal = False,
    quiet: opt.Quiet = False,
) -> None:
    """Write a model as one fixed graph, for programs without torch.

    Writes the graph, sidecar.json (what goes in and how it is prepared), calibration.npz (so that the false-alarm rate
    is chosen when it runs) and, with ONNX, run_onnx.py: a runner that needs numpy and onnxruntime alone. Before
    anything is written the graph is compared with the model's own scorer, and refused where they differ by 1e-4.

    \b
    Examples:
        oddwave export parts.model -o exported
        python exported/run_onnx.py new/a.png new/b.png --alpha 0.001
        oddwave export pump.model -o exported --format openvino
        oddwave export joint.model -o exported --modality audio
    """
    from oddwave.export.build import export_model
    from oddwave.export.convert import require_extra
    from oddwave.report.outputs import require_writable

    require_extra(format)
    require_writable(out, "export")
    from oddwave.detector import Detector

    detector = Detector.load(model, modality=modality, allow_external=allow_external)
    done = export_model(detector.inner, out, format, show_progress=not quiet)
    parity = done.parity
    say(
        f"Exported {opt.subject_of(detector.config.modality)} as {format}: on {parity.num_inputs} inputs the scores "
        f"differ by {parity.largest:.1e} at most (median {parity.median:.1e}), relative to the model's own"
    )
    if parity.half_precision is not None:
        say(
            f"Here the model itself scores in half precision, which differs from both by {parity.half_precision:.1e}: "
            "training.dtype=float32 turns that off when fitting"
        )
    say("Written: " + ", ".join(str(path) for path in done.files))
