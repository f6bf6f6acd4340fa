"""`oddwave score --engine ray`: its options, and what becomes of them. Read `dist/run.py` for what happens."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddwave.cli import options as opt
from oddwave.cli import outcome
from oddwave.cli.joint import loaded
from oddwave.errors import ConfigError
from oddwave.progress import stage

if TYPE_CHECKING:
    from oddwave.results import DetectionResult

__all__ = ["Column", "Engine", "ShardSize", "Workers", "chosen", "score"]

Engine = Annotated[
    str | None,
    typer.Option(metavar="ray", help="Score in shards on many processes or machines; given again, it goes on."),
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", help="With --engine: processes that hold the model.  [default: one per core]")
]
ShardSize = Annotated[
    int | None, typer.Option(metavar="N", help="With --engine: items per shard.  [default: 512 images, 64 recordings]")
]
Column = Annotated[
    str | None,
    typer.Option(metavar="COL", help="With --engine: which column of Parquet holds bytes or paths.  [default: found]"),
]


def chosen(how: Mapping[str, Any], refused: Mapping[str, Any]) -> bool:
    """Return whether an engine is to be used. Raises: ConfigError for options that do not go with that."""
    if how["engine"] is None:
        given = [f"--{name.replace('_', '-')}" for name, value in how.items() if value is not None]
        if given:
            raise ConfigError(f"{given[0]} is for scoring in shards: give --engine ray with it, or leave it out")
        return False
    given = [name for name, value in refused.items() if value is not None]
    if given:
        raise ConfigError(
            f"{given[0]} is for the files of this machine, and --engine scores on many: leave one of the two out"
        )
    return True


def score(
    model: Path,
    data: str,
    out: Path,
    which: tuple[str | None, str | None, bool],
    said: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
    history: str | None,
    how: Mapping[str, Any],
    told: tuple[bool, bool, bool],
) -> None:
    """Score data in shards, write one report of them, and say what was found; the arguments are those of `score_here`.

    `how` are engine, workers, shard_size and column.
    """
    from oddwave.dist.run import Request, check_request, score_in_shards
    from oddwave.report.outputs import require_writable, write_outputs

    (asked, discoveries, options), (exit_code, as_json, quiet) = said, told
    options |= {} if history is None else {"history": str(Path(history).absolute())}  # workers start elsewhere
    request = Request(
        model=model, data=data, out=out, asked=asked, options=options, allow_external=which[2],
        show_progress=not quiet, **discoveries, **how,
    )  # fmt: skip
    check_request(request)
    require_writable(out, "shards")
    detector, _ = loaded(model, data, *which)
    opt.check_reading(options, detector.config.modality, model)

    def write(result: "DetectionResult", title: str) -> list[Path]:
        with stage("writing the report", not quiet):
            return write_outputs(result, out, title=title, **discoveries)

    result, files, notes = score_in_shards(detector, request, write)
    outcome.tell(result, [*files, out / "shards"], notes, exit_code, as_json, **discoveries)
