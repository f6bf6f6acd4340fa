"""`oddwave score` in this process. Read `in_shards.py` for scoring on many machines."""

from pathlib import Path
from typing import Any

from oddwave.cli import options as opt
from oddwave.cli import outcome
from oddwave.cli.joint import loaded

__all__ = ["score_here"]


def score_here(
    model: Path,
    data: str,
    out: Path,
    which: tuple[str | None, str | None, bool],
    said: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
    more: tuple[bool, Path | None, str | None],
    told: tuple[bool, bool, bool],
) -> None:
    """Score data, write the results and say what was found.

    `which` is how to load the model (modality, device, external), `said` what is asked, about discoveries and about
    reading, `more` what only goes here (drawing on images, copies of flagged files, history), `told` how to end (exit
    code, JSON, quiet).
    """
    from oddwave.report.outputs import require_writable

    (asked, discoveries, options), (exit_code, as_json, quiet) = said, told
    annotate, copy_flagged, history = more
    options |= {} if history is None else {"history": history}
    require_writable(out, "results")
    detector, _ = loaded(model, data, *which)
    beside = outcome.check_copies(annotate, copy_flagged, detector.config.modality, data, out)
    detector.inner.check(asked["alpha"])  # before files are read
    source = opt.read_new(detector, data, model, options)
    result = detector.score(source, **asked, show_progress=not quiet)
    files = outcome.written(result, data, out, quiet, **beside, **discoveries)
    outcome.tell(result, files, source.notes, exit_code, as_json, **discoveries)
