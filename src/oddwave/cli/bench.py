"""`oddwave bench`: one command for all modalities and the ablation; the tables say what was measured."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from oddwave.cli.options import Quiet, listed, out_option, seed_numbers
from oddwave.console import say
from oddwave.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oddwave.lab.bench.protocol import AnyTask, BenchModality

__all__ = ["bench"]


Data = Literal["series", "image", "audio", "ablation"]  # what is compared on data that are there
What = Literal[Data, "speed"]
DataFolder = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the data sets.  [default: ODDWAVE_DATA]")
]
Only = Annotated[str | None, typer.Option(metavar="A,B", help="Data sets (nab, nab/semi) or items (ECG200, screw).")]
Methods = Annotated[
    str | None,
    typer.Option("--methods", "--variants", metavar="A,B", help="Methods, or the ablation's variants.  [default: all]"),
]
Part = Annotated[
    str | None,
    typer.Option(metavar="image|series|audio", help="Of the ablation, or of speed.  [default: what there are data of]"),
]
Presets = Annotated[
    str | None, typer.Option("--preset", metavar="A,B", help="Of speed: oddwave's presets.  [default: fast,balanced]")
]
Rounds = Annotated[
    int | None, typer.Option(min=1, help="Of speed: how often all methods take turns.  [default: 5, quick 2]")
]
Seeds = Annotated[str, typer.Option(metavar="0,1,2", help="Seeds of the methods that draw at random.")]
Quick = Annotated[bool, typer.Option("--quick", help="A first look: few items, thinned, a quarter of the training.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Cells run at once.  [default: what cores and memory hold]")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of each cell.")]


_MEANT_FOR = {
    "--modality": "the ablation and speed",
    **dict.fromkeys(("--preset", "--rounds"), "speed"),
    **dict.fromkeys(("--data", "--only", "--jobs", "--seeds"), "what is compared on public data"),
}


def bench(
    what: Annotated[What, typer.Argument(metavar="series|image|audio|ablation|speed", help="What to compare on.")],
    out: Annotated[Path, out_option("OUT", "Folder for the tables; a run goes on there.")],
    data: DataFolder = None,
    only: Only = None,
    methods: Methods = None,
    modality: Part = None,
    presets: Presets = None,
    rounds: Rounds = None,
    seeds: Seeds = "0",
    quick: Quick = False,
    jobs: Jobs = None,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Compare oddwave with others on public data.

    Series: NAB, UCR, MSL, PEMS-BAY, TSB-UAD, planted anomalies. Images: MVTec AD, magnetic tile, VisA. Audio:
    UrbanSound8K, ESC, DCASE Task 2.
    The ablation measures what each part of oddwave is worth; speed what fitting and scoring cost, on generated data.
    May be interrupted: the same command goes on where it stopped.

    \b
    Examples:
        oddwave bench series --data data -o results \\
            --only nab --methods oddwave,knn --seeds 0,1,2
        oddwave bench image --data data -o results --only screw
        oddwave bench ablation --data data -o results --modality series \\
            --methods no_attention
        oddwave bench speed -o results --modality image --preset fast --quick
    """
    if what == "speed":
        _refuse({"--data": data, "--only": only, "--jobs": jobs, "--seeds": seeds != "0"}, "speed")
        _speed(out, listed(modality), listed(presets), listed(methods), quick, rounds, threads, quiet)
        return
    _refuse({"--preset": presets, "--rounds": rounds, "--modality": what != "ablation" and modality}, what)
    from oddwave.lab.bench.quick import quick_tasks
    from oddwave.lab.bench.runner import run_benchmark
    from oddwave.lab.datasets.records import data_root
    from oddwave.report.outputs import require_writable

    numbers, root = seed_numbers(seeds), data_root(data)
    require_writable(out)
    rows: list[dict[str, str]] = []
    for each, tasks, names in _work(what, root, modality, listed(only), listed(methods)):
        rows += run_benchmark(
            root,
            out,
            modality=each,
            tasks=quick_tasks(tasks) if quick else tasks,
            methods=names,
            seeds=numbers,
            jobs=jobs,
            num_threads=threads,
            show_progress=not quiet,
        )
    table = _tables(what, root, out, rows)
    failed = sum(bool(row["error"]) for row in rows)
    say(f"{len(rows)} cells" + (f", {failed} of them failed (column error)" if failed else "") + f". Written: {table}")


def _refuse(given: "Mapping[str, object]", what: str) -> None:
    """Raises: ConfigError for an option that means nothing here."""
    for name, value in given.items():
        if value:
            raise ConfigError(f"{name} is for {_MEANT_FOR[name]}, not for '{what}': leave it out")


def _speed(
    out: Path,
    modalities: list[str] | None,
    presets: list[str] | None,
    methods: list[str] | None,
    quick: bool,
    rounds: int | None,
    threads: int,
    quiet: bool,
) -> None:
    """Measure what fitting and scoring cost, one job at a time."""
    from oddwave.lab.bench.plot_page import require_plotly
    from oddwave.lab.bench.speed import FULL, QUICK, run_speed
    from oddwave.report.outputs import require_writable

    require_plotly()
    require_writable(out)
    table = run_speed(
        out,
        modalities=modalities,
        presets=presets,
        methods=methods,
        plan=QUICK if quick else FULL,
        num_rounds=rounds,
        num_threads=threads,
        show_progress=not quiet,
    )
    say(f"Written: {table}")


def _work(
    what: Data, root: Path, modality: str | None, only: list[str] | None, methods: list[str] | None
) -> "list[tuple[BenchModality, Sequence[AnyTask], Sequence[str] | None]]":
    """Return what is to be run: (modality, tasks, methods), of the ablation once for each modality."""
    from oddwave.lab.bench.ablation import ablation_work
    from oddwave.lab.bench.protocol import load_tasks

    if what == "ablation":
        return [*ablation_work(root, modality, only, methods)]
    return [(what, load_tasks(root, only, what), methods)]


def _tables(what: Data, root: Path, out: Path, rows: "Sequence[Mapping[str, str]]") -> Path:
    if what != "ablation":
        from oddwave.lab.bench.protocol import readable_tasks
        from oddwave.lab.bench.quick import quick_tasks
        from oddwave.lab.bench.tables import write_tables

        known = readable_tasks(root, what)  # a folder may hold rows of other items, full and quick ones
        return write_tables(out, rows, [*known, *quick_tasks(known)], what)
    from oddwave.lab.bench.ablation_plots import write_ablation_plots
    from oddwave.lab.bench.ablation_tables import write_ablation_tables
    from oddwave.lab.bench.runner import read_results

    every = read_results(out)
    table = write_ablation_tables(out, every)
    try:
        write_ablation_plots(out, every)
    except MissingExtraError as error:
        warnings.warn(f"{error}; ablation_plots.html is left out", stacklevel=1)
    return table
